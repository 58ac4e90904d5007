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

Var scaled_sum(const Var& sum, const Var& term, double scale) {
  const Var part = scale == 1 ? term : affine(term, scale, 0);
  return sum.value.defined() ? add(sum, part) : part;
}

// The unimodal bounds of MVAE: each modality from itself.
Var add_unimodal(const Objective& o, const Encoded& batch, Var total) {
  for (int m = 0; m < static_cast<int>(batch.experts.size()); ++m) {
    const Gaussian q = posterior(o, batch.experts, Subset{1} << m);
    const Var z = draw(q, batch.noise(static_cast<std::uint32_t>(m) + 1, q.mean.shape()[1]));
    total = scaled_sum(total, batch.reconstruction(m, z), 1);
    total = add(total, kl_to_prior(q, o.beta / static_cast<double>(batch.total)));
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
  std::vector<Gaussian> chosen;
  for (std::size_t m = 0; m < experts.size(); ++m)
    if (contains(given, static_cast<int>(m))) chosen.push_back(experts[m]);
  return product(chosen, with_prior(o, given, static_cast<int>(experts.size())));
}

Var loss(const Objective& o, const Encoded& batch) {
  const int modalities = static_cast<int>(batch.experts.size());
  const auto m = static_cast<double>(modalities), total = static_cast<double>(batch.total);
  std::vector<Gaussian> components;
  for (const Subset set : mixed_sets(o.kind, modalities))
    components.push_back(posterior(o, batch.experts, set));
  const auto k = std::ssize(components);
  const Gaussian joint = k == 1 ? components[0] : mixture(components, batch.component_rows(k));
  const Var z = draw(joint, batch.noise(0, joint.mean.shape()[1]));

  const bool correlated = o.kind == ModelKind::mvtcae;
  Var sum;
  for (int i = 0; i < modalities; ++i)
    sum = scaled_sum(sum, batch.reconstruction(i, z),
                     batch.weights[static_cast<std::size_t>(i)] * (correlated ? (m - o.alpha) / m : 1));
  const double share = correlated ? 1 - o.alpha : 1 / static_cast<double>(k);
  for (const Gaussian& q : components) sum = add(sum, kl_to_prior(q, o.beta * share / total));
  if (correlated)
    for (const Gaussian& q : batch.experts) sum = add(sum, kl(joint, q, o.beta * o.alpha / (m * total)));
  return o.kind == ModelKind::mvae ? add_unimodal(o, batch, sum) : sum;
}

}  // namespace mld::vae
