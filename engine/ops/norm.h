// Normalisations, each with its affine map and an activation fused behind it, forward and backward:
//   y = act(gamma xhat + beta),  xhat = (x - mean) / sqrt(var + eps).
// Variances come from two passes over the data, so that values far from zero keep their digits. gamma, beta
// and the running statistics have the type and device of x. Except for batch_norm in training, a sample's
// result does not depend on the batch it stands in.
#pragma once

#include "engine/core/tape.h"
#include "engine/kernels/activation.h"

namespace mld {

// Channels are the last axis of x; gamma and beta are [C].
// Training: statistics over all other axes (biased variance), at least two values each; running_mean and
// running_var [C] move by `momentum` towards the batch mean and the unbiased batch variance n/(n-1), in
// place, unless undefined. They move in the forward pass, before the loss is known, so that a step which
// StepState later finds not ok has moved them too; but a channel whose batch statistics are not finite leaves
// its own untouched. Inference: the running statistics.
Var batch_norm(const Var& x, const Var& gamma, const Var& beta, const Tensor& running_mean,
               const Tensor& running_var, bool training, double momentum = 0.1, double eps = 1e-5,
               Activation act = {});
// x [N,...,C]: per sample, channels in `groups` contiguous groups, statistics over the group's channels and
// all axes between the first and the last.
Var group_norm(const Var& x, const Var& gamma, const Var& beta, std::int64_t groups, double eps = 1e-5,
               Activation act = {});
// Over the last axis.
Var layer_norm(const Var& x, const Var& gamma, const Var& beta, double eps = 1e-5, Activation act = {});

// Adaptive layer norm (Perez et al. 2018, FiLM; Peebles & Xie 2023, adaLN-Zero). x, y, h are [N,C], learned vectors
// [C]; a modulation is [N,C], or [1,C] where all rows share it.
//   modulated_layer_norm  (gamma + scale) xhat + beta + shift, over the last axis
//   gated_add             h + (gate + row) y
Var modulated_layer_norm(const Var& x, const Var& gamma, const Var& beta, const Var& scale, const Var& shift,
                         double eps = 1e-5);
Var gated_add(const Var& h, const Var& y, const Var& gate, const Var& row);

}  // namespace mld
