// A look at the layers of a metric network while it runs, for comparing it layer by layer.
#pragma once

#include <functional>
#include <string>

#include "engine/core/tensor.h"

namespace mld {

// Called with a layer's name and its output, [N,H,W,C] or [N,C]. May be empty.
using LayerObserver = std::function<void(const std::string& layer, const Tensor& output)>;

}  // namespace mld
