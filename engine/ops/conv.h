// Convolutions and resampling of images, channels-last. One-dimensional forms are images of height 1.
#pragma once

#include <array>
#include <cstdint>

#include "engine/core/tape.h"
#include "engine/ops/activation.h"

namespace mld {

// {height, width} of kernel, stride, padding; output_padding only for the transposed convolution.
struct ConvShape {
  std::array<std::int64_t, 2> kernel{1, 1};
  std::array<std::int64_t, 2> stride{1, 1};
  std::array<std::int64_t, 2> padding{0, 0};
  std::array<std::int64_t, 2> output_padding{0, 0};
};

// act(conv(x) + b): x [N,H,W,I], weight [O,kh,kw,I], bias [O] or none, result [N,H',W',O] with
// H' = (H + 2 ph - kh)/sh + 1.
Var conv2d(const Var& x, const Var& weight, const Var& bias, const ConvShape& shape, Activation act = {});
// act(conv^T(x) + b): x [N,H,W,I], weight [I,kh,kw,O], result [N,H',W',O] with
// H' = (H - 1) sh - 2 ph + kh + output padding.
Var conv_transpose2d(const Var& x, const Var& weight, const Var& bias, const ConvShape& shape,
                     Activation act = {});

Var max_pool2d(const Var& x, const ConvShape& window);  // padding never wins
// count_padding: whether padding zeros count in the mean.
Var avg_pool2d(const Var& x, const ConvShape& window, bool count_padding = true);
Var resize_nearest(const Var& x, std::int64_t height, std::int64_t width);
Var resize_bilinear(const Var& x, std::int64_t height, std::int64_t width);  // half-pixel centres, no antialiasing

}  // namespace mld
