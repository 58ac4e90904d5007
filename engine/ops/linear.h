// Matrix products; transposes are flags, never copies. f32 runs on the kernels of gemm_kernel.h, f64 on the
// plain loops of gemm_naive.h. Gradients are written, or added, straight into the memory that the tape names
// for them.
#pragma once

#include "engine/core/tape.h"
#include "engine/kernels/activation.h"

namespace mld {

// op(a) [M,K] times op(b) [K,N] gives [M,N].
Var matmul(const Var& a, const Var& b, bool transpose_a = false, bool transpose_b = false);
// The same for [G,M,K] and [G,K,N].
Var batched_matmul(const Var& a, const Var& b, bool transpose_a = false, bool transpose_b = false);
// act(x W^T + b): x [B,I] (or [...,I]), weight [O,I], bias [O] or none (an undefined Var), result [...,O].
Var linear(const Var& x, const Var& weight, const Var& bias, Activation act = {});
// x W^T + b + other, with `other` [...,O] of the result's shape: the sum costs no pass of its own.
Var linear_add(const Var& x, const Var& weight, const Var& bias, const Var& other);

}  // namespace mld
