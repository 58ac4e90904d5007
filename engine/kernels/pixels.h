// Loops over images [n, lines, columns, channels] for pooling and resampling. On the CPU one iteration makes
// one row of pixels of one image, and loops run along the channels, which are contiguous; on a GPU one thread
// makes one value. Every adjoint gathers: a pixel of x collects from the pixels of y that read it, so that no
// two iterations write to the same place.
#pragma once

#include <cstdint>

#include "engine/core/tensor.h"
#include "engine/loops/drivers.h"

namespace mld::pixels {

inline constexpr std::int64_t kMaxSize = std::int64_t{1} << 30;  // products of two stay far from overflow

// One value of an array [n, lines, columns, channels].
struct Place {
  std::int64_t n, line, column, channel;
};

// A kernel makes a row of pixels with row(row), on the CPU, and value i alone with value(i, place), on a GPU.
template <class F>
struct OneRow {
  F f;
  void operator()(std::int64_t row) const { f.row(row); }
};
template <class F>
struct OneValue {
  F f;
  std::int64_t lines, columns, channels;
  MLD_HD void operator()(std::int64_t i) const {
    const std::int64_t pixel = i / channels, row = pixel / columns;
    f.value(i, Place{row / lines, row % lines, pixel % columns, i % channels});
  }
};

// f for all of `made` [n, lines, columns, channels]; row_work: what a row of it costs.
template <class F>
void make(const Tensor& made, std::int64_t row_work, const F& f) {
  const Shape& s = made.shape();
  if (made.device().kind == DeviceKind::cuda)
    gpu::for_each(made.device(), made.numel(), OneValue<F>{f, s[1], s[2], s[3]});
  else
    for_each_host_row(made.device(), s[0] * s[1], row_work, OneRow<F>{f});
}

}  // namespace mld::pixels
