#include "tools/bench/item_cases.h"

#include <vector>

#include "mld/diffusion/noise.h"
#include "mld/methods/vae/draws.h"
#include "mld/methods/vae_training.h"
#include "mld/modality/autoencoders.h"
#include "tools/bench/score_configs.h"

namespace mld::bench {
namespace {

nn::Context training_context(const StepState* state) {
  return {.training = true, .key = {.state = state, .site = kFirstLayerSite}};
}

// How often each matrix and kernel of an autoencoder is applied to a sample, that is at how many places of
// its smaller map.
using Uses = std::vector<i64>;
const Uses kMnistUses{1, 1, 1, 1}, kSvhnUses{256, 64, 16, 1, 1, 16, 64, 256},
    kPolymnistUses{196, 49, 16, 1, 1, 1, 16, 49, 196}, kSoundUses{32, 16, 8, 1, 1, 8, 16, 32};

// Of a train step that encodes a batch once.
double train_flops(Autoencoder& net, const Uses& uses, i64 batch, i64 decodings) {
  return matrix_flops(nn::walk(net), [&](const std::string& name, std::size_t number) {
    const i64 times = name.starts_with("decoder") ? decodings : 1;
    return static_cast<double>((number == 0 ? 2 : 3) * times * batch * uses.at(number));
  });
}

Case train_autoencoder(const Config& config, std::size_t modality, const Shape& shape, const Uses& uses,
                       Device device) {
  const ModalityConfig m = config.modalities[modality];
  const i64 batch = m.stage1.batch;
  const ItemBatch items{random_values(batch_shape(batch, shape), 1, false, device), {}};
  const auto loss = [m, items](const Autoencoder& net, const StepState* state) {
    return reconstruction_loss(m, net, items, items.x.shape()[0], training_context(state));
  };
  const auto training = std::make_shared<Training<Autoencoder>>(
      make_autoencoder(m.autoencoder, shape, m.latent), m.stage1, device, loss);
  return training_case(training, train_flops(training->model, uses, batch, 1));
}

Case train_vae(ModelKind kind, Device device) {
  Config config = preset("mnist-svhn");
  config.model.kind = kind;
  std::vector<data::Modality> infos(2);
  infos[0].shape = {28, 28, 1};
  infos[1].shape = {32, 32, 3};
  const i64 batch = config.vae.batch;
  std::vector<ItemBatch> items;
  for (data::Modality& info : infos) {
    info.kind = data::ModalityKind::image;
    const auto site = static_cast<std::uint32_t>(items.size()) + 1;
    items.push_back({random_values(batch_shape(batch, info.shape), site, false, device), {}});
  }
  const VaeBatch fed{items, {0, batch, batch}, vae::set_list(vae::mixed_sets(kind, 2), device)};
  const auto loss = [config, fed](const vae::VaeModel& model, const StepState* state) {
    return vae::loss(vae_objective(config), encoded(config, model, fed, training_context(state)));
  };
  const auto training =
      std::make_shared<Training<vae::VaeModel>>(vae::VaeModel(config, infos), config.vae, device, loss);
  std::vector<Autoencoder>& views = training->model.views;
  const i64 decodings = kind == ModelKind::mvae ? 2 : 1;  // of the joint draw, and of the modality's own
  return training_case(training, train_flops(views[0], kMnistUses, batch, decodings) +
                                     train_flops(views[1], kSvhnUses, batch, decodings));
}

}  // namespace

std::optional<Case> train_on_items(const std::string& name, Device device) {
  if (name == "mnist") return train_autoencoder(preset("mnist-svhn"), 0, {28, 28, 1}, kMnistUses, device);
  if (name == "svhn") return train_autoencoder(preset("mnist-svhn"), 1, {32, 32, 3}, kSvhnUses, device);
  if (name == "polymnist")
    return train_autoencoder(preset("polymnist"), 0, {28, 28, 3}, kPolymnistUses, device);
  if (name == "sound") return train_autoencoder(preset("mhd"), 1, {32, 128, 1}, kSoundUses, device);
  if (name == "mopoe") return train_vae(ModelKind::mopoe, device);
  if (name == "mvae") return train_vae(ModelKind::mvae, device);
  return {};
}

}  // namespace mld::bench
