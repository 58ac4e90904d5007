#include "mld/evaluate/networks/clip_score.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace mld {
namespace {

constexpr double kScale = 2.5;

}  // namespace

void ClipScore::add(const Tensor& images, const Tensor& texts) {
  MLD_CHECK(images.shape().rank() == 2 && images.shape() == texts.shape(), "clip score: features of shape ",
            images.shape(), " and ", texts.shape(), ", expected the same [N,E]");
  const std::int64_t width = images.shape()[1];
  for (std::int64_t n = 0; n < images.shape()[0]; ++n) {
    const float* const a = images.data<float>() + n * width;
    const float* const b = texts.data<float>() + n * width;
    const double cosine = std::transform_reduce(a, a + width, b, 0.0, std::plus<>{}, [](float x, float y) {
      return static_cast<double>(x) * static_cast<double>(y);
    });
    ++count_;
    const double before = cosine - mean_;
    mean_ += before / static_cast<double>(count_);
    squares_ += before * (cosine - mean_);
  }
}

double ClipScore::value() const {
  return count_ > 0 ? kScale * mean_ : std::numeric_limits<double>::quiet_NaN();
}

double ClipScore::standard_error() const {
  if (count_ < 2) return std::numeric_limits<double>::quiet_NaN();
  const auto n = static_cast<double>(count_);
  return kScale * std::sqrt(squares_ / (n - 1) / n);
}

}  // namespace mld
