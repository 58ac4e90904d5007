// Training of what works on the items of one modality, alone: its autoencoder and its classifier.
#pragma once

#include <cstdint>
#include <memory>

#include "mld/methods/method.h"

namespace mld {

std::unique_ptr<Training> autoencoder_training(const TrainingData& data, std::size_t modality,
                                               std::int64_t batch, std::uint64_t seed);
std::unique_ptr<Training> classifier_training(const TrainingData& data, std::size_t modality,
                                              std::int64_t batch, std::uint64_t seed);

// Of a stage with these settings, before any of it is built.
std::int64_t item_steps_per_epoch(const TrainingData& data, std::size_t modality, const StageConfig& stage,
                                  bool labelled);

}  // namespace mld
