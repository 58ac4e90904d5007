#include "mld/diffusion/noise.h"

#include "engine/ops/random.h"

namespace mld {

void PhiloxNoise::normal(const Tensor& out, std::uint32_t site, const Tensor& step, const Tensor& rows) {
  fill_normal(out, DrawKey{.seed = seed_, .site = site, .step_at = step.ptr<std::int32_t>()}, rows);
}

void RecordedNoise::normal(const Tensor& out, std::uint32_t, const Tensor&, const Tensor&) {
  MLD_CHECK(next_ < draws_.size(), "recorded noise: ", draws_.size(), " draws are not enough");
  out.copy_from(draws_[next_++]);
}

}  // namespace mld
