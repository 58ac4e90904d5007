// Train steps on items: of an autoencoder of stage 1, and of the VAEs on MNIST-SVHN.
#pragma once

#include <string>

#include "tools/bench/step_case.h"

namespace mld::bench {

// "mnist", "svhn", "polymnist", "sound", "mopoe" or "mvae"; nothing for another name. With the paper's recipes.
std::optional<Case> train_on_items(const std::string& name, Device device);

}  // namespace mld::bench
