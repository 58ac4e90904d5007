// The pen of `digits`: draws one digit as a path of 100 points in pixel units of a 28 x 28 image
// (data/pictures/render.h). A digit class has several writing styles, each a spline through knots; an item
// takes one and varies its shape, size, proportions, slant, rotation, place, speed and tremor.
#pragma once

#include <array>
#include <cstdint>

#include "data/draws.h"

namespace mld::data {

constexpr std::int64_t kPathPoints = 100;

struct PenItem {
  std::array<float, kPathPoints> x, y;  // pixels; the pen's disc stays inside [0, 28]
  float radius, ink;                    // pixels; grey value of full coverage
};

// digit in 0 .. 9. Consumes numbers of `random`.
PenItem draw_pen_item(int digit, ItemRandom& random);

}  // namespace mld::data
