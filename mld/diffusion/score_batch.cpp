#include "mld/diffusion/score_batch.h"

#include <cmath>

#include "engine/loops/drivers.h"
#include "engine/ops/random.h"
#include "engine/random/philox.h"
#include "mld/diffusion/noise.h"
#include "mld/diffusion/sde.h"
#include "mld/diffusion/subsets.h"

namespace mld {
namespace {

// Raw views of the latent store; plain data, copied into functors.
struct StoreView {
  const float* latents[kMaxModalities] = {};
  std::int64_t dims[kMaxModalities] = {}, offsets[kMaxModalities] = {};
  float weights[kMaxModalities] = {};
  const std::int32_t* samples = nullptr;
  int modalities = 0;
  std::int64_t total = 0;

  MLD_HD std::int32_t item(std::int32_t sample, int modality) const {
    return samples[static_cast<std::int64_t>(sample) * modalities + modality];
  }
  MLD_HD Subset present(std::int32_t sample) const {
    Subset set = 0;
    for (int i = 0; i < modalities; ++i)
      if (item(sample, i) >= 0) set |= Subset{1} << i;
    return set;
  }
};

StoreView view(const LatentStore& store, const ScoreBatchOptions& options) {
  StoreView v;
  v.modalities = store.layout().modalities();
  v.total = store.layout().total;
  v.samples = store.samples().ptr<std::int32_t>();
  for (int i = 0; i < v.modalities; ++i) {
    const auto k = static_cast<std::size_t>(i);
    v.latents[i] = store.latents(i).ptr<float>();
    v.dims[i] = store.layout().dims[k];
    v.offsets[i] = store.layout().offsets[k];
    v.weights[i] = options.modality_weights.empty() ? 1.0f : static_cast<float>(options.modality_weights[k]);
  }
  return v;
}

struct DrawRow {  // choices of one row
  const StepState* state;
  std::int64_t first;  // global row of row 0
  StoreView store;
  data::BatchOrder order;
  std::uint64_t seed;
  double d;
  bool per_batch;
  TimeDistribution time;
  int times;  // of a row
  std::int32_t *sample, *conditioning;
  float* t;

  MLD_HD void operator()(std::int64_t b) const {
    sample[b] = static_cast<std::int32_t>(order.row(state->step, first + b));
    const auto row = static_cast<std::uint32_t>(first + b), step32 = static_cast<std::uint32_t>(state->step);
    const Words subset = draw(seed, kSiteSubset, step32, per_batch ? 0 : row, 0);
    conditioning[b] = static_cast<std::int32_t>(
        draw_conditioning(store.present(sample[b]), d, u01(subset.v[0]), u01(subset.v[1])));

    for (int i = 0; i < times; ++i) {
      const Words when = draw(seed, kSiteTime, step32, row, static_cast<std::uint32_t>(i));
      const double u = u01_double(when.v[0], when.v[1]);
      // Box-Muller in double; one draw a time.
      const double radius = std::sqrt(-2 * std::log1p(-u01_double(when.v[2], when.v[3])));
      t[b * times + i] = static_cast<float>(time.draw(u, radius * std::cos(2 * 3.14159265358979323846 * u)));
    }
  }
};

struct PerturbRow {
  StoreView store;
  const std::int32_t *sample, *conditioning;
  const float *time, *noise;
  Prediction prediction;
  bool one_time, scalar_tau;  // a row has one time; tau is that time
  float *r, *tau, *target, *weight;

  template <class Team>
  MLD_HD void operator()(std::int64_t b, const Team& team) const {
    const Subset present = store.present(sample[b]);
    const Subset diffused = present & ~static_cast<Subset>(conditioning[b]);
    std::int64_t dim_present = 0, dim_diffused = 0;
    for (int i = 0; i < store.modalities; ++i) {
      dim_present += contains(present, i) ? store.dims[i] : 0;
      dim_diffused += contains(diffused, i) ? store.dims[i] : 0;
    }
    const float omega = static_cast<float>(dim_present) / static_cast<float>(dim_diffused);
    for (int i = 0; i < store.modalities; ++i) {
      const bool on = contains(diffused, i), there = contains(present, i);
      const float* z = there ? store.latents[i] + store.item(sample[b], i) * store.dims[i] : nullptr;
      const float t = one_time ? time[b] : time[b * store.modalities + i];
      const auto a = static_cast<float>(VpSde::mean(static_cast<double>(t)));
      const auto s = static_cast<float>(VpSde::std_dev(static_cast<double>(t)));
      team.once([&] {
        if (scalar_tau)
          tau[b] = t;
        else
          tau[b * store.modalities + i] = on ? t : there ? 0.0f : 1.0f;
      });
      modality(team, b * store.total + store.offsets[i], store.dims[i], z, on, a, s,
               on ? omega * store.weights[i] : 0.0f);
    }
  }

  // The slice of one modality: diffused, given (z, not on) or absent (no z).
  template <class Team>
  MLD_HD void modality(const Team& team, std::int64_t first, std::int64_t dim, const float* z, bool on,
                       float a, float s, float w) const {
    const float* eps = noise + first;
    float *r_out = r + first, *target_out = target + first, *weight_out = weight + first;
    const bool of_noise = prediction == Prediction::noise;
    team.each(dim, [=](std::int64_t j) {
      r_out[j] = on ? VpSde::diffused(a, z[j], s, eps[j]) : z ? z[j] : eps[j];
      target_out[j] = !on ? 0.0f : of_noise ? -eps[j] : a * eps[j] - s * z[j];
      weight_out[j] = w;
    });
  }
};

}  // namespace

ScoreBatcher::ScoreBatcher(LatentStore latents, ScoreBatchOptions options, std::uint64_t seed,
                           const data::Shard& shard)
    : latents_(std::move(latents)),
      options_(std::move(options)),
      order_(latents_.num_samples(), options_.batch, seed),
      rows_(shard.of(order_.batch())),
      seed_(seed),
      times_(options_.variant.independent_times ? latents_.layout().modalities() : 1),
      device_(latents_.samples().device()) {
  MLD_CHECK(latents_.layout().modalities() <= kMaxModalities, "score training: at most ", kMaxModalities,
            " modalities");
  MLD_CHECK(
      options_.modality_weights.empty() || options_.modality_weights.size() == latents_.layout().dims.size(),
      "score training: one weight for each modality expected");
  MLD_CHECK(options_.batch >= 1 && options_.batch <= latents_.num_samples(), "score training: batch ",
            options_.batch, " does not fit ", latents_.num_samples(), " samples");
}

BatchDraw ScoreBatcher::draw(const StepState* state) const {
  const std::int64_t batch = rows_.count;
  BatchDraw out{Tensor::empty({batch}, DType::i32, device_), Tensor::empty({batch}, DType::i32, device_),
                Tensor::empty({batch, times_}, DType::f32, device_),
                Tensor::empty({batch, latents_.layout().total}, DType::f32, device_)};
  const DrawRow f{state,
                  rows_.first,
                  view(latents_, options_),
                  order_,
                  seed_,
                  options_.variant.conditions ? options_.d : 1,
                  options_.subsets == SubsetDraw::per_batch,
                  options_.time,
                  static_cast<int>(times_),
                  out.sample.ptr<std::int32_t>(),
                  out.conditioning.ptr<std::int32_t>(),
                  out.time.ptr<float>()};
  for_each(device_, batch, f);
  fill_normal(out.noise, DrawKey{.state = state, .site = kSiteNoise, .first_row = rows_.first});
  return out;
}

ScoreBatch ScoreBatcher::perturb(const BatchDraw& draw) const {
  const std::int64_t batch = draw.sample.shape()[0], total = latents_.layout().total;
  const bool scalar_tau = options_.variant.one_time;
  const std::int64_t modalities = scalar_tau ? 1 : latents_.layout().modalities();
  ScoreBatch out{Tensor::empty({batch, total}, DType::f32, device_),
                 Tensor::empty({batch, modalities}, DType::f32, device_),
                 Tensor::empty({batch, total}, DType::f32, device_),
                 Tensor::empty({batch, total}, DType::f32, device_)};
  const PerturbRow f{view(latents_, options_),
                     draw.sample.ptr<std::int32_t>(),
                     draw.conditioning.ptr<std::int32_t>(),
                     draw.time.ptr<float>(),
                     draw.noise.ptr<float>(),
                     options_.prediction,
                     times_ == 1,
                     scalar_tau,
                     out.r.ptr<float>(),
                     out.tau.ptr<float>(),
                     out.target.ptr<float>(),
                     out.weight.ptr<float>()};
  for_each_row(device_, batch, total, f);
  return out;
}

}  // namespace mld
