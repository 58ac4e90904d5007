// Loops over two broadcast operands, and sums over chosen axes, without a division per element. Axes of
// extent 1 vanish and neighbours that behave alike merge, so that what remains has two or three axes for
// every shape met in practice: [B,H,W,C] with [B,1,1,C] is [B,HW,C] with [B,1,C].
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <type_traits>

#include "engine/base/hd.h"
#include "engine/core/tensor.h"
#include "engine/loops/drivers.h"

namespace mld {

// Calls f(std::true_type) or f(std::false_type): a flag becomes a constant of the loop inside f.
template <class F>
void with_flag(bool flag, F&& f) {
  if (flag)
    f(std::true_type{});
  else
    f(std::false_type{});
}

// Gradients are added to what is there (kAdd) or overwrite it.
template <bool kAdd, class T>
MLD_HD void put(T& to, T value) {
  if constexpr (kAdd)
    to = to + value;
  else
    to = value;
}

// NumPy's rule: aligned at the last axis, an extent of 1 is repeated. Throws naming `op` if the
// shapes do not fit.
Shape broadcast_shape(const char* op, const Shape& a, const Shape& b);

// Merged axes, outermost first, with the strides of the two operands (0: repeated). At least two axes; the
// last has strides 0 or 1, not both 0.
struct BroadcastPlan {
  std::size_t rank = 0;
  std::int64_t extent[Shape::kMaxRank + 1] = {}, a[Shape::kMaxRank + 1] = {}, b[Shape::kMaxRank + 1] = {};
  std::int64_t numel() const {
    std::int64_t n = 1;
    for (std::size_t axis = 0; axis < rank; ++axis) n *= extent[axis];
    return n;
  }
};
// a and b broadcast to `out`.
BroadcastPlan broadcast_plan(const Shape& out, const Shape& a, const Shape& b);

namespace driver {

// The last two merged axes in blocks of `rows` x `columns` elements, about kGrain each.
struct BroadcastBlocks {
  std::int64_t outer = 1, rows = 0, row_blocks = 0, columns = 0, column_blocks = 0;
  explicit BroadcastBlocks(const BroadcastPlan& plan);
  std::int64_t count() const { return outer * row_blocks * column_blocks; }
};

template <int kA, int kB, class F>
void broadcast_block(const BroadcastPlan& plan, const BroadcastBlocks& blocks, std::int64_t block,
                     const F& functor) {
  const F f = functor;
  const std::size_t mid = plan.rank - 2;
  const std::int64_t c0 = block % blocks.column_blocks * blocks.columns;
  const std::int64_t c1 = std::min(plan.extent[mid + 1], c0 + blocks.columns);
  block /= blocks.column_blocks;
  const std::int64_t r0 = block % blocks.row_blocks * blocks.rows;
  const std::int64_t r1 = std::min(plan.extent[mid], r0 + blocks.rows);
  const std::int64_t outer = block / blocks.row_blocks;
  std::int64_t ia = 0, ib = 0, rest = outer;
  for (std::size_t axis = mid; axis-- > 0; rest /= plan.extent[axis]) {
    ia += rest % plan.extent[axis] * plan.a[axis];
    ib += rest % plan.extent[axis] * plan.b[axis];
  }
  for (std::int64_t row = r0; row < r1; ++row) {
    const std::int64_t i0 = (outer * plan.extent[mid] + row) * plan.extent[mid + 1];
    const std::int64_t a0 = ia + row * plan.a[mid], b0 = ib + row * plan.b[mid];
#pragma GCC ivdep
    for (std::int64_t c = c0; c < c1; ++c) f(i0 + c, a0 + c * kA, b0 + c * kB);
  }
}

template <int kA, int kB, class F>
struct BroadcastRun {
  BroadcastPlan plan;
  BroadcastBlocks blocks;
  F f;
  void operator()(std::int64_t block) const { broadcast_block<kA, kB>(plan, blocks, block, f); }
};

// One element, its place in the operands found from the last axis on.
template <class F>
struct BroadcastElement {
  BroadcastPlan plan;
  F f;
  MLD_HD void operator()(std::int64_t i) const {
    std::int64_t ia = 0, ib = 0, rest = i;
    for (int axis = static_cast<int>(plan.rank) - 1; axis > 0; --axis) {
      const std::int64_t at = rest % plan.extent[axis];
      rest /= plan.extent[axis];
      ia += at * plan.a[axis];
      ib += at * plan.b[axis];
    }
    f(i, ia + rest * plan.a[0], ib + rest * plan.b[0]);
  }
};

template <int kA, int kB, class F>
void for_each_broadcast(Device device, const BroadcastPlan& plan, const F& f) {
  const BroadcastBlocks blocks(plan);
  for_each_host_row(device, blocks.count(), blocks.rows * blocks.columns,
                    BroadcastRun<kA, kB, F>{plan, blocks, f});
}

}  // namespace driver

// f(i, ia, ib) for every element i of the result, with the elements of the operands that belong to it.
template <class F>
void for_each_broadcast(Device device, const BroadcastPlan& plan, F f) {
  if (device.kind == DeviceKind::cuda)
    return gpu::for_each(device, plan.numel(), driver::BroadcastElement<F>{plan, f});
  const std::size_t last = plan.rank - 1;
  if (plan.a[last] == 0)
    driver::for_each_broadcast<0, 1>(device, plan, f);
  else if (plan.b[last] == 0)
    driver::for_each_broadcast<1, 0>(device, plan, f);
  else
    driver::for_each_broadcast<1, 1>(device, plan, f);
}

// Axes merged into runs that are kept or summed, alternating, outermost first.
struct AxisRuns {
  int count = 0;
  std::array<std::int64_t, Shape::kMaxRank> extent{};
  std::array<bool, Shape::kMaxRank> summed{};
  int sums() const { return static_cast<int>(std::count(summed.begin(), summed.begin() + count, true)); }
};
// summed[axis] for each axis of the shape.
AxisRuns merge_axes(const Shape& shape, const std::array<bool, Shape::kMaxRank>& summed);
// The axes that must be summed to bring the gradient of a result of shape `out` back to a broadcast operand.
AxisRuns repeated_axes(const Shape& out, const Shape& operand);

// scale * the sum of load(i) over rows of q consecutive i, or what is there plus that.
template <class T, class Load>
struct RowSum {
  using Acc = T;
  Load source;
  std::int64_t q;
  T* out;
  T scale;
  bool add;
  MLD_HD T zero() const { return T(0); }
  MLD_HD T load(std::int64_t o, std::int64_t j) const { return source(o * q + j); }
  MLD_HD T join(T a, T b) const { return a + b; }
  MLD_HD void store(std::int64_t o, T sum) const { out[o] = add ? out[o] + scale * sum : scale * sum; }
};

template <class T, class Load>
void sum_rows(Device device, std::int64_t p, std::int64_t q, Load load, T* out, T scale = T(1),
              bool add = false) {
  reduce(device, p, q, RowSum<T, Load>{load, q, out, scale, add});
}

// The same over the rows of a matrix [Q,R] at flat place `first`.
template <class T, class Load>
struct ColumnSum : RowSum<T, Load> {
  std::int64_t first, r;
  MLD_HD T load(std::int64_t o, std::int64_t j) const { return this->source(first + j * r + o); }
};

// The reducer of array `index` of [P,Q,R].
template <class T, class Load>
struct ColumnSums {
  Load load;
  std::int64_t q, r;
  T* out;
  T scale;
  bool add;
  MLD_HD ColumnSum<T, Load> operator()(std::int64_t index) const {
    return {{load, q, out + index * r, scale, add}, index * q * r, r};
  }
};

// Element i of an array, as a summand.
template <class T>
struct Element {
  const T* x;
  MLD_HD T operator()(std::int64_t i) const { return x[i]; }
};

// Over the middle axis of [P,Q,R]; load(i) gives the summand at flat place i.
template <class T, class Load>
void sum_axis(Device device, std::int64_t p, std::int64_t q, std::int64_t r, Load load, T* out, T scale,
              bool add) {
  if (r == 1) return sum_rows(device, p, q, load, out, scale, add);
  reduce_columns(device, p, q, r, ColumnSums<T, Load>{load, q, r, out, scale, add});
}

// [P,Q,R] of which Q is the last summed run (1 if none is).
struct AxisSplit {
  std::int64_t p = 1, q = 1, r = 1;
};
AxisSplit split_at_sum(const AxisRuns& runs);

// out = scale * sum of x over the summed runs (+ what is there); out has the elements of the kept runs.
void sum_runs(const Tensor& x, AxisRuns runs, const Tensor& out, double scale, bool add);

}  // namespace mld
