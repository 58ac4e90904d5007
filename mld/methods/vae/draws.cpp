#include "mld/methods/vae/draws.h"

#include "engine/loops/drivers.h"
#include "engine/ops/random.h"
#include "engine/random/philox.h"
#include "mld/config/config.h"
#include "mld/diffusion/noise.h"

namespace mld::vae {
namespace {

MLD_HD std::int64_t below(std::int64_t count, float u) {
  const auto k = static_cast<std::int64_t>(u * static_cast<float>(count));
  return k < count ? k : count - 1;
}

struct ComponentOfRow {
  const StepState* state;
  bool in_turns;
  std::int64_t components, first, count, total;
  std::int32_t* row;
  MLD_HD void operator()(std::int64_t b) const {
    std::int64_t k = components - 1;
    if (in_turns) {
      const std::int64_t each = total / components;
      if (each > 0 && (first + b) / each < k) k = (first + b) / each;
    } else {
      const Words w = draw(state->seed, kSiteComponent, static_cast<std::uint32_t>(state->step),
                           static_cast<std::uint32_t>(first + b), 0);
      k = below(components, u01(w.v[0]));
    }
    row[b] = static_cast<std::int32_t>(k * count + b);
  }
};

struct MessageWeights {
  const StepState* state;
  double dropped;
  int modalities;
  std::int64_t first;
  float* weights[kMaxModalities];
  MLD_HD void operator()(std::int64_t b) const {
    const auto step = static_cast<std::uint32_t>(state->step), row = static_cast<std::uint32_t>(first + b);
    const Words w = draw(state->seed, kSiteMessages, step, row, 0);
    int keep = modalities;
    if (modalities > 1 && static_cast<double>(u01(w.v[0])) < dropped)
      keep = modalities - 1 - static_cast<int>(below(modalities - 1, u01(w.v[1])));
    int left = keep;
    for (int i = 0; i < modalities; ++i) {  // each set of `keep` is as likely as any other
      const Words one = draw(state->seed, kSiteMessages, step, row, static_cast<std::uint32_t>(i) + 1);
      const bool kept = u01(one.v[0]) * static_cast<float>(modalities - i) < static_cast<float>(left);
      weights[i][b] = kept ? 1.0f / static_cast<float>(keep) : 0.0f;
      if (kept) --left;
    }
  }
};

struct WarmUp {
  const StepState* state;
  std::int64_t steps_per_epoch;
  double epochs;
  float* weight;
  MLD_HD void operator()(std::int64_t) const {
    const double share = static_cast<double>(state->step / steps_per_epoch + 1) / epochs;
    weight[0] = share < 1 ? static_cast<float>(share) : 1.0f;
  }
};

}  // namespace

Tensor noise(const StepState* state, const data::BatchRows& rows, std::int64_t latent, std::uint32_t number,
             Device device) {
  const Tensor out = Tensor::empty({rows.count, latent}, DType::f32, device);
  fill_normal(out, {.state = state, .site = kSitePosterior + number, .first_row = rows.first});
  return out;
}

Tensor component_rows(MixtureSplit split, std::int64_t components, const data::BatchRows& rows,
                      const StepState* state, Device device) {
  const Tensor out = Tensor::empty({rows.count}, DType::i32, device);
  for_each(device, rows.count,
           ComponentOfRow{state, split == MixtureSplit::batch, components, rows.first, rows.count, rows.total,
                          out.ptr<std::int32_t>()});
  return out;
}

std::vector<Tensor> message_weights(double dropped, int modalities, const data::BatchRows& rows,
                                    const StepState* state, Device device) {
  std::vector<Tensor> columns;
  MessageWeights f{state, dropped, modalities, rows.first, {}};
  for (int i = 0; i < modalities; ++i) {
    columns.push_back(Tensor::empty({rows.count, 1}, DType::f32, device));
    f.weights[i] = columns.back().ptr<float>();
  }
  for_each(device, rows.count, f);
  return columns;
}

Tensor warm_up(const StepState* state, std::int64_t steps_per_epoch, double epochs, Device device) {
  if (epochs <= 0) return Tensor::full({1}, 1, DType::f32, device);
  const Tensor out = Tensor::empty({1}, DType::f32, device);
  for_each(device, 1, WarmUp{state, steps_per_epoch, epochs, out.ptr<float>()});
  return out;
}

}  // namespace mld::vae
