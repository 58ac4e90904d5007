// What can be known of a training before it begins, for every modality and all stages: whether networks and
// likelihoods fit the data, and whether there is enough to train on.
#pragma once

#include <functional>
#include <string>

#include "mld/methods/method.h"

namespace mld {

// Builds every network. ErrorKind::usage for one that does not fit its data; ErrorKind::data for a modality
// without items in the training split, or with too few for a stage that is `chosen` to be trained.
void check_networks(const Method& method, const TrainingData& data,
                    const std::function<bool(const StageId&)>& chosen);

// Why a modality gets no classifier though it names one; empty: it gets one, or names none.
std::string why_no_classifier(const ModalityConfig& modality, const data::Store& store);

}  // namespace mld
