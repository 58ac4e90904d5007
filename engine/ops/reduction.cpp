#include "engine/ops/reduction.h"

#include <utility>

#include "engine/kernels/broadcast.h"
#include "engine/ops/op_check.h"

namespace mld {
namespace {

template <class T, bool kAdd>
struct Spread {
  T scale;
  const T* dy;
  T* dx;
  MLD_HD void operator()(std::int64_t i, std::int64_t, std::int64_t ib) const {
    put<kAdd>(dx[i], scale * dy[ib]);
  }
};

// dx = scale * dy, repeated over the summed axes; `kept` is the shape of dy with those axes as extents of 1.
void pull_sum(const Tensor& dy, const Shape& shape, const Shape& kept, Slot slot, double scale, Tape& tape) {
  const Tape::Target dx = tape.target(slot, shape, dy.dtype(), dy.device());
  const BroadcastPlan plan = broadcast_plan(shape, shape, kept);
  dispatch_float(dy.dtype(), "backward", [&]<class T>() {
    with_flag(dx.add, [&](auto adding) {
      for_each_broadcast(
          dy.device(), plan,
          Spread<T, decltype(adding)::value>{static_cast<T>(scale), dy.ptr<T>(), dx.grad.ptr<T>()});
    });
  });
}

Var scaled_sum(const Var& x, const std::array<bool, Shape::kMaxRank>& summed, bool mean,
               const Shape& result) {
  check::defined(mean ? "mean" : "sum", "x", x.value);
  Shape kept = x.shape();
  std::int64_t count = 1;
  for (int axis = 0; axis < kept.rank(); ++axis)
    if (summed[static_cast<std::size_t>(axis)]) count *= std::exchange(kept[axis], 1);
  MLD_CHECK(!mean || count > 0, "mean: ", x.shape(), " has no elements to average");
  const double scale = mean ? 1.0 / static_cast<double>(count) : 1.0;
  const Tensor y = Tensor::empty(result, x.dtype(), x.device());
  sum_runs(x.value, merge_axes(x.shape(), summed), y, scale, false);
  if (!needs_grad(x)) return y;
  return {y, Tape::current()->record(
                 Op::sum, [shape = x.shape(), kept, slot = x.slot, scale](const Tensor& dy, Tape& tape) {
                   pull_sum(dy, shape, kept, slot, scale, tape);
                 })};
}

Var over_axes(const char* op, const Var& x, std::initializer_list<int> axes, bool keep, bool mean) {
  std::array<bool, Shape::kMaxRank> summed{};
  for (const int a : axes) {
    MLD_CHECK(a >= -x.shape().rank() && a < x.shape().rank(), op, ": axis ", a, " of a tensor of shape ",
              x.shape());
    bool& seen = summed[static_cast<std::size_t>(x.shape().axis(a))];
    MLD_CHECK(!seen, op, ": axis ", a, " of ", x.shape(), " is named twice");
    seen = true;
  }
  Shape result;
  for (int axis = 0; axis < x.shape().rank(); ++axis) {
    if (!summed[static_cast<std::size_t>(axis)])
      result.push_back(x.shape()[axis]);
    else if (keep)
      result.push_back(1);
  }
  return scaled_sum(x, summed, mean, result);
}

Var over_all(const Var& x, bool mean) {
  std::array<bool, Shape::kMaxRank> summed;
  summed.fill(true);
  return scaled_sum(x, summed, mean, {1});
}

}  // namespace

Var sum(const Var& x, std::initializer_list<int> axes, bool keep) {
  return over_axes("sum", x, axes, keep, false);
}
Var mean(const Var& x, std::initializer_list<int> axes, bool keep) {
  return over_axes("mean", x, axes, keep, true);
}
Var sum(const Var& x) { return over_all(x, false); }
Var mean(const Var& x) { return over_all(x, true); }

}  // namespace mld
