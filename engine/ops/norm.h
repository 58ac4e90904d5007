// Normalisations, each with its affine map and an activation fused behind it.
#pragma once

#include "engine/core/tape.h"
#include "engine/ops/activation.h"

namespace mld {

// Channels are the last axis of x; gamma and beta are [C].
// Training: statistics over all other axes (biased variance); running_mean and running_var [C] move by
// `momentum` towards the batch mean and the unbiased batch variance n/(n-1), in place, unless undefined.
// Inference: the running statistics.
Var batch_norm(const Var& x, const Var& gamma, const Var& beta, const Tensor& running_mean,
               const Tensor& running_var, bool training, double momentum = 0.1, double eps = 1e-5,
               Activation act = {});
// x [N,...,C]: per sample, channels in `groups` contiguous groups, statistics over the group's channels and all
// axes between the first and the last.
Var group_norm(const Var& x, const Var& gamma, const Var& beta, std::int64_t groups, double eps = 1e-5,
               Activation act = {});
// Over the last axis.
Var layer_norm(const Var& x, const Var& gamma, const Var& beta, double eps = 1e-5, Activation act = {});

}  // namespace mld
