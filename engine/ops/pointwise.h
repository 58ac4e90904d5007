// Pointwise operators. Each formula with its derivative and its test domain is one struct in
// engine/kernels/pointwise_functors.h (activations: activation.h); this header only declares the operators.
#pragma once

#include "engine/core/op_list.h"
#include "engine/core/tape.h"
#include "engine/kernels/activation.h"

namespace mld {

// Of one tensor: relu, silu (x sigmoid(x)), gelu (exact: x Phi(x)), sigmoid, tanh, softplus, exp, log, sqrt,
// square, abs (derivative 0 at 0), ...: the lists of engine/core/op_list.h.
#define X(name, Functor) Var name(const Var& x);
#define P(name, Functor)
MLD_ACTIVATIONS(X, P)
MLD_FUNCTIONS(X, P)
#undef X
#undef P
Var leaky_relu(const Var& x, double slope);
Var clamp(const Var& x, double lo, double hi);  // derivative 1 inside, 0 outside
Var affine(const Var& x, double scale, double shift);

// Of two: add, sub, mul, div. Broadcasting as in NumPy: shapes are aligned at their last axis, an extent of 1
// is repeated. Gradients are summed over repeated axes.
#define X(name, Functor) Var name(const Var& a, const Var& b);
MLD_BINARY_FUNCTIONS(X)
#undef X

Var apply(Activation act, const Var& x);  // the operator of that name; x itself for Act::none

}  // namespace mld
