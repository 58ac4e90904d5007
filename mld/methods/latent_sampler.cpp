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

// tau [levels, M_t]: row k is level k. What is clean is at time 0, what is absent at time 1.
Tensor level_times(const SamplerPlan& plan, std::int64_t times, Subset clean, Subset absent = 0) {
  const auto levels = static_cast<std::int64_t>(plan.times.size());
  Tensor tau = Tensor::zeros({levels, times});
  for (std::int64_t level = 0; level < levels; ++level)
    for (std::int64_t i = 0; i < times; ++i)
      if (!contains(clean, static_cast<int>(i)))
        tau.data<float>()[level * times + i] =
            contains(absent, static_cast<int>(i))
                ? 1.0f
                : static_cast<float>(plan.times[static_cast<std::size_t>(level)]);
  return tau;
}

// u8 [D]: 1 in the slices of a set.
Tensor mask_of(const LatentLayout& layout, Subset set) {
  const Tensor mask = Tensor::zeros({layout.total}, DType::u8);
  for (int i = 0; i < layout.modalities(); ++i)
    if (contains(set, i))
      std::fill_n(mask.data<std::uint8_t>() + layout.offsets[static_cast<std::size_t>(i)],
                  layout.dims[static_cast<std::size_t>(i)], std::uint8_t{1});
  return mask;
}

struct LeaveOut {  // r with noise where something is left out
  const float *r, *noise;
  const std::uint8_t* without;
  float* out;
  std::int64_t dim;
  MLD_HD void operator()(std::int64_t i) const { out[i] = without[i % dim] ? noise[i] : r[i]; }
};

struct Guide {
  float* output;
  const float* reference;
  const std::uint8_t* weighed;
  float extra;  // w - 1
  std::int64_t dim;
  MLD_HD void operator()(std::int64_t i) const {
    if (weighed[i % dim]) output[i] += extra * (output[i] - reference[i]);
  }
};

}  // namespace

LatentSampler::LatentSampler(const ScoreNetwork& network, const LatentLayout& layout, Prediction prediction,
                             SamplerPlan plan, double guidance, Subset given, std::uint64_t seed,
                             std::int64_t batch, Device device)
    : plan_(std::move(plan)),
      given_(given),
      batch_(batch),
      dim_(layout.total),
      guidance_(guidance),
      device_(device),
      noise_(seed) {
  const Subset clean = plan_.noised_given ? 0 : given;
  table_ = network.time_table(level_times(plan_, network.options().times, clean).to(device));
  scalars_ = velocity_scalars(plan_).to(device);
  const auto read = [this, prediction](const Tensor& r, const Tensor& output, const Tensor& level) {
    return prediction == Prediction::velocity ? noise_at_level(r, output, scalars_, level) : output;
  };
  const ScoreFunction score = [this, &network, read](const Tensor& r, const Tensor& level) {
    return read(r, network(r, network.row(table_, level)).value, level);
  };
  GuidedScore guide;
  if (plan_.guided > 0) {
    const Subset all = full_set(layout.modalities());
    absent_ = Tensor::empty({batch_, dim_}, DType::f32, device);
    if (given != 0)
      add_reference(network, layout, given, all & ~given);
    else
      for (int i = 0; i < layout.modalities(); ++i)
        add_reference(network, layout, all & ~(Subset{1} << i), Subset{1} << i);
    // Where outputs are velocities, they are weighed as they are: at one level both are read alike.
    guide = {[this, &network, read](const Tensor& r, const Tensor& level) {
               const Tensor output = network(r, network.row(table_, level)).value;
               return read(r, guided(network, r, output, level), level);
             },
             std::ssize(references_)};
  }
  mask_ = mask_of(layout, given).to(device);
  sampler_ = std::make_unique<Sampler>(score, noise_, plan_, Shape{batch_, layout.total}, DType::f32, device,
                                       std::move(guide));
}

void LatentSampler::add_reference(const ScoreNetwork& network, const LatentLayout& layout, Subset without,
                                  Subset weighed) {
  const Tensor tau = level_times(plan_, network.options().times, 0, without);
  references_.push_back({network.time_table(tau.to(device_)), mask_of(layout, without).to(device_),
                         mask_of(layout, weighed).to(device_)});
}

Tensor LatentSampler::guided(const ScoreNetwork& network, const Tensor& r, const Tensor& output,
                             const Tensor& level) const {
  const Tensor out = output.clone(), seen = Tensor::empty(r.shape(), DType::f32, device_);
  for (const Reference& reference : references_) {
    for_each(device_, r.numel(),
             LeaveOut{r.ptr<float>(), absent_.ptr<float>(), reference.without.ptr<std::uint8_t>(),
                      seen.ptr<float>(), dim_});
    const Tensor other = network(seen, network.row(reference.table, level)).value;
    for_each(device_, r.numel(),
             Guide{out.ptr<float>(), other.ptr<float>(), reference.weighed.ptr<std::uint8_t>(),
                   static_cast<float>(guidance_ - 1), dim_});
  }
  return out;
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
  const Tensor ids_there = rows.to(device_);
  if (absent_.defined())
    noise_.normal(absent_, kSiteAbsent, Tensor::zeros({1}, DType::i32, device_), ids_there);
  const Tensor drawn = (*sampler_)(known.to(device_), mask_, ids_there, progress).to(kCpu);
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
