#include "mld/methods/latent_sampler.h"

#include <algorithm>

#include "engine/loops/drivers.h"
#include "mld/diffusion/sde.h"

namespace mld {
namespace {

MLD_HD float noise_of_velocity(float a, float s, float r, float f) { return -(s * r + a * f); }

struct NoiseOfVelocity {
  const float *r, *f;
  float* n;
  const float* scalars;
  const std::int32_t* level;
  MLD_HD void operator()(std::int64_t i) const {
    n[i] = noise_of_velocity(scalars[2 * *level], scalars[2 * *level + 1], r[i], f[i]);
  }
};

// scalars [L,2] holds a and sigma of every level.
Tensor noise_at_level(const Tensor& r, const Tensor& f, const Tensor& scalars, const Tensor& level) {
  const Tensor n = Tensor::empty(r.shape(), DType::f32, r.device());
  for_each(r.device(), r.numel(),
           NoiseOfVelocity{r.ptr<float>(), f.ptr<float>(), n.ptr<float>(), scalars.ptr<float>(),
                           level.ptr<std::int32_t>()});
  return n;
}

Tensor velocity_scalars(const SamplerPlan& plan) {
  const auto levels = static_cast<std::int64_t>(plan.times.size());
  Tensor scalars = Tensor::empty({levels, 2});
  for (std::int64_t level = 0; level < levels; ++level) {
    const double t = plan.times[static_cast<std::size_t>(level)];
    scalars.data<float>()[2 * level] = static_cast<float>(VpSde::mean(t));
    scalars.data<float>()[2 * level + 1] = static_cast<float>(VpSde::std_dev(t));
  }
  return scalars;
}

// tau [levels, M_t]: row k is level k.
Tensor level_times(const SamplerPlan& plan, std::int64_t times, Subset clean) {
  const auto levels = static_cast<std::int64_t>(plan.times.size());
  Tensor tau = Tensor::zeros({levels, times});
  for (std::int64_t level = 0; level < levels; ++level)
    for (std::int64_t i = 0; i < times; ++i)
      if (!contains(clean, static_cast<int>(i)))
        tau.data<float>()[level * times + i] =
            static_cast<float>(plan.times[static_cast<std::size_t>(level)]);
  return tau;
}

}  // namespace

LatentSampler::LatentSampler(const ScoreNetwork& network, const LatentLayout& layout, Prediction prediction,
                             SamplerPlan plan, Subset given, std::uint64_t seed, std::int64_t batch,
                             Device device)
    : plan_(std::move(plan)),
      given_(given),
      batch_(batch),
      dim_(layout.total),
      device_(device),
      noise_(seed) {
  const Subset clean = plan_.noised_given ? 0 : given;
  table_ = network.time_table(level_times(plan_, network.options().times, clean).to(device));
  scalars_ = velocity_scalars(plan_).to(device);
  const ScoreFunction score = [this, &network, prediction](const Tensor& r, const Tensor& level) {
    const Tensor n = network(r, network.row(table_, level)).value;
    return prediction == Prediction::velocity ? noise_at_level(r, n, scalars_, level) : n;
  };
  const Tensor mask = Tensor::zeros({layout.total}, DType::u8);
  for (int i = 0; i < layout.modalities(); ++i)
    if (contains(given, i))
      std::fill_n(mask.data<std::uint8_t>() + layout.offsets[static_cast<std::size_t>(i)],
                  layout.dims[static_cast<std::size_t>(i)], std::uint8_t{1});
  mask_ = mask.to(device);
  sampler_ = std::make_unique<Sampler>(score, noise_, plan_, Shape{batch_, layout.total}, DType::f32, device);
}

Tensor LatentSampler::operator()(const Tensor& z, std::span<const std::int32_t> ids,
                                 const SamplerProgress& progress) {
  const auto n = static_cast<std::int64_t>(ids.size());
  MLD_CHECK(n >= 1 && n <= batch_, "sample: ", n, " samples in a batch of ", batch_);
  MLD_CHECK(given_ == 0 || (z.defined() && z.shape() == Shape({n, dim_})), "sample: latents of shape ",
            z.defined() ? z.shape() : Shape{}, ", expected [", n, ",", dim_, "]");
  // A batch that is not full is filled up with samples that are thrown away.
  const Tensor rows = Tensor::zeros({batch_}, DType::i32), known = Tensor::zeros({batch_, dim_});
  rows.rows(0, n).copy_from(Tensor::from(ids, {n}));
  if (given_ != 0) known.rows(0, n).copy_from(z);
  const Tensor drawn = (*sampler_)(known.to(device_), mask_, rows.to(device_), progress).to(kCpu);
  return n == batch_ ? drawn : drawn.rows(0, n).clone();
}

Tensor noise_of_velocity(const Tensor& r, const Tensor& f, const Tensor& tau, const LatentLayout& layout) {
  const Tensor n = Tensor::empty(f.shape());
  const std::int64_t times = tau.shape()[1];
  for (std::int64_t b = 0; b < f.shape()[0]; ++b)
    for (int i = 0; i < layout.modalities(); ++i) {
      const auto k = static_cast<std::size_t>(i);
      const double t = static_cast<double>(tau.data<float>()[b * times + (times > 1 ? i : 0)]);
      const auto a = static_cast<float>(VpSde::mean(t)), s = static_cast<float>(VpSde::std_dev(t));
      const std::int64_t first = b * layout.total + layout.offsets[k];
      for (std::int64_t j = first; j < first + layout.dims[k]; ++j)
        n.data<float>()[j] = noise_of_velocity(a, s, r.data<float>()[j], f.data<float>()[j]);
    }
  return n;
}

}  // namespace mld
