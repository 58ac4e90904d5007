// Fingerprints (16 hex digits) of the settings that a stage's results depend on, for the records of results and
// of reused stages. The seed and the data are outside of them: compare these apart. A key that a later version
// brought (Limits::added in fields.h) is left out while it stands at what the program did before there was the
// key, so that fingerprints of earlier runs stay what they are.
#pragma once

#include <string>

#include "mld/config/config.h"

namespace mld {

std::string stage1_hash(const ModalityConfig& modality);  // autoencoder
std::string classifier_hash(const ModalityConfig& modality);
std::string classifiers_hash(const Config& config);  // all classifiers
// Of what generates: the score network with the autoencoders that it rests on, or the VAE.
std::string score_hash(const Config& config);

}  // namespace mld
