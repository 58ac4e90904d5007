// Training of the score network on the latents of the whole training split, encoded once.
#pragma once

#include <cstdint>
#include <vector>

#include "mld/methods/method.h"

namespace mld {

// Encodes the split, or takes the encodings that the run keeps. ErrorKind::model if an autoencoder is missing.
MakeTraining score_training(const TrainingData& data);

// ErrorKind::usage for what training rows are to be drawn from and there is not: classes, augmented encodings.
void check_rows(const TrainingData& data);

// ErrorKind::data for a modality that is in fewer than two of the rows that latents are standardised over.
void check_statistics(const TrainingData& data);

}  // namespace mld
