// MNIST's four files, which several importers begin with. Private to the data room.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/sources/labelled_images.h"
#include "data/store/description.h"

namespace mld::data {

// The images [N,28,28,1] and labels 0 to 9 of the files that begin with `prefix`: "train" or "t10k". They may be
// packed (.gz) and have a dot for the second '-'. Their names join `provenance`. ErrorKind::data for anything wrong.
LabelledImages read_mnist(const std::filesystem::path& folder, const std::string& prefix,
                          Provenance& provenance);

// Moves those items that `leaves` marks out of `items`; both stay in order.
LabelledImages take_out(LabelledImages& items, const std::vector<bool>& leaves);

}  // namespace mld::data
