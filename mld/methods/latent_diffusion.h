// Multi-modal latent diffusion and its variants, in-painting and uni (variant.h): an autoencoder for each modality,
// trained alone, and one score network on their standardised latents.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "mld/diffusion/score_model.h"
#include "mld/methods/method.h"
#include "mld/modality/autoencoders.h"

namespace mld {

// On a GPU five thousand samples, as evaluations draw them, are one batch: a network call of so few rows is
// bound by the number of its kernels.
inline constexpr std::int64_t kCpuChunk = 1024, kGpuChunk = 5120;

class LatentDiffusion : public Method {
 public:
  LatentDiffusion(const Config& config, const data::Description& dataset, Device device);

  static Answers answers_of(const Config& config);

  Answers answers() const override { return answers_of(config_); }
  std::vector<StageId> stages() const override;
  void check(const StageId& stage, const TrainingData& data, bool trained) const override;
  std::int64_t steps_per_epoch(const StageId& stage, const TrainingData& data) const override;
  MakeTraining training(const StageId& stage, const TrainingData& data) const override;

  nn::ParameterStore& build(const StageId& stage) override;
  nn::ParameterStore* built(const StageId& stage) const override;

  LatentLayout codes() const override { return layout_; }
  Tensor encode(int i, const Tensor& x) const override;
  Tensor decode(int i, const Tensor& draws) const override;
  Tensor reconstruct(int i, const Tensor& x) const override;
  std::int64_t network_calls(const SampleSettings& settings) const override;
  SubsetSampler sampler(Subset given, const SampleSettings& settings, std::int64_t count) const override;
  Tensor noise_prediction(const Tensor& r, const Tensor& tau) const override;

 private:
  template <class M>
  struct Loaded {
    M model;
    nn::ParameterStore store;
    Loaded(M m, Device device) : model(std::move(m)), store(model, {.device = device, .training = false}) {}
  };

  std::size_t index(const std::string& modality) const;
  const Autoencoder& autoencoder(int i) const;
  const ScoreModel& score() const;
  SamplerPlan plan(const SampleSettings& settings) const;

  Config config_;
  Variant variant_;
  Device device_;
  std::vector<data::Modality> infos_;
  LatentLayout layout_;
  std::vector<std::unique_ptr<Loaded<Autoencoder>>> autoencoders_;
  std::unique_ptr<Loaded<ScoreModel>> score_;
};

}  // namespace mld
