// What linear layers and convolutions share: y = act(pre) with pre = product + bias, where the kernel applies
// bias and activation while its result is in cache. Backward first turns dL/dy into dL/dpre and, in the same
// pass, sums it over the rows for the bias; the products follow.
#pragma once

#include "engine/core/tape.h"
#include "engine/kernels/activation.h"

namespace mld::fused {

struct Result {
  Tensor y;
  // What backward() needs: y itself where the derivative follows from it, the pre-activation for the
  // others (activation.h); undefined without an activation or without a gradient.
  Tensor saved;
};

// out = act(in), elementwise.
void apply_activation(const Tensor& in, Activation act, const Tensor& out);

// Runs product(out, act), which is to write act(product + bias) into `out`.
template <class Product>
Result forward(const Shape& shape, const Tensor& like, Activation act, bool grad, const Product& product) {
  Result r;
  r.y = Tensor::empty(shape, like.dtype(), like.device());
  if (grad && activation_needs_input(act.kind)) {
    r.saved = Tensor::empty(shape, like.dtype(), like.device());
    product(r.saved, Activation{});
    apply_activation(r.saved, act, r.y);
    return r;
  }
  product(r.y, act);
  if (grad && act.kind != Act::none) r.saved = r.y;
  return r;
}

// Returns dL/dpre for dy = dL/dy: dy itself without an activation; its memory is reused if nobody else holds
// it. Adds the column sums [C] to the gradient of `bias` unless that is a constant.
Tensor backward(const Tensor& dy, const Tensor& saved, Activation act, Slot bias, Tape& tape);

}  // namespace mld::fused
