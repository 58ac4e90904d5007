#include "engine/kernels/broadcast.h"

namespace mld {
namespace {

// Extent of a shape on axis `axis` of a result of rank `rank`; 1 where the shape has no such axis.
std::int64_t aligned(const Shape& shape, int axis, int rank) {
  const int own = axis - (rank - shape.rank());
  return own < 0 ? 1 : shape[own];
}

}  // namespace

Shape broadcast_shape(const char* op, const Shape& a, const Shape& b) {
  Shape out;
  const int rank = std::max(a.rank(), b.rank());
  for (int axis = 0; axis < rank; ++axis) {
    const std::int64_t x = aligned(a, axis, rank), y = aligned(b, axis, rank);
    MLD_CHECK(x == y || x == 1 || y == 1, op, ": shapes ", a, " and ", b,
              " do not fit; aligned at the last axis, extents must be equal or 1");
    out.push_back(x == 1 ? y : x);
  }
  return out;
}

BroadcastPlan broadcast_plan(const Shape& out, const Shape& a, const Shape& b) {
  BroadcastPlan plan;
  const auto push = [&plan](std::int64_t extent, std::int64_t step_a, std::int64_t step_b) {
    plan.extent[plan.rank] = extent;
    plan.a[plan.rank] = step_a;
    plan.b[plan.rank++] = step_b;
  };
  std::int64_t step_a = 1, step_b = 1;
  for (int axis = out.rank(); axis-- > 0;) {
    if (out[axis] == 1) continue;
    const bool in_a = aligned(a, axis, out.rank()) != 1, in_b = aligned(b, axis, out.rank()) != 1;
    const std::size_t last = plan.rank - 1;
    if (plan.rank > 0 && (plan.a[last] != 0) == in_a && (plan.b[last] != 0) == in_b)
      plan.extent[last] *= out[axis];
    else
      push(out[axis], in_a ? step_a : 0, in_b ? step_b : 0);
    // A stride of 0 means "repeated", so an empty operand keeps its steps at 1.
    if (in_a) step_a *= std::max<std::int64_t>(1, out[axis]);
    if (in_b) step_b *= std::max<std::int64_t>(1, out[axis]);
  }
  while (plan.rank < 2) push(1, 1, 1);
  std::reverse(plan.extent, plan.extent + plan.rank);
  std::reverse(plan.a, plan.a + plan.rank);
  std::reverse(plan.b, plan.b + plan.rank);
  return plan;
}

driver::BroadcastBlocks::BroadcastBlocks(const BroadcastPlan& plan) {
  for (std::size_t axis = 0; axis + 2 < plan.rank; ++axis) outer *= plan.extent[axis];
  const std::int64_t height = plan.extent[plan.rank - 2], width = plan.extent[plan.rank - 1];
  columns = std::clamp<std::int64_t>(width, 1, kGrain);
  column_blocks = (width + columns - 1) / columns;
  rows = std::clamp<std::int64_t>(height, 1, kGrain / columns);
  row_blocks = (height + rows - 1) / rows;
}

AxisRuns merge_axes(const Shape& shape, const std::array<bool, Shape::kMaxRank>& summed) {
  AxisRuns runs;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] == 1) continue;
    const bool sum = summed[static_cast<std::size_t>(axis)];
    if (runs.count > 0 && runs.summed[static_cast<std::size_t>(runs.count - 1)] == sum) {
      runs.extent[static_cast<std::size_t>(runs.count - 1)] *= shape[axis];
      continue;
    }
    runs.extent[static_cast<std::size_t>(runs.count)] = shape[axis];
    runs.summed[static_cast<std::size_t>(runs.count)] = sum;
    ++runs.count;
  }
  return runs;
}

AxisRuns repeated_axes(const Shape& out, const Shape& operand) {
  std::array<bool, Shape::kMaxRank> summed{};
  for (int axis = 0; axis < out.rank(); ++axis)
    summed[static_cast<std::size_t>(axis)] = out[axis] != 1 && aligned(operand, axis, out.rank()) == 1;
  return merge_axes(out, summed);
}

AxisSplit split_at_sum(const AxisRuns& runs) {
  AxisSplit s;
  bool found = false;
  for (auto k = static_cast<std::size_t>(runs.count); k-- > 0;) {
    if (found || runs.sums() == 0)
      s.p *= runs.extent[k];
    else if (runs.summed[k])
      s.q = runs.extent[k];
    else
      s.r *= runs.extent[k];
    found = found || runs.summed[k];
  }
  return s;
}

void sum_runs(const Tensor& x, AxisRuns runs, const Tensor& out, double scale, bool add) {
  const AxisSplit s = split_at_sum(runs);
  const bool final = runs.sums() <= 1;
  const Tensor to = final ? out : Tensor::empty({s.p * s.r}, x.dtype(), x.device());
  dispatch_float(x.dtype(), "sum", [&]<class T>() {
    sum_axis<T>(x.device(), s.p, s.q, s.r, Element<T>{x.ptr<T>()}, to.ptr<T>(),
                final ? static_cast<T>(scale) : T(1), final && add);
  });
  if (final) return;
  // The last summed run is gone, and what stood beside it is one kept run.
  const bool kept_behind = !runs.summed[static_cast<std::size_t>(runs.count - 1)];
  runs.count -= kept_behind ? 2 : 1;
  runs.extent[static_cast<std::size_t>(runs.count - 1)] *= s.r;
  sum_runs(to, runs, out, scale, add);
}

}  // namespace mld
