// What PolyMNIST is, wherever it comes from. Private to the data room.
#pragma once

#include <cstdint>

#include "data/formats/image_io.h"
#include "data/pictures/render.h"
#include "data/store/description.h"

namespace mld::data {

constexpr std::int64_t kPolyMnistSize = kDigitSide * kDigitSide * 3;  // [28,28,3]

// Without splits.
Description describe_polymnist(int modalities, Provenance provenance);

// Grey as three equal channels.
Picture as_rgb(Picture picture);

}  // namespace mld::data
