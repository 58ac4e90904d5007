// to[row, channel] += bias[channel]: what a convolution adds after a product that has no such epilogue.
#pragma once

#include <cstdint>

#include "engine/base/hd.h"

namespace mld::cuda {

template <class T>
struct AddChannelBias {
  std::int64_t channels;
  const T* bias;
  T* to;
  MLD_HD void operator()(std::int64_t i) const { to[i] += bias[i % channels]; }
};

}  // namespace mld::cuda
