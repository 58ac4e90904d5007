#include "mld/methods/vae/vae_model.h"

namespace mld::vae {

std::int64_t latent_of(const Config& config, std::size_t i) {
  return config.model.kind == ModelKind::nexus ? config.modalities[i].latent : config.vae.latent;
}

VaeModel::VaeModel(const Config& config, const std::vector<data::Modality>& infos) {
  constexpr int kHeads = 2;
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
