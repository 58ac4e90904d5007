// Every differentiable operator. An operator records itself under its entry here, and the gradient-check test
// demands a case for each entry that really records it, so an operator without a gradient check cannot exist.
//
// A pointwise operator stands here with the functor that holds its formula (activations:
// engine/kernels/activation.h, the others: engine/kernels/pointwise_functors.h). Those that take tensors alone
// are given to X, and all else follows from the lists: declaration, definition, gradient check. Those with
// parameters are given to P: operator and gradient check are written by hand.
#pragma once

#include <array>
#include <cstdint>

// clang-format off
#define MLD_ACTIVATIONS(X, P)                                                                       \
  X(relu, Relu) P(leaky_relu, LeakyRelu) X(silu, Silu) X(gelu, Gelu) X(sigmoid, Sigmoid)            \
  X(tanh, Tanh)
#define MLD_FUNCTIONS(X, P)                                                                         \
  X(softplus, Softplus) X(exp, Exp) X(log, Log) X(sqrt, Sqrt) X(square, Square) X(abs, Abs)         \
  P(clamp, Clamp) P(affine, Affine)
#define MLD_BINARY_FUNCTIONS(X)                                                                     \
  X(add, Add) X(sub, Sub) X(mul, Mul) X(div, Div)
#define MLD_OPS(X)                                                                                  \
  X(leaf)                                                                                           \
  MLD_ACTIVATIONS(X, X) MLD_FUNCTIONS(X, X) MLD_BINARY_FUNCTIONS(X)                                 \
  X(sum)                                                                                            \
  X(softmax) X(log_softmax) X(cross_entropy)                                                        \
  X(l1) X(squared_error) X(bernoulli_nll) X(categorical_nll)                                        \
  X(concat) X(slice) X(permute) X(reshape) X(gather_rows)                                           \
  X(matmul) X(batched_matmul) X(linear) X(linear_add)                                               \
  X(conv2d) X(conv_transpose2d)                                                                     \
  X(max_pool2d) X(avg_pool2d) X(resize_nearest) X(resize_bilinear)                                  \
  X(batch_norm) X(group_norm) X(layer_norm) X(modulated_layer_norm) X(gated_add)                    \
  X(dropout)
// clang-format on

namespace mld {

enum class Op : std::uint8_t {
#define X(name, ...) name,
  MLD_OPS(X)
#undef X
};

constexpr auto kAllOps = std::to_array<Op>({
#define X(name, ...) Op::name,
    MLD_OPS(X)
#undef X
});

constexpr const char* op_name(Op op) {
  switch (op) {
#define X(name, ...) \
  case Op::name:     \
    return #name;
    MLD_OPS(X)
#undef X
  }
  return "?";
}

}  // namespace mld
