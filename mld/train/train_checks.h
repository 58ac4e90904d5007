// What can be known of a training before it begins, for every modality and both stages: whether networks and
// likelihoods fit the data, and whether there is enough to train on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/store/store.h"
#include "mld/config/config.h"

namespace mld {

// Builds every network. ErrorKind::usage for one that does not fit its data; ErrorKind::data for a modality
// without items in the training split.
void check_networks(const Config& config, const data::Store& store);

// Why modality i of the configuration gets no classifier though it names one; empty: it gets
// one, or names none.
std::string why_no_classifier(const ModalityConfig& modality, const data::Store& store);

// Rows of the training split that latents are standardised over.
std::vector<std::int32_t> statistics_rows(const Config& config, const data::Split& train);

// ErrorKind::data for a modality that is in fewer than two of them.
void check_statistics(const Config& config, const data::Store& store);

std::int64_t steps_per_epoch(const data::Split& train, int modality, const StageConfig& stage, bool labelled);

}  // namespace mld
