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
    kPolymnistUses{196, 49, 16, 1, 1, 1, 16, 49, 196}, kSoundUses{32, 16, 8, 1, 1, 8, 16, 32},
    kCubImageUses{4096, 4096, 4096, 1024, 1024, 1024, 256,  256,  256,  1,
                  1,    256,  256,  256,  1024, 1024, 1024, 4096, 4096, 4096},
    kCubCaptionUses{16, 16, 8, 8, 8, 4, 4, 4, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 4, 4, 4, 8, 8, 8, 16};

// Of a train step that encodes a batch once.
double train_flops(Autoencoder& net, const Uses& uses, i64 batch, i64 decodings) {
  return matrix_flops(nn::walk(net), [&](const std::string& name, std::size_t number) {
    const i64 times = name.starts_with("decoder") ? decodings : 1;
    return static_cast<double>((number == 0 ? 2 : 3) * times * batch * uses.at(number));
  });
}

Tensor random_items(const data::Modality& info, i64 batch, Device device) {
  const Tensor values = random_values(batch_shape(batch, sample_shape(info)), 1, false, kCpu);
  if (!data::is_discrete(info.kind)) return values.to(device);
  const Tensor tokens = make_items(info, batch);
  for (i64 i = 0; i < tokens.numel(); ++i)
    tokens.data<std::int32_t>()[i] =
        static_cast<std::int32_t>(values.data<float>()[i] * static_cast<float>(info.categories));
  return tokens.to(device);
}

Case train_autoencoder(const Config& config, std::size_t modality, const data::Modality& info,
                       const Uses& uses, Device device) {
  const ModalityConfig m = config.modalities[modality];
  const i64 batch = m.stage1.batch;
  const Tensor items = random_items(info, batch, device);
  const auto loss = [m, items, batch](const Autoencoder& net, const StepState* state) {
    return reconstruction_loss(m, net, items, batch, training_context(state));
  };
  const auto training =
      std::make_shared<Training<Autoencoder>>(make_autoencoder(m, info), m.stage1, device, loss);
  return training_case(training, train_flops(training->model, uses, batch, 1));
}

data::Modality picture(const Shape& shape) {
  data::Modality info;
  info.kind = data::ModalityKind::image;
  info.shape = shape;
  return info;
}

Case train_vae(ModelKind kind, Device device) {
  Config config = preset("mnist-svhn");
  config.model.kind = kind;
  const std::vector<data::Modality> infos{picture({28, 28, 1}), picture({32, 32, 3})};
  const i64 batch = config.vae.batch;
  std::vector<Tensor> items;
  for (const data::Modality& info : infos)
    items.push_back(random_values(batch_shape(batch, info.shape),
                                  static_cast<std::uint32_t>(items.size()) + 1, false, device));
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
  const auto of = [&](const char* preset_name, std::size_t modality, const data::Modality& info,
                      const Uses& uses) {
    return train_autoencoder(preset(preset_name), modality, info, uses, device);
  };
  if (name == "mnist") return of("mnist-svhn", 0, picture({28, 28, 1}), kMnistUses);
  if (name == "svhn") return of("mnist-svhn", 1, picture({32, 32, 3}), kSvhnUses);
  if (name == "polymnist") return of("polymnist", 0, picture({28, 28, 3}), kPolymnistUses);
  if (name == "sound") return of("mhd", 1, picture({32, 128, 1}), kSoundUses);
  if (name == "cub-image") return of("cub", 0, picture({64, 64, 3}), kCubImageUses);
  if (name == "cub-caption") {
    data::Modality caption;
    caption.kind = data::ModalityKind::tokens;
    caption.shape = {32};
    caption.categories = 1590;
    return of("cub", 1, caption, kCubCaptionUses);
  }
  if (name == "mopoe") return train_vae(ModelKind::mopoe, device);
  if (name == "mvae") return train_vae(ModelKind::mvae, device);
  return {};
}

}  // namespace mld::bench
