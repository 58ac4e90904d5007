// Images with a class each.
#pragma once

#include <cstdint>
#include <vector>

namespace mld::data {

struct LabelledImages {
  std::vector<std::uint8_t> images;  // [N, height, width, channels]
  std::vector<std::int32_t> labels;  // [N]
};

}  // namespace mld::data
