// Reverse-mode automatic differentiation as a Wengert list: operators append themselves to the innermost
// live Tape while it is alive, and backward() walks the list in reverse. Recording order is a topological
// order, so there is no sort and no recursion, gradients are summed in a fixed order, and a node frees what
// it saved as soon as it has been used. No tape alive means inference: nothing is recorded. A saved value is
// a Tensor, which cannot point at the tape, so reference cycles cannot be written. One backward per tape; no
// second derivatives.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "engine/core/op_list.h"
#include "engine/core/tensor.h"

namespace mld {

// Place of a value on a tape; index < 0 is a constant. A slot of a tape that is gone is refused.
struct Slot {
  std::uint32_t tape = 0;
  std::int32_t index = -1;
  bool constant() const { return index < 0; }
};

struct Var {
  Tensor value;
  Slot slot;

  Var() = default;
  Var(Tensor v) : value(std::move(v)) {}  // a tensor is a constant
  Var(Tensor v, Slot s) : value(std::move(v)), slot(s) {}
  const Shape& shape() const { return value.shape(); }
  DType dtype() const { return value.dtype(); }
  Device device() const { return value.device(); }
};

// Where the gradient of a parameter goes: memory owned by the parameter store. The first contribution of a
// step overwrites, later ones add, so gradients need no clearing between steps.
struct GradSink {
  Tensor grad;
  bool written = false;
};

class Tape {
 public:
  // Receives the gradient of the node's output and adds to those of its inputs.
  using Pull = std::function<void(const Tensor& dy, Tape& tape)>;

  Tape();
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;
  static Tape* current();  // innermost live tape of this thread, or null

  // While alive nothing is recorded on this thread: what is computed is a constant (a stopped gradient).
  class Pause {
   public:
    Pause();
    ~Pause();
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;

   private:
    Tape* paused_;
  };

  Slot record(Op op, Pull pull);
  Slot leaf(GradSink* sink);  // a parameter
  Var watch(Tensor value);    // an input whose gradient is kept for grad()

  // Adds a contribution to the gradient of `slot` (nothing happens for a constant). The tensor is given away:
  // a sole owner's memory is reused.
  void accumulate(Slot slot, Tensor grad);

  // For operators that can add in place (GEMM with beta): memory for the gradient of `slot` and whether it
  // already holds a contribution (beta 1) or must be overwritten (beta 0). Not for constants.
  struct Target {
    Tensor grad;
    bool add;
  };
  Target target(Slot slot, const Shape& shape, DType dtype, Device device);

  // Gradients of `loss` (one element) with respect to everything recorded.
  void backward(const Var& loss);
  void backward(const Var& output, Tensor dy);   // starting from a given gradient
  const Tensor& grad(const Var& watched) const;  // undefined tensor if nothing depended on it

  std::vector<Op> recorded() const;  // what has been recorded, in order

 private:
  struct Node {
    Op op;
    Pull pull;
    GradSink* sink = nullptr;
    Tensor grad = {};
  };
  Node& at(Slot slot);

  std::uint32_t id_;
  Tape* previous_;
  bool done_ = false;
  std::vector<Node> nodes_;
};

// True if any of the values takes part in differentiation now.
template <class... Vars>
bool needs_grad(const Vars&... vars) {
  return Tape::current() != nullptr && (... || !vars.slot.constant());
}

}  // namespace mld
