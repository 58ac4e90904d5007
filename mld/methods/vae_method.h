// The VAEs that latent diffusion is compared with: encoders and decoders trained together, in one stage, and samples of
// one network call (mld/methods/vae). Codes are means and log variances of each modality's posterior, draws are draws
// of the shared latent.
#pragma once

#include <memory>
#include <vector>

#include "mld/methods/method.h"
#include "mld/methods/vae/objective.h"
#include "mld/methods/vae/vae_model.h"

namespace mld {

class VaeMethod : public Method {
 public:
  VaeMethod(const Config& config, const data::Description& dataset, Device device);

  static Answers answers_of(const Config& config);

  Answers answers() const override { return answers_of(config_); }
  std::vector<StageId> stages() const override { return {kStage}; }
  void check(const StageId& stage, const TrainingData& data, bool trained) const override;
  std::int64_t steps_per_epoch(const StageId& stage, const TrainingData& data) const override;
  MakeTraining training(const StageId& stage, const TrainingData& data) const override;

  nn::ParameterStore& build(const StageId& stage) override;
  nn::ParameterStore* built(const StageId& stage) const override;

  LatentLayout codes() const override { return layout_; }
  Tensor encode(int i, const Tensor& x) const override;
  Tensor decode(int i, const Tensor& draws) const override;
  // Through the mean of the modality's own posterior.
  Tensor reconstruct(int i, const Tensor& x) const override;
  std::int64_t network_calls(const SampleSettings&) const override { return 1; }
  SubsetSampler sampler(Subset given, const SampleSettings& settings, std::int64_t count) const override;
  std::vector<double> log_weights(Subset of, Subset given, std::span<const Tensor> x, const Tensor& codes,
                                  std::span<const std::int32_t> ids, std::uint64_t seed) const override;

 private:
  inline static const StageId kStage{StageKind::vae, {}};
  struct Loaded {
    vae::VaeModel model;
    nn::ParameterStore store;
    Loaded(vae::VaeModel m, Device device)
        : model(std::move(m)), store(model, {.device = device, .training = false}) {}
  };

  const vae::VaeModel& model() const;
  vae::Gaussian code_of(int i, const Tensor& codes) const;
  Tensor shared_noise(std::uint64_t seed, std::span<const std::int32_t> ids) const;
  // Of the latent that is shared: one Gaussian for each row, of a mixture the one that its id draws.
  vae::Gaussian posterior(Subset given, const Tensor& codes, std::uint64_t seed,
                          std::span<const std::int32_t> ids) const;
  vae::Gaussian given_one_level(Subset given, const Tensor& codes, std::uint64_t seed,
                                std::span<const std::int32_t> ids) const;
  vae::Gaussian given_two_levels(Subset given, const Tensor& codes, std::uint64_t seed,
                                 std::span<const std::int32_t> ids) const;

  Config config_;
  Device device_;
  std::vector<data::Modality> infos_;
  LatentLayout layout_;
  std::unique_ptr<Loaded> loaded_;
};

}  // namespace mld
