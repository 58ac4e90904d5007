#include "mld/methods/vae/draws.h"

#include <bit>

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

struct PresentSet {
  const StepState* state;
  data::BatchOrder order;
  std::int64_t first;
  const std::int32_t* table;
  std::int32_t* out;
  MLD_HD void operator()(std::int64_t b) const { out[b] = table[order.row(state->step, first + b)]; }
};

struct ComponentOfRow {
  const StepState* state;
  bool in_turns;
  std::int64_t components, first, count, total;
  const std::int32_t *sets, *present;  // present may be null
  std::int32_t* row;

  MLD_HD bool is_possible(std::int64_t k, std::int64_t b) const { return (sets[k] & ~present[b]) == 0; }
  MLD_HD std::int64_t number_possible(std::int64_t b) const {
    if (present == nullptr) return components;
    std::int64_t n = 0;
    for (std::int64_t k = 0; k < components; ++k) n += is_possible(k, b) ? 1 : 0;
    return n;
  }
  // The n-th of those that are.
  MLD_HD std::int64_t possible(std::int64_t n, std::int64_t b) const {
    if (present == nullptr) return n;
    for (std::int64_t k = 0; k < components; ++k)
      if (is_possible(k, b) && n-- == 0) return k;
    return components - 1;
  }
  MLD_HD void operator()(std::int64_t b) const {
    const std::int64_t choices = number_possible(b);
    std::int64_t n = components - 1;
    if (in_turns && choices < components) {
      n = (first + b) * choices / total;
    } else if (in_turns) {
      const std::int64_t each = total / components;
      if (each > 0 && (first + b) / each < n) n = (first + b) / each;
    } else {
      const Words w = draw(state->seed, kSiteComponent, static_cast<std::uint32_t>(state->step),
                           static_cast<std::uint32_t>(first + b), 0);
      n = below(choices, u01(w.v[0]));
    }
    row[b] = static_cast<std::int32_t>(possible(n, b) * count + b);
  }
};

struct MessageWeights {
  const StepState* state;
  double dropped;
  int modalities;
  std::int64_t first;
  const std::int32_t* present;  // may be null
  float* weights[kMaxModalities];
  MLD_HD void operator()(std::int64_t b) const {
    const auto step = static_cast<std::uint32_t>(state->step), row = static_cast<std::uint32_t>(first + b);
    const Subset there = present ? static_cast<Subset>(present[b]) : full_set(modalities);
    const int all = std::popcount(there);
    const Words w = draw(state->seed, kSiteMessages, step, row, 0);
    int keep = all;
    if (all > 1 && static_cast<double>(u01(w.v[0])) < dropped)
      keep = all - 1 - static_cast<int>(below(all - 1, u01(w.v[1])));
    int left = keep, to_come = all;
    for (int i = 0; i < modalities; ++i) {  // each set of `keep` is as likely as any other
      const Words one = draw(state->seed, kSiteMessages, step, row, static_cast<std::uint32_t>(i) + 1);
      const bool kept =
          contains(there, i) && u01(one.v[0]) * static_cast<float>(to_come) < static_cast<float>(left);
      weights[i][b] = kept ? 1.0f / static_cast<float>(keep) : 0.0f;
      if (kept) --left;
      if (contains(there, i)) --to_come;
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

Tensor set_list(std::span<const Subset> sets, Device device) {
  return Tensor::from(std::vector<std::int32_t>(sets.begin(), sets.end()), {std::ssize(sets)}, device);
}

Tensor present_sets(const Tensor& table, const data::BatchOrder& order, const data::BatchRows& rows,
                    const StepState* state) {
  const Tensor out = Tensor::empty({rows.count}, DType::i32, table.device());
  for_each(table.device(), rows.count,
           PresentSet{state, order, rows.first, table.ptr<std::int32_t>(), out.ptr<std::int32_t>()});
  return out;
}

Tensor component_rows(MixtureSplit split, const Tensor& sets, const Tensor& present,
                      const data::BatchRows& rows, const StepState* state) {
  const Tensor out = Tensor::empty({rows.count}, DType::i32, sets.device());
  for_each(
      sets.device(), rows.count,
      ComponentOfRow{state, split == MixtureSplit::batch, sets.numel(), rows.first, rows.count, rows.total,
                     sets.ptr<std::int32_t>(), present.defined() ? present.ptr<std::int32_t>() : nullptr,
                     out.ptr<std::int32_t>()});
  return out;
}

std::vector<Tensor> message_weights(double dropped, int modalities, const Tensor& present,
                                    const data::BatchRows& rows, const StepState* state, Device device) {
  std::vector<Tensor> columns;
  MessageWeights f{
      state, dropped, modalities, rows.first, present.defined() ? present.ptr<std::int32_t>() : nullptr, {}};
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
