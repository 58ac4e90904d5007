// Pen paths as pictures: how a trajectory and an image of the same digit belong together.
//
// A pen path lives in pixel units of its canvas: x to the right, y down, pixel (row r, column c) covers
// [c, c+1) x [r, r+1). A round pen of a given radius leaves coverage min(1, radius + 1/2 - distance) on a
// pixel whose centre is `distance` away from the path (an anti-aliased disc swept along it). The data set
// `digits` draws its images with draw_path, so pen-image agreement (intersection over union of the drawn
// trajectory with the image) measures how well two generated views agree.
#pragma once

#include <cstdint>
#include <span>

#include "data/value_range.h"

namespace mld::data {

// A grey canvas, row-major [height, width].
struct Canvas {
  std::span<float> values;
  std::int64_t height = 0, width = 0;
};

// Paints a polyline over the canvas: value = max(value, ink * coverage). A path of one point is a dot; points
// may lie outside the canvas, non-finite points are left out. Sizes of x and y must agree.
void draw_path(std::span<const float> x, std::span<const float> y, float radius, float ink,
               const Canvas& canvas);

constexpr std::int64_t kDigitSide = 28;    // side of a digit image, pixels
constexpr float kMeanPenRadius = 1.2F;     // pixels; the pens of `digits` have radii 0.9 .. 1.5
constexpr std::int64_t kTrajectory = 200;  // 100 x, then 100 y

// Draws a trajectory [x_0 .. x_99, y_0 .. y_99], min-max scaled by `range`, on a blank 28 x 28 image [784].
void render_trajectory(std::span<const float> trajectory, ValueRange range, float radius,
                       std::span<float> image);

// Pen-image agreement in [0, 1]: intersection over union of the inked pixels of `image` [784] and of the
// drawn `trajectory` [200]. A pixel is inked above half of its picture's maximum; the pen's width is not part
// of the trajectory, so the best of the radii 0.9, 1.1, 1.3, 1.5 counts. An image whose maximum is below 0.1
// is blank and scores 0. Measured on `digits`: see tests/data/digits_test.cpp.
double pen_image_agreement(std::span<const float> image, std::span<const float> trajectory, ValueRange range);

}  // namespace mld::data
