// Training of a VAE on the samples of a split: of one that lacks modalities, on those it has.
#pragma once

#include "mld/methods/method.h"
#include "mld/methods/vae/objective.h"

namespace mld {

vae::Objective vae_objective(const Config& config);

// Samples of the split that have a modality at least, and which: bit i, modality i of the configuration.
struct VaeSamples {
  std::vector<std::int32_t> rows, present;
  bool complete = true;  // all have all
};
VaeSamples vae_samples(const TrainingData& data);

MakeTraining vae_training(const TrainingData& data);

}  // namespace mld
