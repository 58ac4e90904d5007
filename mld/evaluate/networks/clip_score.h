// CLIP-S (docs/method.md section 18.3): 2.5 times the mean cosine of the CLIP features of images and their
// captions, without the max(0, .) of Hessel et al. 2021, summed up over chunks.
#pragma once

#include <cstdint>

#include "engine/core/tensor.h"

namespace mld {

class ClipScore {
 public:
  // Pairs of rows of length one, f32 [N,E] on the cpu. The chunks into which the pairs are cut do not change
  // a bit of the result.
  void add(const Tensor& images, const Tensor& texts);

  std::int64_t count() const { return count_; }
  double value() const;           // NaN without pairs
  double standard_error() const;  // of value(), for independent pairs; NaN for fewer than two

 private:
  std::int64_t count_ = 0;
  double mean_ = 0, squares_ = 0;  // of the cosines: mean, sum of squared distances from it
};

}  // namespace mld
