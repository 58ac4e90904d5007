// Whether a store, which need not be the one trained on, holds data that a model can work on.
#pragma once

#include "data/store/store.h"
#include "mld/run/model.h"

namespace mld {

// ErrorKind::data, naming the store, unless it has as many classes as the model. A store without labels has
// none, and is fine.
void check_model_classes(const Model& model, const data::Store& store);

// The same, unless it also has every modality of the model, each of the same kind, shape,
// range and categories.
void check_model_data(const Model& model, const data::Store& store);

}  // namespace mld
