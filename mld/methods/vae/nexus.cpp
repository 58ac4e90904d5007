#include "mld/methods/vae/nexus.h"

#include "engine/ops/ops.h"

namespace mld::vae {
namespace {

constexpr double kLeak = 0.01;

// Linear, batch norm, leaky ReLU, once for each width.
void append_hidden(nn::Sequential& net, const std::vector<std::int64_t>& widths) {
  for (const std::int64_t width : widths) {
    net.append(nn::Linear(net.output().numel(), width));
    net.append(nn::BatchNorm(width, {.act = nn::leaky_relu(kLeak)}));
  }
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
  Var reconstructions, divergences, average;
  const auto add_to = [](Var& sum, const Var& term) { sum = sum.value.defined() ? add(sum, term) : term; };
  std::vector<Tensor> latents;  // which no gradient enters from above
  for (int i = 0; i < modalities; ++i) {
    const auto k = static_cast<std::size_t>(i);
    const Gaussian& q = batch.experts[k];
    const Var z = draw(q, batch.noise(static_cast<std::uint32_t>(i), q.mean.shape()[1]));
    add_to(reconstructions, affine(batch.reconstruction(i, z), batch.weights[k], 0));
    add_to(divergences, kl_to_prior(q, mean));
    latents.push_back(z.value);
    add_to(average, mul(upper.message(i, latents.back(), context), o.told[k]));
  }
  const Gaussian above = upper.posterior(average, context);
  const Var h = draw(above, batch.noise(static_cast<std::uint32_t>(modalities), above.mean.shape()[1]));
  add_to(divergences, kl_to_prior(above, o.beta * mean));
  for (int i = 0; i < modalities; ++i) {
    const auto k = static_cast<std::size_t>(i);
    add_to(reconstructions, squared_error(upper.latent(i, h, context), latents[k], batch.weights[k] * mean));
  }
  return add(reconstructions, mul(divergences, o.warm_up));
}

}  // namespace mld::vae
