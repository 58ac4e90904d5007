#include "engine/core/tape.h"

#include <atomic>
#include <utility>

#include "engine/loops/add_into.h"
#include "engine/loops/drivers.h"

namespace mld {
namespace {

thread_local Tape* innermost = nullptr;

void add_into(const Tensor& to, const Tensor& from) {
  MLD_CHECK(to.shape() == from.shape() && to.dtype() == from.dtype(), "backward: gradient ", from.shape(),
            " added to one of shape ", to.shape());
  dispatch_float(to.dtype(), "backward", [&]<class T>() {
    for_each(to.device(), to.numel(), AddInto<T>{to.ptr<T>(), from.ptr<T>()});
  });
}

std::uint32_t next_id() {
  static std::atomic<std::uint32_t> counter{0};
  return ++counter;
}

}  // namespace

Tape::Tape() : id_(next_id()), previous_(std::exchange(innermost, this)) { nodes_.reserve(256); }
Tape::~Tape() { innermost = previous_; }
Tape* Tape::current() { return innermost; }

Tape::Pause::Pause() : paused_(std::exchange(innermost, nullptr)) {}
Tape::Pause::~Pause() { innermost = paused_; }

Tape::Node& Tape::at(Slot slot) {
  MLD_CHECK(slot.tape == id_,
            "tape: a value recorded on another tape is used; it may have outlived its step");
  return nodes_[static_cast<std::size_t>(slot.index)];
}

Slot Tape::record(Op op, Pull pull) {
  nodes_.push_back({.op = op, .pull = std::move(pull)});
  return {id_, static_cast<std::int32_t>(nodes_.size()) - 1};
}

Slot Tape::leaf(GradSink* sink) {
  const Slot slot = record(Op::leaf, nullptr);
  nodes_.back().sink = sink;
  return slot;
}

Var Tape::watch(Tensor value) {
  const Slot slot = record(Op::leaf, nullptr);
  return {std::move(value), slot};
}

void Tape::accumulate(Slot slot, Tensor grad) {
  if (slot.constant()) return;
  Node& node = at(slot);
  if (node.sink) {
    if (node.sink->written)
      add_into(node.sink->grad, grad);
    else
      node.sink->grad.copy_from(grad);
    node.sink->written = true;
  } else if (!node.grad.defined()) {
    node.grad = std::move(grad);
  } else if (node.grad.unique()) {
    add_into(node.grad, grad);
  } else {
    Tensor sum = grad.unique() ? grad : grad.clone();
    add_into(sum, node.grad);
    node.grad = std::move(sum);
  }
}

Tape::Target Tape::target(Slot slot, const Shape& shape, DType dtype, Device device) {
  Node& node = at(slot);
  if (node.sink) {
    MLD_CHECK(node.sink->grad.numel() == shape.numel() && node.sink->grad.dtype() == dtype,
              "backward: gradient ", shape, " for a parameter of shape ", node.sink->grad.shape());
    return {node.sink->grad.reshape(shape), std::exchange(node.sink->written, true)};
  }
  if (!node.grad.defined()) {
    node.grad = Tensor::empty(shape, dtype, device);
    return {node.grad, false};
  }
  if (!node.grad.unique()) node.grad = node.grad.clone();
  return {node.grad.reshape(shape), true};
}

void Tape::backward(const Var& loss) {
  MLD_CHECK(loss.value.numel() == 1, "backward: the loss must have one element, shape is ", loss.shape());
  backward(loss, Tensor::full(loss.shape(), 1.0, loss.dtype(), loss.device()));
}

void Tape::backward(const Var& output, Tensor dy) {
  MLD_CHECK(!done_, "backward: this tape has been used; make one per step");
  MLD_CHECK(!output.slot.constant(), "backward: the output does not depend on anything recorded");
  MLD_CHECK(dy.shape() == output.shape(), "backward: gradient ", dy.shape(), " for output ", output.shape());
  done_ = true;
  accumulate(output.slot, std::move(dy));
  for (std::size_t i = nodes_.size(); i-- > 0;) {
    Node& node = nodes_[i];
    if (!node.pull) continue;
    if (node.grad.defined()) {
      const Tensor grad = std::exchange(node.grad, {});
      node.pull(grad, *this);
    }
    node.pull = nullptr;
  }
}

std::vector<Op> Tape::recorded() const {
  std::vector<Op> ops;
  for (const Node& node : nodes_) ops.push_back(node.op);
  return ops;
}

const Tensor& Tape::grad(const Var& watched) const {
  MLD_CHECK(watched.slot.tape == id_ && !watched.slot.constant(), "tape: not a value watched by this tape");
  return nodes_[static_cast<std::size_t>(watched.slot.index)].grad;
}

}  // namespace mld
