// What PolyMNIST is, wherever it comes from. Private to the data room.
#pragma once

#include <cstdint>

#include "data/pictures/render.h"
#include "data/store/description.h"

namespace mld::data {

constexpr std::int64_t kPolyMnistSize = kDigitSide * kDigitSide * 3;  // [28,28,3]

// Without splits.
Description describe_polymnist(int modalities, Provenance provenance);

}  // namespace mld::data
