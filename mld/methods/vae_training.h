// Training of a VAE on the samples that have all modalities.
#pragma once

#include "mld/methods/method.h"
#include "mld/methods/vae/objective.h"

namespace mld {

vae::Objective vae_objective(const Config& config);

// Rows of the split that it is trained on.
std::vector<std::int32_t> complete_samples(const TrainingData& data);

MakeTraining vae_training(const TrainingData& data);

}  // namespace mld
