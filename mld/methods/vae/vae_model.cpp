#include "mld/methods/vae/vae_model.h"

namespace mld::vae {
namespace {

constexpr double kLeak = 0.01;
constexpr int kHeads = 2;

// Linear, batch norm, leaky ReLU, once for each width.
void append_hidden(nn::Sequential& net, const std::vector<std::int64_t>& widths) {
  for (const std::int64_t width : widths) {
    net.append(nn::Linear(net.output().numel(), width));
    net.append(nn::BatchNorm(width, {.act = nn::leaky_relu(kLeak)}));
  }
}

}  // namespace

std::int64_t latent_of(const Config& config, std::size_t i) {
  return config.model.kind == ModelKind::nexus ? config.modalities[i].latent : config.vae.latent;
}

UpperLevel::UpperLevel(const VaeConfig& config, const std::vector<std::int64_t>& latents)
    : encoder_(Shape{config.message}) {
  append_hidden(encoder_, config.hidden);
  encoder_.append(nn::Linear(encoder_.output().numel(), kHeads * config.nexus_latent));
  for (const std::int64_t latent : latents) {
    messages_.emplace_back(latent, config.message);
    nn::Sequential& decoder = decoders_.emplace_back(Shape{config.nexus_latent});
    append_hidden(decoder, config.hidden);
    append_hidden(decoder, {config.message});
    decoder.append(nn::Linear(config.message, latent));
  }
}

VaeModel::VaeModel(const Config& config, const std::vector<data::Modality>& infos) {
  std::vector<std::int64_t> latents;
  for (std::size_t i = 0; i < infos.size(); ++i) {
    ModalityConfig m = config.modalities[i];
    m.latent = latent_of(config, i);
    names.push_back(m.name);
    views.push_back(make_autoencoder(m, infos[i], kHeads));
    apply_init(m.stage1.init, nn::walk(views.back()));
    latents.push_back(m.latent);
  }
  if (config.model.kind == ModelKind::nexus) upper.emplace(config.vae, latents);
}

}  // namespace mld::vae
