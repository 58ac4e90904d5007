#include "mld/methods/latent_diffusion.h"

#include "mld/diffusion/sde.h"
#include "mld/methods/item_training.h"
#include "mld/methods/latent_sampler.h"
#include "mld/methods/score_training.h"

namespace mld {

LatentDiffusion::LatentDiffusion(const Config& config, const data::Description& dataset, Device device)
    : config_(config),
      variant_(variant_of(config.model.kind)),
      device_(device),
      layout_(latent_layout(config)),
      autoencoders_(config.modalities.size()) {
  for (const ModalityConfig& m : config.modalities)
    infos_.push_back(dataset.modalities[static_cast<std::size_t>(dataset.modality(m.name))]);
}

Answers LatentDiffusion::answers_of(const Config& config) {
  const Variant variant = variant_of(config.model.kind);
  Answers can{
      .latents = true, .no_information = {}, .caution = {}, .inpainting_gap = variant.independent_times};
  if (variant.one_time) can.no_information = "an in-painting model has no conditional scores";
  if (config.score.guidance != 1)
    can.no_information = "scores with guidance trained in are not those of the data";
  if (variant.independent_times) can.caution = "a uni network has never seen a modality at time 0 exactly";
  return can;
}

std::vector<StageId> LatentDiffusion::stages() const {
  std::vector<StageId> all;
  for (const ModalityConfig& m : config_.modalities) all.push_back({StageKind::autoencoder, m.name});
  all.push_back({StageKind::score, {}});
  return all;
}

void LatentDiffusion::check(const StageId& stage, const TrainingData& data, bool trained) const {
  if (stage.kind == StageKind::score) {
    const ScoreModel model(config_);
    const ScoreConfig& score = config_.score;
    MLD_CHECK_AS(
        ErrorKind::usage,
        score.guidance == 1 || (config_.model.kind == ModelKind::mld && score.marginals > 0),
        "score.guidance ", score.guidance,
        " is of model.kind mld, with score.marginals above 0, as 0.15: the network has to know what it "
        "draws without what guides it");
    check_rows(data);
    if (trained) check_statistics(data);
    return;
  }
  const std::size_t i = index(stage.modality);
  const ModalityConfig& m = config_.modalities[i];
  make_autoencoder(m, data.info(i));
  augmentation(m, m.stage1, data.info(i));
  MLD_CHECK_AS(ErrorKind::data, !items_to_draw(data.split, data.columns[i], m.stage1.sampling, false).empty(),
               "modality '", m.name,
               "': no sample of split 'train' has it; leave it out of the configuration");
}

std::int64_t LatentDiffusion::steps_per_epoch(const StageId& stage, const TrainingData& data) const {
  if (stage.kind == StageKind::score) return Method::steps_per_epoch(stage, data);
  const std::size_t i = index(stage.modality);
  return item_steps_per_epoch(data, i, config_.modalities[i].stage1, false);
}

MakeTraining LatentDiffusion::training(const StageId& stage, const TrainingData& data) const {
  if (stage.kind == StageKind::score) return score_training(data);
  return [&data, i = index(stage.modality)](std::int64_t batch, std::uint64_t seed) {
    return autoencoder_training(data, i, batch, seed);
  };
}

nn::ParameterStore& LatentDiffusion::build(const StageId& stage) {
  if (stage.kind == StageKind::score) {
    score_ = std::make_unique<Loaded<ScoreModel>>(ScoreModel(config_), device_);
    return score_->store;
  }
  const std::size_t i = index(stage.modality);
  autoencoders_[i] =
      std::make_unique<Loaded<Autoencoder>>(make_autoencoder(config_.modalities[i], infos_[i]), device_);
  return autoencoders_[i]->store;
}

nn::ParameterStore* LatentDiffusion::built(const StageId& stage) const {
  if (stage.kind == StageKind::score) return score_ ? &score_->store : nullptr;
  const auto& net = autoencoders_[index(stage.modality)];
  return net ? &net->store : nullptr;
}

std::size_t LatentDiffusion::index(const std::string& modality) const {
  for (std::size_t i = 0; i < infos_.size(); ++i)
    if (infos_[i].name == modality) return i;
  fail(ErrorKind::internal, "no modality '", modality, "'");
}

const Autoencoder& LatentDiffusion::autoencoder(int i) const {
  const auto& net = autoencoders_[static_cast<std::size_t>(i)];
  MLD_CHECK_AS(ErrorKind::model, net != nullptr, "the autoencoder of '",
               infos_[static_cast<std::size_t>(i)].name, "' has not been trained yet");
  return net->model;
}

const ScoreModel& LatentDiffusion::score() const {
  MLD_CHECK_AS(ErrorKind::model, score_ != nullptr, "the score network has not been trained yet");
  return score_->model;
}

Tensor LatentDiffusion::encode(int i, const Tensor& x) const {
  const Autoencoder& net = autoencoder(i);
  const Tensor z = map_on_device(x, device_, [&](const Tensor& part) { return net.encode(part).value; });
  standardise_rows(z, score().stats().to(kCpu), layout_, i);
  return z;
}

Tensor LatentDiffusion::decode(int i, const Tensor& draws) const {
  const Autoencoder& net = autoencoder(i);
  const Tensor raw = layout_.slice(draws, i);
  destandardise_rows(raw, score().stats().to(kCpu), layout_, i);
  const Tensor x = map_on_device(raw, device_, [&](const Tensor& part) { return net.decode(part).value; });
  MLD_CHECK_AS(
      ErrorKind::diverged, all_finite(x), "modality '", infos_[static_cast<std::size_t>(i)].name,
      "': a generated value is not finite: it lies beyond what a float32 holds, or the score network "
      "has diverged; import the data in larger units, or train with a smaller learning rate");
  return x;
}

Tensor LatentDiffusion::reconstruct(int i, const Tensor& x) const {
  const Autoencoder& net = autoencoder(i);
  return map_on_device(x, device_, [&](const Tensor& part) { return net.decode(net.encode(part)).value; });
}

// A network with one time knows nothing of given modalities: they are noised like the rest.
SamplerPlan LatentDiffusion::plan(const SampleSettings& settings) const {
  const SamplerPlan walk = make_plan(settings.sampler, variant_.one_time);
  MLD_CHECK_AS(ErrorKind::usage, walk.guided == 0 || !variant_.one_time, "sampler guidance ",
               settings.sampler.guidance, ": an in-painting network cannot leave modalities out; use 1");
  MLD_CHECK_AS(ErrorKind::usage,
               walk.guided == 0 || variant_.independent_times || config_.score.marginals > 0,
               "sampler guidance ", settings.sampler.guidance,
               ": the network has not learnt to do without modalities; use 1, or train with score.marginals "
               "above 0, as 0.15");
  return walk;
}

std::int64_t LatentDiffusion::network_calls(const SampleSettings& settings) const {
  return plan(settings).network_calls(guidance_references(0, layout_.modalities()));
}

SubsetSampler LatentDiffusion::sampler(Subset given, const SampleSettings& settings,
                                       std::int64_t count) const {
  MLD_CHECK_AS(ErrorKind::usage, settings.chunk >= 0, "sample: chunk ", settings.chunk,
               ", expected 1 or more, or 0 for one that suits the device");
  MLD_CHECK(count >= 1, "sample: ", count, " samples");
  MLD_CHECK(given != full_set(layout_.modalities()),
            "sample: everything is given, nothing is left to generate");
  // On a GPU every batch has the size asked for, whatever the number of samples: cuBLAS chooses its kernels,
  // and so the last bits, by the size of the batch.
  const bool gpu = device_.kind == DeviceKind::cuda;
  const std::int64_t chunk = settings.chunk > 0 ? settings.chunk : gpu ? kGpuChunk : kCpuChunk;
  const std::int64_t batches = (count - 1) / chunk + 1, batch = gpu ? chunk : (count - 1) / batches + 1;
  const SamplerPlan walk = plan(settings);
  const auto sampler =
      std::make_shared<LatentSampler>(score().network(), layout_, config_.score.prediction, walk,
                                      settings.sampler.guidance, given, settings.seed, batch, device_);
  return {batch, walk.network_calls(guidance_references(given, layout_.modalities())),
          [sampler](const Tensor& z, std::span<const std::int32_t> ids, const SamplerProgress& progress) {
            return (*sampler)(z, ids, progress);
          }};
}

Tensor LatentDiffusion::noise_prediction(const Tensor& r, const Tensor& tau) const {
  const Tensor out = score().network()(r.to(device_), tau.to(device_)).value.to(kCpu);
  if (config_.score.prediction == Prediction::noise) return out;
  return noise_of_velocity(r, out, tau, layout_);
}

}  // namespace mld
