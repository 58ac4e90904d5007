#include "mld/modality/autoencoders.h"

#include <algorithm>
#include <cmath>

#include "engine/ops/ops.h"
#include "mld/config/config_fields.h"
#include "mld/diffusion/noise.h"

namespace mld {
namespace {

constexpr std::int64_t kEncodeChunk = 512, kDeviceChunk = 256;

// The units asked for, or none for the declared ones.
std::optional<Scaling> make_scaling(const ModalityConfig& config, const data::Modality& info) {
  if (config.units == Units::declared) return {};
  const bool standard = config.units == Units::standard;
  MLD_CHECK_AS(ErrorKind::usage,
               standard ? data::has_measured_range(info.kind) : !data::is_discrete(info.kind), "modality '",
               config.name, "': ", data::kind_name(info.kind), " data have no units '",
               standard ? "standard' (those are of vectors and series)" : "unit' (those are of a range)",
               "; leave modalities.", config.name, ".units at 'declared'");
  MLD_CHECK_AS(
      ErrorKind::usage,
      !standard || config.autoencoder == AutoencoderKind::mlp ||
          config.autoencoder == AutoencoderKind::series,
      "modality '", config.name,
      "': units 'standard' need the autoencoder 'mlp' or 'series', whose output is not bounded, not '",
      name_of(config.autoencoder), "'; choose one or set modalities.", config.name, ".units=declared");
  if (standard) return Scaling(info.kind == data::ModalityKind::series ? info.shape[1] : info.shape.numel());
  return Scaling(info.range);
}

}  // namespace

Autoencoder make_autoencoder(const ModalityConfig& config, const data::Modality& info, int heads) {
  const bool discrete = data::is_discrete(info.kind);
  MLD_CHECK_AS(ErrorKind::usage, discrete == (config.likelihood == Likelihood::categorical), "modality '",
               config.name, "': ", data::kind_name(info.kind), " data ", discrete ? "need" : "cannot take",
               " the likelihood 'categorical'");
  std::optional<Scaling> scaling = make_scaling(config, info);
  if (!discrete) {
    Autoencoder net =
        make_autoencoder(config.autoencoder, sample_shape(info), config.latent, config.layers, heads);
    net.scaling = std::move(scaling);
    return net;
  }
  return make_categorical_autoencoder(config.autoencoder, info.shape.numel(), info.categories, config.latent,
                                      config.layers, heads);
}

Classifier make_classifier(const ModalityConfig& config, const data::Modality& info, std::int64_t classes) {
  std::optional<Scaling> scaling = make_scaling(config, info);
  if (!data::is_discrete(info.kind)) {
    Classifier net = make_classifier(config.classifier, sample_shape(info), classes);
    net.scaling = std::move(scaling);
    return net;
  }
  MLD_CHECK_AS(ErrorKind::usage, config.classifier == ClassifierKind::mlp, "modality '", config.name,
               "': discrete data take the classifier 'mlp'");
  return make_categorical_classifier(info.shape.numel(), info.categories, classes);
}

void apply_init(WeightInit init, const nn::Visitor& walked) {
  if (init == WeightInit::fan_in) return;
  for (const auto& parameter : walked.parameters())
    if (parameter.data->shape.rank() >= 2) parameter.data->init.spread *= std::sqrt(6.0);
}

Var decoded_loss(const ModalityConfig& config, const Var& output, const Var& x, const Tensor& tokens,
                 std::int64_t total, const Tensor& rows) {
  const double mean = 1.0 / static_cast<double>(total);
  Tensor weight;
  if (rows.defined()) {
    Shape each{rows.numel()};
    while (each.rank() < output.shape().rank()) each.push_back(1);
    weight = rows.reshape(each);
  }
  switch (config.likelihood) {
    case Likelihood::laplace:
      return l1(output, x.value, mean / config.scale, weight);
    case Likelihood::normal:
      return squared_error(output, x.value, mean, weight);
    case Likelihood::categorical:
      return categorical_nll(output, tokens, mean, weight);
  }
  fail(ErrorKind::internal, "stage 1: unknown likelihood");
}

Var reconstruction_loss(const ModalityConfig& config, const Autoencoder& net, const ItemBatch& batch,
                        std::int64_t total, const nn::Context& context) {
  const Var x = scaled(net.scaling, batch.x);
  return decoded_loss(config, net.decoder(net.encoder(x, context), context), x, batch.tokens, total);
}

Tensor encode_items(const Autoencoder& net, const data::Split& split, int modality,
                    const data::Modality& info, Device device) {
  return map_items(split, modality, info, kEncodeChunk, net.encoder.output().numel(),
                   [&](std::int64_t, const Tensor& x) { return net.encode(x.to(device)).value.to(kCpu); });
}

Tensor encode_augmented(const Autoencoder& net, const data::Split& split, int modality,
                        const data::Modality& info, Device device, const Augmentation& by, std::uint64_t seed,
                        std::uint32_t number) {
  return map_items(split, modality, info, kEncodeChunk, net.encoder.output().numel(),
                   [&](std::int64_t first, const Tensor& x) {
                     const Tensor changed = Tensor::empty(x.shape(), x.dtype());
                     augment(x, changed, by, info.range,
                             {.seed = seed, .step = number, .site = kSiteAugment, .first_row = first});
                     return net.encode(changed.to(device)).value.to(kCpu);
                   });
}

std::vector<std::int32_t> most_likely(const Tensor& scores) {
  const std::int64_t classes = scores.shape()[1];
  std::vector<std::int32_t> labels;
  for (std::int64_t row = 0; row < scores.shape()[0]; ++row) {
    const float* s = scores.data<float>() + row * classes;
    labels.push_back(static_cast<std::int32_t>(std::max_element(s, s + classes) - s));
  }
  return labels;
}

Tensor map_on_device(const Tensor& x, Device device, const std::function<Tensor(const Tensor&)>& f) {
  // On a GPU every new shape is planned anew by its libraries, so the last chunk is filled up.
  const bool fill = device.kind == DeviceKind::cuda && x.shape()[0] > kDeviceChunk;
  return map_rows(x, kDeviceChunk, [&](const Tensor& part) {
    const std::int64_t rows = part.shape()[0];
    if (!fill || rows == kDeviceChunk) return f(part.to(device)).to(kCpu);
    Shape whole = part.shape();
    whole[0] = kDeviceChunk;
    const Tensor filled = Tensor::zeros(whole, part.dtype());
    filled.rows(0, rows).copy_from(part);
    return f(filled.to(device)).to(kCpu).rows(0, rows);
  });
}

Tensor map_rows(const Tensor& x, std::int64_t chunk, const std::function<Tensor(const Tensor&)>& f) {
  const std::int64_t total = x.shape()[0];
  MLD_CHECK(total > 0, "map_rows: no rows");
  Tensor all;
  for (std::int64_t first = 0; first < total; first += chunk) {
    const Tensor part = f(x.rows(first, std::min(chunk, total - first)));
    if (!all.defined()) {
      Shape shape = part.shape();
      shape[0] = total;
      all = Tensor::empty(shape, part.dtype(), part.device());
    }
    all.rows(first, part.shape()[0]).copy_from(part);
  }
  return all;
}

}  // namespace mld
