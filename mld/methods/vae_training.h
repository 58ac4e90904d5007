// Training of a VAE on the samples of a split: of one that lacks modalities, on those it has.
#pragma once

#include <cstdint>
#include <vector>

#include "mld/methods/method.h"
#include "mld/methods/vae/objective.h"
#include "mld/methods/vae/vae_model.h"

namespace mld {

vae::Objective vae_objective(const Config& config);

// A batch as the data have it.
struct VaeBatch {
  std::vector<Tensor> items;  // of each modality
  data::BatchRows rows;
  Tensor mixed;         // i32 [K]: vae::mixed_sets, on the device; not of nexus
  Tensor present = {};  // as vae::Encoded has it
};
// What the objectives see of it, with the draws of the step in `within`. Configuration and networks must outlive it.
vae::Encoded encoded(const Config& config, const vae::VaeModel& model, VaeBatch batch,
                     const nn::Context& within);

// Samples of the split that have a modality at least, and which: bit i, modality i of the configuration.
struct VaeSamples {
  std::vector<std::int32_t> rows;
  std::vector<Subset> present;
  bool complete = true;  // all have all
};
VaeSamples vae_samples(const TrainingData& data);

MakeTraining vae_training(const TrainingData& data);

}  // namespace mld
