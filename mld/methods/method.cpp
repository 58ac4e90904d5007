#include "mld/methods/method.h"

#include "mld/methods/latent_diffusion.h"
#include "mld/methods/vae_method.h"

namespace mld {

SampleSettings sample_settings(const Config& config) {
  return {.sampler = config.sampler, .seed = config.seed, .chunk = config.sampler.chunk};
}

void Method::check(const StageId&, const TrainingData&, bool) const {}

std::int64_t Method::steps_per_epoch(const StageId& stage, const TrainingData& data) const {
  return data::BatchOrder(data.split.num_samples(), stage.settings(data.config)->batch, 0).steps_per_epoch();
}

Tensor Method::noise_prediction(const Tensor&, const Tensor&) const {
  fail(ErrorKind::internal, "noise prediction asked of a method that has none");
}

std::vector<double> Method::log_weights(Subset, Subset, std::span<const Tensor>, const Tensor&,
                                        std::span<const std::int32_t>, std::uint64_t) const {
  fail(ErrorKind::internal, "likelihood asked of a method that has none");
}

Answers method_answers(const Config& config) {
  return is_vae(config.model.kind) ? VaeMethod::answers_of(config) : LatentDiffusion::answers_of(config);
}

std::unique_ptr<Method> make_method(const Config& config, const data::Description& dataset, Device device) {
  if (is_vae(config.model.kind)) return std::make_unique<VaeMethod>(config, dataset, device);
  return std::make_unique<LatentDiffusion>(config, dataset, device);
}

}  // namespace mld
