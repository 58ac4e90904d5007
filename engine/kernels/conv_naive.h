// Convolution as plain loops: the oracle of the fast kernels, and the path of f64 (gradient checks run in
// double). Layouts as in engine/kernels/conv_kernel.h: x, dx [N,H,W,I], w, dw [O,kh,kw,I], y, dy [N,OH,OW,O].
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/kernels/activation.h"
#include "engine/kernels/conv_kernel.h"
#include "engine/threads/threads.h"

namespace mld::naive {

// Calls f(x_row, w_tap) for every tap of output position (p, q) that lies inside the image: x_row counts
// pixels of x, w_tap counts taps (r * kw + t).
template <class F>
void for_each_tap(const ConvDims& s, std::int64_t n, std::int64_t p, std::int64_t q, const F& f) {
  for (std::int64_t r = 0; r < s.kh; ++r)
    for (std::int64_t t = 0; t < s.kw; ++t) {
      const std::int64_t i = p * s.sh + r - s.ph, j = q * s.sw + t - s.pw;
      if (i >= 0 && i < s.h && j >= 0 && j < s.w) f((n * s.h + i) * s.w + j, r * s.kw + t);
    }
}

// y = act(conv(x, w) + bias).
template <class T>
void conv_forward(const ConvDims& s, const T* x, const T* w, const T* bias, Activation activation, T* y) {
  const std::int64_t rows = s.n * s.out_h(), ow = s.out_w(), taps = s.kh * s.kw;
  parallel_for(rows, [&](std::int64_t row) {
    for (std::int64_t q = 0; q < ow; ++q) {
      T* out = y + (row * ow + q) * s.out;
      for (std::int64_t o = 0; o < s.out; ++o) {
        T sum = T(0);
        for_each_tap(s, row / s.out_h(), row % s.out_h(), q, [&](std::int64_t pixel, std::int64_t tap) {
          for (std::int64_t c = 0; c < s.in; ++c) sum += x[pixel * s.in + c] * w[(o * taps + tap) * s.in + c];
        });
        out[o] = activate(activation, bias ? sum + bias[o] : sum);
      }
    }
  });
}

// dx = act(conv_transposed(dy, w) + bias), or dx += conv_transposed(dy, w).
template <class T>
void conv_backward_data(const ConvDims& s, const T* dy, const T* w, const T* bias, Activation activation,
                        bool accumulate, T* dx) {
  const std::int64_t oh = s.out_h(), ow = s.out_w(), taps = s.kh * s.kw, size = s.h * s.w * s.in;
  parallel_for(s.n, [&](std::int64_t n) {
    T* image = dx + n * size;
    if (!accumulate) std::fill(image, image + size, T(0));
    for (std::int64_t p = 0; p < oh; ++p)
      for (std::int64_t q = 0; q < ow; ++q) {
        const T* from = dy + ((n * oh + p) * ow + q) * s.out;
        for_each_tap(s, n, p, q, [&](std::int64_t pixel, std::int64_t tap) {
          for (std::int64_t o = 0; o < s.out; ++o)
            for (std::int64_t c = 0; c < s.in; ++c)
              dx[pixel * s.in + c] += from[o] * w[(o * taps + tap) * s.in + c];
        });
      }
    for (std::int64_t i = 0; i < size; ++i)
      image[i] = activate(activation, bias ? image[i] + bias[i % s.in] : image[i]);
  });
}

// dw = gradient of the weights, or dw += ...; each output channel sums over samples and
// pixels in index order.
template <class T>
void conv_backward_weights(const ConvDims& s, const T* x, const T* dy, bool accumulate, T* dw) {
  const std::int64_t oh = s.out_h(), ow = s.out_w(), taps = s.kh * s.kw, size = taps * s.in;
  parallel_for(s.out, [&](std::int64_t o) {
    T* kernel = dw + o * size;
    if (!accumulate) std::fill(kernel, kernel + size, T(0));
    for (std::int64_t n = 0; n < s.n; ++n)
      for (std::int64_t p = 0; p < oh; ++p)
        for (std::int64_t q = 0; q < ow; ++q) {
          const T g = dy[((n * oh + p) * ow + q) * s.out + o];
          for_each_tap(s, n, p, q, [&](std::int64_t pixel, std::int64_t tap) {
            for (std::int64_t c = 0; c < s.in; ++c) kernel[tap * s.in + c] += g * x[pixel * s.in + c];
          });
        }
  });
}

}  // namespace mld::naive
