// Pointwise operators. Each formula with its derivative and its test domain is one struct in
// pointwise_functors.h (activations: activation.h); this header only declares the operators.
#pragma once

#include "engine/core/tape.h"

namespace mld {

Var relu(const Var& x);
Var leaky_relu(const Var& x, double slope);
Var silu(const Var& x);  // x sigmoid(x)
Var gelu(const Var& x);  // exact: x Phi(x)
Var sigmoid(const Var& x);
Var tanh(const Var& x);
Var softplus(const Var& x);
Var exp(const Var& x);
Var log(const Var& x);
Var sqrt(const Var& x);
Var square(const Var& x);
Var abs(const Var& x);                          // derivative 0 at 0
Var clamp(const Var& x, double lo, double hi);  // derivative 1 inside, 0 outside
Var affine(const Var& x, double scale, double shift);

// Broadcasting as in NumPy: shapes are aligned at their last axis, an extent of 1 is repeated. Gradients are
// summed over repeated axes.
Var add(const Var& a, const Var& b);
Var sub(const Var& a, const Var& b);
Var mul(const Var& a, const Var& b);
Var div(const Var& a, const Var& b);

}  // namespace mld
