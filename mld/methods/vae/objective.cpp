#include "mld/methods/vae/objective.h"

#include <bit>

#include "engine/ops/ops.h"

namespace mld::vae {
namespace {

// Whether the prior is an expert beside those of `given`.
bool with_prior(const Objective& o, Subset given, int modalities) {
  switch (o.kind) {
    case ModelKind::mvae:
      return true;
    case ModelKind::mopoe:
      return given == full_set(modalities);
    case ModelKind::mvtcae:
      return o.prior_expert;
    default:
      return false;
  }
}

Gaussian product_of(const Objective& o, std::span<const Gaussian> experts, Subset given,
                    const Presence* presence) {
  std::vector<Gaussian> chosen;
  std::vector<Tensor> there;
  for (int m = 0; m < static_cast<int>(experts.size()); ++m) {
    if (!contains(given, m)) continue;
    chosen.push_back(experts[static_cast<std::size_t>(m)]);
    if (presence != nullptr) there.push_back(presence->has(Subset{1} << m).rows);
  }
  return product(chosen, with_prior(o, given, static_cast<int>(experts.size())), there);
}

Var scaled_sum(const Var& sum, const Var& term, double scale) {
  const Var part = scale == 1 ? term : affine(term, scale, 0);
  return sum.value.defined() ? add(sum, part) : part;
}

// The unimodal bounds of MVAE: each modality from itself.
Var add_unimodal(const Objective& o, const Encoded& batch, const Presence& presence, Var total) {
  for (int m = 0; m < static_cast<int>(batch.experts.size()); ++m) {
    const Tensor rows = presence.has(Subset{1} << m).rows;
    const Gaussian q = posterior(o, batch.experts, Subset{1} << m);
    const Var z = draw(q, batch.noise(static_cast<std::uint32_t>(m) + 1, q.mean.shape()[1]));
    total = scaled_sum(total, batch.reconstruction(m, z, rows), 1);
    total = add(total, kl_to_prior(q, o.beta / static_cast<double>(batch.total), rows));
  }
  return total;
}

}  // namespace

std::vector<Subset> mixed_sets(ModelKind kind, int modalities) {
  if (kind != ModelKind::mmvae && kind != ModelKind::mopoe) return {full_set(modalities)};
  std::vector<Subset> sets;
  for (Subset set : all_subsets(modalities))
    if (kind == ModelKind::mopoe || std::popcount(set) == 1) sets.push_back(set);
  return sets;
}

Gaussian posterior(const Objective& o, std::span<const Gaussian> experts, Subset given) {
  return product_of(o, experts, given, nullptr);
}

Var loss(const Objective& o, const Encoded& batch) {
  const int modalities = static_cast<int>(batch.experts.size());
  const Presence presence(modalities, batch.present, batch.experts[0].mean.value.dtype());
  const std::vector<Subset> sets = mixed_sets(o.kind, modalities);
  const bool mixed = sets.size() > 1;
  std::vector<Gaussian> components;
  RowNumber possible{0};
  for (const Subset set : sets) {
    // A row has all modalities of the component that serves it, but where there is one component for all.
    components.push_back(
        product_of(o, batch.experts, set, mixed || presence.complete() ? nullptr : &presence));
    possible = possible + presence.has(set);
  }
  const Gaussian joint =
      mixed ? mixture(components, batch.component_rows(std::ssize(components))) : components[0];
  const Var z = draw(joint, batch.noise(0, joint.mean.shape()[1]));

  const bool correlated = o.kind == ModelKind::mvtcae;
  const RowNumber m = presence.count();
  const double mean = 1 / static_cast<double>(batch.total);
  Var sum;
  for (int i = 0; i < modalities; ++i) {
    const RowNumber there = presence.has(Subset{1} << i),
                    share = correlated ? there * (m - o.alpha) / m : there;
    sum = scaled_sum(sum, batch.reconstruction(i, z, share.rows),
                     batch.weights[static_cast<std::size_t>(i)] * share.same);
  }
  for (std::size_t k = 0; k < sets.size(); ++k) {
    const RowNumber share = mixed        ? presence.has(sets[k]) / possible
                            : correlated ? RowNumber{1 - o.alpha}
                                         : RowNumber{};
    sum = add(sum, kl_to_prior(components[k], o.beta * share.same * mean, share.rows));
  }
  for (int i = 0; correlated && i < modalities; ++i) {
    const RowNumber share = presence.has(Subset{1} << i) / m;
    sum = add(sum, kl(joint, batch.experts[static_cast<std::size_t>(i)], o.beta * o.alpha * share.same * mean,
                      share.rows));
  }
  return o.kind == ModelKind::mvae ? add_unimodal(o, batch, presence, sum) : sum;
}

}  // namespace mld::vae
