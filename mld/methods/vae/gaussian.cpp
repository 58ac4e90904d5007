#include "mld/methods/vae/gaussian.h"

#include <cmath>
#include <vector>

#include "engine/ops/ops.h"

namespace mld::vae {
namespace {

constexpr double kSmallest = 1e-8;  // added to variances, as the authors' code does

Var constant(double value, const Var& like) { return Tensor::full({1}, value, like.dtype(), like.device()); }

// 1 / (exp(l) + s) = sigmoid(log s - l) / s, which neither overflows nor loses its gradient for an expert that says
// nothing: the prior beside it bounds the product, so that nothing bounds its variance.
Var precision(const Var& log_var) {
  return affine(sigmoid(affine(log_var, -1, std::log(kSmallest))), 1 / kSmallest, 0);
}

Var sum_of_rows(const Var& x, const Tensor& rows) { return sum(rows.defined() ? mul(x, rows) : x); }

}  // namespace

Gaussian from_heads(const Var& heads) {
  const std::int64_t size = heads.shape()[1] / 2;
  return {slice(heads, 1, 0, size), slice(heads, 1, size, size)};
}

Gaussian product(std::span<const Gaussian> factors, bool prior, std::span<const Tensor> there) {
  MLD_CHECK(!factors.empty(), "product of no Gaussians");
  if (factors.size() == 1 && !prior) return factors[0];
  Var precisions, weighted;
  for (std::size_t k = 0; k < factors.size(); ++k) {
    const Var own = precision(factors[k].log_var), t = there.empty() ? own : mul(own, there[k]);
    const Var m = mul(t, factors[k].mean);
    precisions = k == 0 ? t : add(precisions, t);
    weighted = k == 0 ? m : add(weighted, m);
  }
  if (prior) precisions = affine(precisions, 1, 1 / (1 + kSmallest));
  const Var variance = div(constant(1, precisions), precisions);
  return {mul(variance, weighted), log(affine(variance, 1, kSmallest))};
}

Gaussian mixture(std::span<const Gaussian> components, const Tensor& rows) {
  if (components.size() == 1) return components[0];
  std::vector<Var> means, log_vars;
  for (const Gaussian& q : components) {
    means.push_back(q.mean);
    log_vars.push_back(q.log_var);
  }
  return {gather_rows(concat(means, 0), rows), gather_rows(concat(log_vars, 0), rows)};
}

Var draw(const Gaussian& q, const Tensor& noise) {
  return add(q.mean, mul(exp(affine(q.log_var, 0.5, 0)), noise));
}

Var kl_to_prior(const Gaussian& q, double scale, const Tensor& rows) {
  const Var twice = sub(add(square(q.mean), exp(q.log_var)), affine(q.log_var, 1, 1));
  return affine(sum_of_rows(twice, rows), 0.5 * scale, 0);
}

Var kl(const Gaussian& q, const Gaussian& p, double scale, const Tensor& rows) {
  const Var log_ratio = sub(q.log_var, p.log_var);
  const Var apart = mul(square(sub(q.mean, p.mean)), exp(affine(p.log_var, -1, 0)));
  return affine(sum_of_rows(sub(add(exp(log_ratio), apart), affine(log_ratio, 1, 1)), rows), 0.5 * scale, 0);
}

}  // namespace mld::vae
