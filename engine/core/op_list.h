// Every differentiable operator. An operator records itself under its entry here, and the gradient-check test
// demands a case for each entry that really records it, so an operator without a gradient check cannot exist.
#pragma once

#include <array>
#include <cstdint>

// clang-format off
#define MLD_OPS(X)                                                                                  \
  X(leaf)                                                                                           \
  X(relu) X(leaky_relu) X(silu) X(gelu) X(sigmoid) X(tanh) X(softplus) X(exp) X(log) X(sqrt)        \
  X(square) X(abs) X(clamp) X(affine)                                                               \
  X(add) X(sub) X(mul) X(div)                                                                       \
  X(sum)                                                                                            \
  X(softmax) X(log_softmax) X(cross_entropy)                                                        \
  X(l1) X(squared_error) X(bernoulli_nll) X(categorical_nll)                                        \
  X(concat) X(slice) X(permute) X(reshape) X(gather_rows)                                           \
  X(matmul) X(batched_matmul) X(linear) X(linear_add)                                               \
  X(conv2d) X(conv_transpose2d)                                                                     \
  X(max_pool2d) X(avg_pool2d) X(resize_nearest) X(resize_bilinear)                                  \
  X(batch_norm) X(group_norm) X(layer_norm)                                                         \
  X(dropout)
// clang-format on

namespace mld {

enum class Op : std::uint8_t {
#define X(name) name,
  MLD_OPS(X)
#undef X
};

constexpr auto kAllOps = std::to_array<Op>({
#define X(name) Op::name,
    MLD_OPS(X)
#undef X
});

constexpr const char* op_name(Op op) {
  switch (op) {
#define X(name)  \
  case Op::name: \
    return #name;
    MLD_OPS(X)
#undef X
  }
  return "?";
}

}  // namespace mld
