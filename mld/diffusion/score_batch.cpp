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
  int modalities = 0;
  std::int64_t total = 0;
};

// Which items a row takes: those of its sample, or others of its class.
struct IndexView {
  const std::int32_t* samples = nullptr;
  const std::int32_t* classes = nullptr;  // of samples
  const std::int32_t *by_class[kMaxModalities] = {},
                     *first[kMaxModalities] = {};  // null: the sample's own items
  std::int32_t items[kMaxModalities] = {}, encodings[kMaxModalities] = {};
  int modalities = 0;

  MLD_HD std::int32_t item(std::int32_t sample, int i) const {
    return samples[static_cast<std::int64_t>(sample) * modalities + i];
  }
  MLD_HD Subset present(std::int32_t sample) const {
    Subset set = 0;
    for (int i = 0; i < modalities; ++i)
      if (item(sample, i) >= 0) set |= Subset{1} << i;
    return set;
  }
  // u uniform in [0,1).
  MLD_HD std::int32_t partner(std::int32_t sample, int i, float u) const {
    const std::int32_t c = first[i] == nullptr ? -1 : classes[sample];
    const std::int32_t count = c < 0 ? 0 : first[i][c + 1] - first[i][c];
    return count == 0 ? item(sample, i) : by_class[i][first[i][c] + below(count, u)];
  }
  // The row of the latents. A modality that is given may be as augmented; what is to be generated is as it is.
  MLD_HD std::int32_t encoding(std::int32_t item, int i, bool given, float u) const {
    return given ? item + items[i] * below(encodings[i], u) : item;
  }
  MLD_HD static std::int32_t below(std::int32_t count, float u) {
    const auto k = static_cast<std::int32_t>(u * static_cast<float>(count));
    return k < count ? k : count - 1;
  }
};

IndexView index_view(const LatentStore& store, const ScoreBatchOptions& options) {
  IndexView v;
  v.modalities = store.layout().modalities();
  v.samples = store.samples().ptr<std::int32_t>();
  const ItemClasses& classes = store.classes();
  const bool fresh = options.pairing == Pairing::fresh;
  MLD_CHECK(!fresh || classes.defined(), "score training: fresh pairs need the classes of the items");
  if (fresh) v.classes = classes.of_samples.ptr<std::int32_t>();
  for (int i = 0; i < v.modalities; ++i) {
    const auto k = static_cast<std::size_t>(i);
    v.items[i] = static_cast<std::int32_t>(store.items(i));
    v.encodings[i] = static_cast<std::int32_t>(store.encodings(i));
    if (!fresh || !contains(options.fresh, i)) continue;
    v.by_class[i] = classes.items[k].ptr<std::int32_t>();
    v.first[i] = classes.first[k].ptr<std::int32_t>();
  }
  return v;
}

StoreView view(const LatentStore& store, const ScoreBatchOptions& options) {
  StoreView v;
  v.modalities = store.layout().modalities();
  v.total = store.layout().total;
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
  IndexView index;
  data::BatchOrder order;
  std::uint64_t seed;
  double d, marginals;
  bool per_batch, partners;
  TimeDistribution time;
  int times;  // of a row
  std::int32_t *sample, *encoding, *conditioning;
  float* t;

  MLD_HD void operator()(std::int64_t b) const {
    sample[b] = static_cast<std::int32_t>(order.row(state->step, first + b));
    const auto row = static_cast<std::uint32_t>(first + b), step32 = static_cast<std::uint32_t>(state->step);
    const Words subset = draw(seed, kSiteSubset, step32, per_batch ? 0 : row, 0);
    const Subset has = index.present(sample[b]);
    const Subset present = has & ~draw_conditioning(has, 1 - marginals, u01(subset.v[2]), u01(subset.v[3]));
    const Subset given = draw_conditioning(present, d, u01(subset.v[0]), u01(subset.v[1]));
    conditioning[b] = static_cast<std::int32_t>(given);
    for (int i = 0; i < index.modalities; ++i) {
      const Words which =
          partners ? draw(seed, kSitePartner, step32, row, static_cast<std::uint32_t>(i)) : Words{};
      encoding[b * index.modalities + i] = contains(present, i)
                                               ? index.encoding(index.partner(sample[b], i, u01(which.v[0])),
                                                                i, contains(given, i), u01(which.v[1]))
                                               : -1;
    }

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
  const std::int32_t *encoding, *conditioning;
  const float *time, *noise;
  Prediction prediction;
  bool one_time, scalar_tau;  // a row has one time; tau is that time
  float *r, *tau, *target, *weight;

  template <class Team>
  MLD_HD void operator()(std::int64_t b, const Team& team) const {
    const std::int32_t* const row = encoding + b * store.modalities;
    const auto given = static_cast<Subset>(conditioning[b]);
    std::int64_t dim_present = 0, dim_diffused = 0;
    for (int i = 0; i < store.modalities; ++i) {
      dim_present += row[i] >= 0 ? store.dims[i] : 0;
      dim_diffused += row[i] >= 0 && !contains(given, i) ? store.dims[i] : 0;
    }
    const float omega = static_cast<float>(dim_present) / static_cast<float>(dim_diffused);
    for (int i = 0; i < store.modalities; ++i) {
      const bool there = row[i] >= 0, on = there && !contains(given, i);
      const float* z = there ? store.latents[i] + row[i] * store.dims[i] : nullptr;
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

struct ReferenceRow {
  const StepState* state;
  std::int64_t first;  // global row of row 0
  StoreView store;
  std::uint64_t seed;
  const std::int32_t *encoding, *conditioning;
  const float *time, *noise, *r, *tau;
  double extra, low, high;  // 1 - 1/w
  float *seen, *times, *weight;

  template <class Team>
  MLD_HD void operator()(std::int64_t b, const Team& team) const {
    Subset present = 0;
    int count = 0;
    for (int i = 0; i < store.modalities; ++i)
      if (encoding[b * store.modalities + i] >= 0) {
        present |= Subset{1} << i;
        ++count;
      }
    const auto given = static_cast<Subset>(conditioning[b]);
    const Words drawn = draw(seed, kSiteReference, static_cast<std::uint32_t>(state->step),
                             static_cast<std::uint32_t>(first + b), 0);
    const auto which = static_cast<std::uint32_t>(IndexView::below(count, u01(drawn.v[0])));
    const Subset weighed = given != 0 ? present & ~given : deposit(std::uint32_t{1} << which, present);
    const Subset without = given != 0 ? given : present & ~weighed;
    const double t = static_cast<double>(time[b]), ratio = VpSde::std_dev(t) / VpSde::mean(t);
    const bool on = without != 0 && ratio >= low && ratio <= high;
    const auto w = static_cast<float>(on ? extra * (given != 0 ? 1 : count) : 0);
    for (int i = 0; i < store.modalities; ++i) {
      const bool left_out = contains(without, i);
      team.once([&] {
        const std::int64_t at = b * store.modalities + i;
        times[at] = left_out ? 1.0f : tau[at];
      });
      const std::int64_t at = b * store.total + store.offsets[i];
      team.each(store.dims[i], [=, from = left_out ? noise : r, to = seen,
                                value = contains(weighed, i) ? w : 0.0f, weights = weight](std::int64_t j) {
        to[at + j] = from[at + j];
        weights[at + j] = value;
      });
    }
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
      partners_(options_.pairing == Pairing::fresh),
      times_(options_.variant.independent_times ? latents_.layout().modalities() : 1),
      device_(latents_.samples().device()) {
  MLD_CHECK(latents_.layout().modalities() <= kMaxModalities, "score training: at most ", kMaxModalities,
            " modalities");
  MLD_CHECK(
      options_.modality_weights.empty() || options_.modality_weights.size() == latents_.layout().dims.size(),
      "score training: one weight for each modality expected");
  for (int i = 0; i < latents_.layout().modalities(); ++i) partners_ |= latents_.encodings(i) > 1;
  MLD_CHECK(options_.batch >= 1 && options_.batch <= latents_.num_samples(), "score training: batch ",
            options_.batch, " does not fit ", latents_.num_samples(), " samples");
}

BatchDraw ScoreBatcher::draw(const StepState* state) const {
  const std::int64_t batch = rows_.count;
  const std::int64_t modalities = latents_.layout().modalities();
  BatchDraw out{
      Tensor::empty({batch}, DType::i32, device_), Tensor::empty({batch, modalities}, DType::i32, device_),
      Tensor::empty({batch}, DType::i32, device_), Tensor::empty({batch, times_}, DType::f32, device_),
      Tensor::empty({batch, latents_.layout().total}, DType::f32, device_)};
  const DrawRow f{state,
                  rows_.first,
                  index_view(latents_, options_),
                  order_,
                  seed_,
                  options_.variant.conditions ? options_.d : 1,
                  options_.marginals,
                  options_.subsets == SubsetDraw::per_batch,
                  partners_,
                  options_.time,
                  static_cast<int>(times_),
                  out.sample.ptr<std::int32_t>(),
                  out.encoding.ptr<std::int32_t>(),
                  out.conditioning.ptr<std::int32_t>(),
                  out.time.ptr<float>()};
  for_each(device_, batch, f);
  fill_normal(out.noise, DrawKey{.state = state, .site = kSiteNoise, .first_row = rows_.first});
  return out;
}

ScoreBatch ScoreBatcher::perturb(const BatchDraw& draw) const {
  const std::int64_t batch = draw.encoding.shape()[0], total = latents_.layout().total;
  const bool scalar_tau = options_.variant.one_time;
  const std::int64_t modalities = scalar_tau ? 1 : latents_.layout().modalities();
  ScoreBatch out{Tensor::empty({batch, total}, DType::f32, device_),
                 Tensor::empty({batch, modalities}, DType::f32, device_),
                 Tensor::empty({batch, total}, DType::f32, device_),
                 Tensor::empty({batch, total}, DType::f32, device_)};
  const PerturbRow f{view(latents_, options_),
                     draw.encoding.ptr<std::int32_t>(),
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

ReferenceBatch ScoreBatcher::reference(const StepState* state, const BatchDraw& draw,
                                       const ScoreBatch& batch) const {
  MLD_CHECK(times_ == 1 && !options_.variant.one_time, "score training: only mld has guidance trained in");
  const Shape& shape = batch.r.shape();
  const Tensor noise = Tensor::empty(shape, DType::f32, device_);
  fill_normal(noise, DrawKey{.state = state, .site = kSiteAbsent, .first_row = rows_.first});
  ReferenceBatch out{Tensor::empty(shape, DType::f32, device_),
                     Tensor::empty(batch.tau.shape(), DType::f32, device_),
                     Tensor::empty(shape, DType::f32, device_)};
  for_each_row(
      device_, shape[0], shape[1],
      ReferenceRow{state, rows_.first, view(latents_, options_), seed_, draw.encoding.ptr<std::int32_t>(),
                   draw.conditioning.ptr<std::int32_t>(), draw.time.ptr<float>(), noise.ptr<float>(),
                   batch.r.ptr<float>(), batch.tau.ptr<float>(), 1 - 1 / options_.guidance,
                   options_.guidance_low, options_.guidance_high, out.r.ptr<float>(), out.tau.ptr<float>(),
                   out.weight.ptr<float>()});
  return out;
}

}  // namespace mld
