#include "mld/modality/autoencoders.h"

#include <algorithm>
#include <cmath>
#include <numeric>

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

Classifier make_classifier(const ModalityConfig& config, const data::Modality& info,
                           const data::Description& labels) {
  std::vector<std::int64_t> sizes;
  for (const data::Attribute& attribute : labels.attributes) sizes.push_back(std::ssize(attribute.values));
  if (sizes.empty()) sizes.push_back(labels.classes);
  const std::int64_t scores = std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0});
  const bool discrete = data::is_discrete(info.kind);
  MLD_CHECK_AS(ErrorKind::usage, !discrete || config.classifier == ClassifierKind::mlp, "modality '",
               config.name, "': discrete data take the classifier 'mlp', and texts 'phrases'");
  std::optional<Scaling> scaling = make_scaling(config, info);
  Classifier net = discrete ? make_categorical_classifier(info.shape.numel(), info.categories, scores)
                            : make_classifier(config.classifier, sample_shape(info), scores);
  net.scaling = std::move(scaling);
  if (sizes.size() > 1) net.head.append(nn::Combinations(std::move(sizes)));
  return net;
}

void apply_init(WeightInit init, const nn::Visitor& walked) {
  if (init == WeightInit::fan_in) return;
  for (const auto& parameter : walked.parameters())
    if (parameter.data->shape.rank() >= 2) parameter.data->init.spread *= std::sqrt(6.0);
}

Var decoded_loss(const ModalityConfig& config, const Var& output, const Tensor& x, std::int64_t total,
                 const Tensor& rows) {
  const double mean = 1.0 / static_cast<double>(total);
  Tensor weight;
  if (rows.defined()) {
    Shape each{rows.numel()};
    while (each.rank() < output.shape().rank()) each.push_back(1);
    weight = rows.reshape(each);
  }
  switch (config.likelihood) {
    case Likelihood::laplace:
      return l1(output, x, mean / config.scale, weight);
    case Likelihood::normal:
      return squared_error(output, x, mean, weight);
    case Likelihood::categorical:
      return categorical_nll(output, x, mean, weight);
  }
  fail(ErrorKind::internal, "stage 1: unknown likelihood");
}

Var reconstruction_loss(const ModalityConfig& config, const Autoencoder& net, const Tensor& x,
                        std::int64_t total, const nn::Context& context) {
  const Var u = scaled(net.scaling, x);
  return decoded_loss(config, net.decoder(net.encode_scaled(u, context), context), u.value, total);
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
  const Tensor best = argmax(scores);
  const auto labels = best.span<std::int32_t>();
  return {labels.begin(), labels.end()};
}

bool all_finite(const Tensor& decoded) {
  if (decoded.dtype() == DType::f32) return data::first_non_finite(decoded.span<float>()) < 0;
  return std::ranges::all_of(decoded.span<std::int32_t>(), [](std::int32_t v) { return v >= 0; });
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
