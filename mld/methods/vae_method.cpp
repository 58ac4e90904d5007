#include "mld/methods/vae_method.h"

#include <algorithm>
#include <bit>

#include "data/store/batch_order.h"
#include "engine/ops/ops.h"
#include "engine/random/philox.h"
#include "mld/diffusion/noise.h"
#include "mld/methods/latent_diffusion.h"
#include "mld/methods/vae/likelihood.h"
#include "mld/methods/vae_training.h"

namespace mld {
namespace {

constexpr int kMostMopoe = 10;  // 2^10 posteriors of each row

LatentLayout layout_of(const Config& config) {
  std::vector<std::int64_t> sizes;
  for (std::size_t i = 0; i < config.modalities.size(); ++i) sizes.push_back(2 * vae::latent_of(config, i));
  return LatentLayout(std::move(sizes));
}

// Draw number 0, 1, ... for the samples, on the cpu.
Tensor noise(std::uint64_t seed, std::uint32_t number, std::int64_t latent,
             std::span<const std::int32_t> ids) {
  const Tensor out = Tensor::empty({std::ssize(ids), latent});
  PhiloxNoise(seed).normal(out, kSitePosterior + number, Tensor::zeros({1}, DType::i32),
                           Tensor::from(ids, {std::ssize(ids)}));
  return out;
}

// Each modality must be there, and some of its samples must say what goes with what.
void check_samples(const TrainingData& data) {
  const VaeSamples samples = vae_samples(data);
  for (std::size_t i = 0; i < data.columns.size(); ++i)
    MLD_CHECK_AS(ErrorKind::data,
                 std::ranges::any_of(samples.present,
                                     [&](std::int32_t set) {
                                       return contains(static_cast<Subset>(set), static_cast<int>(i)) &&
                                              (data.columns.size() == 1 ||
                                               std::popcount(static_cast<Subset>(set)) > 1);
                                     }),
                 "split '", data.split.name(), "', modality '", data.config.modalities[i].name,
                 "': no sample has it together with another, so that nothing can be learnt of how they go "
                 "together; leave it out");
}

}  // namespace

VaeMethod::VaeMethod(const Config& config, const data::Description& dataset, Device device)
    : config_(config), device_(device), layout_(layout_of(config)) {
  for (const ModalityConfig& m : config.modalities)
    infos_.push_back(dataset.modalities[static_cast<std::size_t>(dataset.modality(m.name))]);
}

Answers VaeMethod::answers_of(const Config&) {
  return {.draws_given = true, .no_information = "a VAE has no scores", .no_likelihood = {}};
}

void VaeMethod::check(const StageId&, const TrainingData& data, bool trained) const {
  const vae::VaeModel model(config_, infos_);
  for (std::size_t i = 0; i < infos_.size(); ++i)
    augmentation(config_.modalities[i], config_.modalities[i].stage1, infos_[i]);
  const int modalities = static_cast<int>(infos_.size());
  MLD_CHECK_AS(ErrorKind::usage, config_.model.kind != ModelKind::mopoe || modalities <= kMostMopoe,
               "model.kind mopoe mixes the posteriors of all sets of modalities: of ", modalities,
               " there are too many; use mmvae, mvae or mvtcae");
  const std::int64_t sets = config_.model.kind == ModelKind::nexus
                                ? 1
                                : std::ssize(vae::mixed_sets(config_.model.kind, modalities));
  MLD_CHECK_AS(ErrorKind::usage, config_.vae.mixture == MixtureSplit::random || config_.vae.batch >= sets,
               "vae.batch ", config_.vae.batch, " is less than the ", sets,
               " components that take turns in it; use a larger one, or vae.mixture=random");
  if (trained) check_samples(data);
}

std::int64_t VaeMethod::steps_per_epoch(const StageId& stage, const TrainingData& data) const {
  const std::int64_t samples = std::ssize(vae_samples(data).rows);
  return data::BatchOrder(std::max<std::int64_t>(samples, 1), stage.settings(data.config)->batch, 0)
      .steps_per_epoch();
}

MakeTraining VaeMethod::training(const StageId&, const TrainingData& data) const {
  return vae_training(data);
}

nn::ParameterStore& VaeMethod::build(const StageId&) {
  loaded_ = std::make_unique<Loaded>(vae::VaeModel(config_, infos_), device_);
  return loaded_->store;
}

nn::ParameterStore* VaeMethod::built(const StageId&) const { return loaded_ ? &loaded_->store : nullptr; }

const vae::VaeModel& VaeMethod::model() const {
  MLD_CHECK_AS(ErrorKind::model, loaded_ != nullptr, "the VAE has not been trained yet");
  return loaded_->model;
}

Tensor VaeMethod::encode(int i, const Tensor& x) const {
  const Autoencoder& view = model().views[static_cast<std::size_t>(i)];
  return map_on_device(x, device_, [&](const Tensor& part) { return view.encode(part).value; });
}

Tensor VaeMethod::decode(int i, const Tensor& draws) const {
  const vae::VaeModel& net = model();
  const Tensor x = map_on_device(
      draws, device_, [&](const Tensor& part) { return net.decode(i, net.latent(i, part)).value; });
  MLD_CHECK_AS(
      ErrorKind::diverged, all_finite(x), "modality '", infos_[static_cast<std::size_t>(i)].name,
      "': a generated value is not finite: the VAE has diverged; train with a smaller learning rate");
  return x;
}

Tensor VaeMethod::reconstruct(int i, const Tensor& x) const {
  const vae::VaeModel& net = model();
  return map_on_device(x, device_, [&](const Tensor& part) {
    std::vector<vae::Gaussian> experts(infos_.size());
    experts[static_cast<std::size_t>(i)] = net.encode(i, part);
    const vae::Gaussian q = net.upper ? experts[static_cast<std::size_t>(i)]
                                      : vae::posterior(vae_objective(config_), experts, Subset{1} << i);
    return net.decode(i, q.mean).value;
  });
}

SubsetSampler VaeMethod::sampler(Subset given, const SampleSettings& settings, std::int64_t) const {
  const std::int64_t chunk = device_.kind == DeviceKind::cuda ? kGpuChunk : kCpuChunk;
  return {.batch = settings.chunk > 0 ? settings.chunk : chunk,
          .network_calls = 1,
          .draw = [this, given, seed = settings.seed](const Tensor& codes, std::span<const std::int32_t> ids,
                                                      const SamplerProgress&) {
            const Tensor own = shared_noise(seed, ids);
            return given == 0 ? own : vae::draw(posterior(given, codes, seed, ids), own).value;
          }};
}

std::vector<double> VaeMethod::log_weights(Subset of, Subset given, std::span<const Tensor> x,
                                           const Tensor& codes, std::span<const std::int32_t> ids,
                                           std::uint64_t seed) const {
  const vae::VaeModel& net = model();
  const vae::Gaussian q = posterior(given, codes, seed, ids);
  const Tensor z = vae::draw(q, shared_noise(seed, ids)).value;
  std::vector<double> proposed = vae::log_density(q, z), weights = vae::log_prior(z);
  if (config_.model.kind == ModelKind::mmvae) {  // drawn of one, but its density is the mixture's
    vae::LogMeanExp mixture(ids.size());
    for (int i = 0; i < static_cast<int>(infos_.size()); ++i)
      if (contains(given, i)) mixture.add(vae::log_density(code_of(i, codes), z));
    proposed = mixture.result();
  }
  const auto add = [&](const std::vector<double>& terms, double factor) {
    for (std::size_t b = 0; b < weights.size(); ++b) weights[b] += factor * terms[b];
  };
  add(proposed, -1);
  for (int i = 0; i < static_cast<int>(infos_.size()); ++i) {
    if (!contains(of, i)) continue;
    const auto m = static_cast<std::size_t>(i);
    const Autoencoder& view = net.views[m];
    const Tensor output = map_on_device(
        z, device_, [&](const Tensor& part) { return view.decoder(net.latent(i, part)).value; });
    const Tensor truth = !view.scaling ? x[m] : map_on_device(x[m], device_, [&](const Tensor& part) {
      return scaled(view.scaling, part).value;
    });
    add(vae::log_density(config_.modalities[m], output, truth), 1);
  }
  return weights;
}

Tensor VaeMethod::shared_noise(std::uint64_t seed, std::span<const std::int32_t> ids) const {
  const bool two_levels = config_.model.kind == ModelKind::nexus;
  // The last of the numbers: those before belong to the posteriors of the modalities.
  return noise(seed, static_cast<std::uint32_t>(infos_.size()),
               two_levels ? config_.vae.nexus_latent : config_.vae.latent, ids);
}

vae::Gaussian VaeMethod::posterior(Subset given, const Tensor& codes, std::uint64_t seed,
                                   std::span<const std::int32_t> ids) const {
  return config_.model.kind == ModelKind::nexus ? given_two_levels(given, codes, seed, ids)
                                                : given_one_level(given, codes, seed, ids);
}

vae::Gaussian VaeMethod::code_of(int i, const Tensor& codes) const {
  return vae::from_heads(layout_.slice(codes, i));
}

vae::Gaussian VaeMethod::given_one_level(Subset given, const Tensor& codes, std::uint64_t seed,
                                         std::span<const std::int32_t> ids) const {
  std::vector<vae::Gaussian> experts(infos_.size()), chosen;
  for (int i = 0; i < static_cast<int>(infos_.size()); ++i)
    if (contains(given, i)) chosen.push_back(experts[static_cast<std::size_t>(i)] = code_of(i, codes));
  if (config_.model.kind != ModelKind::mmvae) return vae::posterior(vae_objective(config_), experts, given);
  // A mixture: each sample is of one of the modalities given.
  const auto n = static_cast<std::uint32_t>(ids.size());
  std::vector<std::int32_t> rows;
  for (std::uint32_t b = 0; b < n; ++b) {
    const Words w = draw(seed, kSiteComponent, 0, static_cast<std::uint32_t>(ids[b]), 0);
    const auto k = static_cast<std::uint32_t>(w.v[0] % chosen.size());
    rows.push_back(static_cast<std::int32_t>(k * n + b));
  }
  return vae::mixture(chosen, Tensor::from(rows, {std::ssize(rows)}));
}

vae::Gaussian VaeMethod::given_two_levels(Subset given, const Tensor& codes, std::uint64_t seed,
                                          std::span<const std::int32_t> ids) const {
  const vae::UpperLevel& upper = *model().upper;
  Var average;
  const double share = 1.0 / std::popcount(given);
  for (int i = 0; i < static_cast<int>(infos_.size()); ++i) {
    if (!contains(given, i)) continue;
    const vae::Gaussian q = code_of(i, codes);
    const Tensor z = vae::draw(q, noise(seed, static_cast<std::uint32_t>(i), q.mean.shape()[1], ids)).value;
    const Var message = affine(upper.message(i, z.to(device_)), share, 0);
    average = average.value.defined() ? add(average, message) : message;
  }
  const vae::Gaussian above = upper.posterior(average);
  return {above.mean.value.to(kCpu), above.log_var.value.to(kCpu)};
}

}  // namespace mld
