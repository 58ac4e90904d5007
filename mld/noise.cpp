#include "mld/noise.h"

#include "engine/ops/random.h"

namespace mld {

void PhiloxNoise::normal(const Tensor& out, std::uint32_t site, std::uint32_t step, const Tensor& rows) {
  fill_normal(out, DrawKey{.seed = seed_, .step = step, .site = site}, 0, rows);
}

void RecordedNoise::normal(const Tensor& out, std::uint32_t, std::uint32_t, const Tensor&) {
  MLD_CHECK(next_ < draws_.size(), "recorded noise: ", draws_.size(), " draws are not enough");
  out.copy_from(draws_[next_++]);
}

}  // namespace mld
