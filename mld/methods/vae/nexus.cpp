#include "mld/methods/vae/nexus.h"

#include <cmath>
#include <numbers>

#include "engine/ops/ops.h"

namespace mld::vae {
namespace {

constexpr double kLeak = 0.01, kMaxRows = 1e9;

// Linear, batch norm, leaky ReLU, once for each width.
void append_hidden(nn::Sequential& net, const std::vector<std::int64_t>& widths) {
  for (const std::int64_t width : widths) {
    net.append(nn::Linear(net.output().numel(), width));
    net.append(nn::BatchNorm(width, {.act = nn::leaky_relu(kLeak)}));
  }
}

// -log N(z; made, s^2) summed over coordinates and the rows that count, s^2 the mean square of all those distances, as
// a share of a batch of `total`: the s that fits best, which the gradient goes through.
Var optimal_scale_nll(const Var& made, const Tensor& z, double weight, const RowNumber& rows,
                      std::int64_t total) {
  constexpr double kSmallest = 1e-8;
  const auto size = static_cast<double>(z.shape()[1]);
  const RowNumber counted =
      rows.rows.defined() ? RowNumber{1, sum(rows.rows).value} : RowNumber{static_cast<double>(z.shape()[0])};
  Var squares = squared_error(made, z, 1 / (size * counted.same), rows.rows);
  if (counted.rows.defined()) squares = div(squares, clamp(counted.rows, 1, kMaxRows));
  const double half = 0.5 * size * weight * counted.same / static_cast<double>(total);
  const Var nll =
      affine(log(affine(squares, 1, kSmallest)), half, half * (1 + std::log(2 * std::numbers::pi)));
  return counted.rows.defined() ? mul(nll, counted.rows) : nll;
}

}  // namespace

UpperLevel::UpperLevel(const VaeConfig& config, const std::vector<std::int64_t>& latents)
    : encoder_(Shape{config.message}) {
  append_hidden(encoder_, config.hidden);
  encoder_.append(nn::Linear(encoder_.output().numel(), 2 * config.nexus_latent));
  for (const std::int64_t latent : latents) {
    messages_.emplace_back(latent, config.message);
    nn::Sequential& decoder = decoders_.emplace_back(Shape{config.nexus_latent});
    append_hidden(decoder, config.hidden);
    append_hidden(decoder, {config.message});
    decoder.append(nn::Linear(config.message, latent));
  }
}

Var nexus_loss(const UpperLevel& upper, const NexusObjective& o, const Encoded& batch,
               const nn::Context& context) {
  const auto modalities = static_cast<int>(batch.experts.size());
  const double mean = 1.0 / static_cast<double>(batch.total);
  const Presence presence(modalities, batch.present, batch.experts[0].mean.value.dtype());
  Var reconstructions, divergences, average;
  const auto add_to = [](Var& sum, const Var& term) { sum = sum.value.defined() ? add(sum, term) : term; };
  std::vector<Tensor> latents;  // which no gradient enters from above
  for (int i = 0; i < modalities; ++i) {
    const auto k = static_cast<std::size_t>(i);
    const Gaussian& q = batch.experts[k];
    const Tensor rows = presence.has(Subset{1} << i).rows;
    const Var z = draw(q, batch.noise(static_cast<std::uint32_t>(i), q.mean.shape()[1]));
    add_to(reconstructions, affine(batch.reconstruction(i, z, rows), batch.weights[k], 0));
    add_to(divergences, kl_to_prior(q, mean, rows));
    latents.push_back(z.value);
    add_to(average, mul(upper.message(i, latents.back(), context), o.told[k]));
  }
  const Gaussian above = upper.posterior(average, context);
  const Var h = draw(above, batch.noise(static_cast<std::uint32_t>(modalities), above.mean.shape()[1]));
  add_to(divergences, kl_to_prior(above, o.beta * mean));
  for (int i = 0; i < modalities; ++i) {
    const auto k = static_cast<std::size_t>(i);
    const RowNumber rows = presence.has(Subset{1} << i);
    const Var made = upper.latent(i, h, context);
    const double weight = batch.weights[k] * o.upper[k];
    add_to(reconstructions, o.scales[k] == LatentScale::optimal
                                ? optimal_scale_nll(made, latents[k], weight, rows, batch.total)
                                : squared_error(made, latents[k], weight * mean, rows.rows));
  }
  return add(reconstructions, mul(divergences, o.warm_up));
}

}  // namespace mld::vae
