// Convolutions and resampling of images, channels-last. One-dimensional forms are images of height 1. f32
// runs on the kernels of conv_kernel.h, f64 on the plain loops of conv_naive.h.
#pragma once

#include <array>
#include <cstdint>

#include "engine/core/tape.h"
#include "engine/kernels/activation.h"

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

// Padding, at most half the window, never wins; a NaN in the window does; a tie goes to the first pixel.
Var max_pool2d(const Var& x, const ConvShape& window);
// count_padding: whether padding zeros count in the mean.
Var avg_pool2d(const Var& x, const ConvShape& window, bool count_padding = true);
// Both as PyTorch's interpolate(align_corners=False): output pixel p reads input floor(p H/H') or, bilinear,
// the neighbours of (p + 1/2) H/H' - 1/2, held inside the image; no antialiasing.
Var resize_nearest(const Var& x, std::int64_t height, std::int64_t width);
Var resize_bilinear(const Var& x, std::int64_t height, std::int64_t width);

}  // namespace mld
