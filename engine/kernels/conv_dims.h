// The sizes of a convolution, in the terms of engine/kernels/conv_kernel.h, which says what is computed.
#pragma once

#include <cstdint>

#include "engine/base/hd.h"

namespace mld {

struct ConvDims {
  std::int64_t n = 0, h = 0, w = 0, in = 0;  // x
  std::int64_t out = 0;                      // channels of y
  std::int64_t kh = 1, kw = 1;
  std::int64_t sh = 1, sw = 1;
  std::int64_t ph = 0, pw = 0;

  MLD_HD std::int64_t out_h() const { return (h + 2 * ph - kh) / sh + 1; }
  MLD_HD std::int64_t out_w() const { return (w + 2 * pw - kw) / sw + 1; }
};

}  // namespace mld
