#include "engine/ops/layout.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#include "engine/kernels/broadcast.h"
#include "engine/loops/strips.h"
#include "engine/ops/index_check.h"
#include "engine/ops/op_check.h"

namespace mld {
namespace {

// A matrix of T: `rows` runs that start `stride` apart.
template <class T>
struct Rows {
  T* data;
  std::int64_t stride;
};

// Element i of `rows` runs of `width`.
template <class T>
struct AddElement {
  Rows<const T> from;
  Rows<T> to;
  std::int64_t width;
  MLD_HD void operator()(std::int64_t i) const {
    const std::int64_t row = i / width, j = i % width;
    put<true>(to.data[row * to.stride + j], from.data[row * from.stride + j]);
  }
};

template <class T>
void add_rows(Device device, std::int64_t rows, std::int64_t width, Rows<const T> from, Rows<T> to) {
  if (device.kind == DeviceKind::cuda)
    return gpu::for_each(device, rows * width, AddElement<T>{from, to, width});
  for_each_host_row(device, rows, width, [=](std::int64_t row) {
    const T* source = from.data + row * from.stride;
    T* target = to.data + row * to.stride;
#pragma GCC ivdep
    for (std::int64_t j = 0; j < width; ++j) put<true>(target[j], source[j]);
  });
}

// Elements [first, first + width) of each row of length `stride` of a tensor: what an axis
// looks like in memory.
struct Piece {
  std::int64_t rows, stride, first, width;
};

Piece piece_of(const Shape& shape, int axis, std::int64_t first, std::int64_t count) {
  const std::int64_t inner = shape.product(axis + 1, shape.rank());
  return {shape.product(0, axis), shape[axis] * inner, first * inner, count * inner};
}

void check_float(const char* op, DType dtype) {
  MLD_CHECK(dtype == DType::f32 || dtype == DType::f64, op, ": only f32 and f64 have gradients, got ",
            dtype_name(dtype));
}

// A piece of `whole` as rows of bytes, and a tensor that holds no more than that piece.
Strip from_piece(const Tensor& whole, const Piece& piece, const Tensor& part) {
  const std::int64_t size = dtype_size(whole.dtype()), width = piece.width * size;
  return {whole.raw() + piece.first * size, part.raw(), piece.stride * size, width, width};
}
Strip to_piece(const Tensor& part, const Tensor& whole, const Piece& piece) {
  const std::int64_t size = dtype_size(whole.dtype()), width = piece.width * size;
  return {part.raw(), whole.raw() + piece.first * size, width, piece.stride * size, width};
}

struct Part {
  Shape shape;
  Piece piece;
  Slot slot;
};

// The gradient of a part is the piece of dy that it became.
void pull_parts(const Tensor& dy, const std::vector<Part>& parts, Tape& tape) {
  std::vector<Strip> strips;
  for (const Part& part : parts) {
    const Piece& piece = part.piece;
    if (piece.rows == 1) {
      tape.accumulate(part.slot, dy.view(piece.first, part.shape));
      continue;
    }
    const Tape::Target to = tape.target(part.slot, part.shape, dy.dtype(), dy.device());
    if (!to.add) {
      strips.push_back(from_piece(dy, piece, to.grad));
      continue;
    }
    // A part that occurs twice: its first contribution must be written before the second is added.
    copy_strips(dy.device(), piece.rows, std::exchange(strips, {}));
    dispatch_float(dy.dtype(), "backward", [&]<class T>() {
      add_rows<T>(dy.device(), piece.rows, piece.width, {dy.ptr<T>() + piece.first, piece.stride},
                  {to.grad.ptr<T>(), piece.width});
    });
  }
  if (!strips.empty()) copy_strips(dy.device(), parts.front().piece.rows, strips);
}

// dy in the place that was sliced and 0 elsewhere.
template <class T>
struct UnsliceElement {
  Piece piece;
  const T* dy;
  T* dx;
  MLD_HD void operator()(std::int64_t i) const {
    const std::int64_t row = i / piece.stride, j = i % piece.stride - piece.first;
    dx[i] = j >= 0 && j < piece.width ? dy[row * piece.width + j] : T(0);
  }
};

template <class T>
struct UnsliceRow {
  Piece piece;
  const T* dy;
  T* dx;
  void operator()(std::int64_t row) const {
    T* begin = dx + row * piece.stride;
    T* middle = std::fill_n(begin, piece.first, T(0));
    middle = std::copy_n(dy + row * piece.width, piece.width, middle);
    std::fill(middle, begin + piece.stride, T(0));
  }
};

// The gradient of a sliced tensor; only the first contribution writes the zeros.
void pull_slice(const Tensor& dy, const Shape& shape, const Piece& piece, Slot slot, Tape& tape) {
  const Tape::Target to = tape.target(slot, shape, dy.dtype(), dy.device());
  dispatch_float(dy.dtype(), "backward", [&]<class T>() {
    T* const dx = to.grad.ptr<T>();
    if (to.add)
      return add_rows<T>(dy.device(), piece.rows, piece.width, {dy.ptr<T>(), piece.width},
                         {dx + piece.first, piece.stride});
    if (dy.device().kind == DeviceKind::cuda)
      return gpu::for_each(dy.device(), piece.rows * piece.stride, UnsliceElement<T>{piece, dy.ptr<T>(), dx});
    for_each_host_row(dy.device(), piece.rows, piece.stride, UnsliceRow<T>{piece, dy.ptr<T>(), dx});
  });
}

// Output axes with the strides of the input, merged where the input is contiguous across them; at least two.
struct PermutePlan {
  std::size_t rank = 0;
  std::array<std::int64_t, Shape::kMaxRank + 2> extent{}, stride{};
  void push(std::int64_t n, std::int64_t step) {
    extent[rank] = n;
    stride[rank++] = step;
  }
};

PermutePlan permute_plan(const Shape& in, std::span<const int> order) {
  PermutePlan plan;
  for (const int axis : order) {
    const std::int64_t step = in.product(axis + 1, in.rank());
    if (in[axis] == 1) continue;
    if (plan.rank > 0 && plan.stride[plan.rank - 1] == in[axis] * step) {
      plan.extent[plan.rank - 1] *= in[axis];
      plan.stride[plan.rank - 1] = step;
    } else {
      plan.push(in[axis], step);
    }
  }
  PermutePlan padded;
  for (std::size_t k = plan.rank; k < 2; ++k) padded.push(1, 0);
  for (std::size_t k = 0; k < plan.rank; ++k) padded.push(plan.extent[k], plan.stride[k]);
  return padded;
}

template <bool kAdd, class T>
struct PermuteElement {
  PermutePlan plan;
  const T* from;
  T* to;
  MLD_HD void operator()(std::int64_t i) const {
    std::int64_t place = 0, rest = i;
    for (std::size_t k = plan.rank; --k > 0; rest /= plan.extent[k])
      place += rest % plan.extent[k] * plan.stride[k];
    put<kAdd>(to[i], from[place + rest * plan.stride[0]]);
  }
};

// Square tiles of the last two output axes, so that lines of the cache are used whole on both sides.
template <bool kAdd, class T>
struct PermuteTiles {
  static constexpr std::int64_t kTile = 16;
  PermutePlan plan;
  std::int64_t strips;
  const T* from;
  T* to;
  void operator()(std::int64_t task) const {
    const std::size_t mid = plan.rank - 2;
    std::int64_t start = 0, rest = task / strips;
    for (std::size_t k = mid; k-- > 0; rest /= plan.extent[k])
      start += rest % plan.extent[k] * plan.stride[k];
    const std::int64_t rows = plan.extent[mid], columns = plan.extent[mid + 1];
    const std::int64_t row_step = plan.stride[mid], column_step = plan.stride[mid + 1];
    const std::int64_t first = task % strips * kTile, last = std::min(rows, first + kTile);
    T* out = to + task / strips * rows * columns;
    for (std::int64_t c0 = 0; c0 < columns; c0 += kTile) {
      const std::int64_t c1 = std::min(columns, c0 + kTile);
      for (std::int64_t r = first; r < last; ++r) {
        const T* in = from + start + r * row_step;
#pragma GCC ivdep
        for (std::int64_t c = c0; c < c1; ++c) put<kAdd>(out[r * columns + c], in[c * column_step]);
      }
    }
  }
};

template <bool kAdd, class T>
void permute_to(Device device, const PermutePlan& plan, const T* from, T* to) {
  const std::size_t mid = plan.rank - 2;
  const std::int64_t rows = plan.extent[mid], columns = plan.extent[mid + 1];
  std::int64_t outer = 1;
  for (std::size_t k = 0; k < mid; ++k) outer *= plan.extent[k];
  if (device.kind == DeviceKind::cuda)
    return gpu::for_each(device, outer * rows * columns, PermuteElement<kAdd, T>{plan, from, to});
  using Tiles = PermuteTiles<kAdd, T>;
  const std::int64_t strips = (rows + Tiles::kTile - 1) / Tiles::kTile;
  for_each_host_row(device, outer * strips, std::min(rows, Tiles::kTile) * columns,
                    Tiles{plan, strips, from, to});
}

void permute_forward(const Tensor& x, const PermutePlan& plan, const Tensor& y) {
  const auto copy = [&]<class T>() { permute_to<false, T>(x.device(), plan, x.ptr<T>(), y.ptr<T>()); };
  switch (x.dtype()) {
    case DType::f32:
      return copy.template operator()<float>();
    case DType::f64:
      return copy.template operator()<double>();
    case DType::i32:
      return copy.template operator()<std::int32_t>();
    case DType::u8:
      return copy.template operator()<std::uint8_t>();
  }
}

// Row i of the result is row index[i] of the table, or zeros where that is -1.
template <class T>
struct GatherRow {
  const T* table;
  const std::int32_t* index;
  T* out;
  std::int64_t table_rows, width;
  template <class Team>
  MLD_HD void operator()(std::int64_t i, const Team& team) const {
    const bool known = index[i] >= 0 && index[i] < table_rows;
    const T* from = table + (known ? index[i] * width : 0);
    T* to = out + i * width;
    if (known)
      team.each(width, [=](std::int64_t j) { to[j] = from[j]; });
    else
      team.each(width, [=, none = index[i] == -1 ? T(0) : std::numeric_limits<T>::quiet_NaN()](
                           std::int64_t j) { to[j] = none; });
  }
};

// table[index[i]] += dy[i] in the order of i.
template <class T>
struct Scatter {
  const T* dy;
  const std::int32_t* index;
  T* table;
  std::int64_t count, table_rows, width;
  MLD_HD bool known(std::int64_t i) const { return index[i] >= 0 && index[i] < table_rows; }
};

// Threads share the columns, not the rows.
template <class T>
struct ScatterStrip {
  static constexpr std::int64_t kColumns = 64;
  Scatter<T> scatter;
  void operator()(std::int64_t strip) const {
    const Scatter<T> s = scatter;
    const std::int64_t first = strip * kColumns, last = std::min(s.width, first + kColumns);
    for (std::int64_t i = 0; i < s.count; ++i) {
      if (!s.known(i)) continue;
      T* row = s.table + s.index[i] * s.width;
#pragma GCC ivdep
      for (std::int64_t j = first; j < last; ++j) row[j] = row[j] + s.dy[i * s.width + j];
    }
  }
};

// Column j of index i: the first place of an index adds up all of them, so that nobody else writes that row.
template <class T>
struct ScatterElement {
  Scatter<T> scatter;
  MLD_HD void operator()(std::int64_t element) const {
    const Scatter<T>& s = scatter;
    const std::int64_t i = element / s.width, j = element % s.width;
    if (!s.known(i)) return;
    const std::int32_t row = s.index[i];
    for (std::int64_t before = i; before-- > 0;)
      if (s.index[before] == row) return;
    T sum = s.table[row * s.width + j];
    for (std::int64_t k = i; k < s.count; ++k)
      if (s.index[k] == row) sum = sum + s.dy[k * s.width + j];
    s.table[row * s.width + j] = sum;
  }
};

template <class T>
void scatter_add(const Tensor& dy, const Tensor& index, std::int64_t table_rows, const Tensor& to) {
  const std::int64_t count = index.numel(), width = count > 0 ? dy.numel() / count : 0;
  const Scatter<T> scatter{dy.ptr<T>(), index.ptr<std::int32_t>(), to.ptr<T>(), count, table_rows, width};
  if (dy.device().kind == DeviceKind::cuda)
    return gpu::for_each(dy.device(), count * width, ScatterElement<T>{scatter});
  constexpr std::int64_t kColumns = ScatterStrip<T>::kColumns;
  for_each_host_row(dy.device(), (width + kColumns - 1) / kColumns, count * kColumns,
                    ScatterStrip<T>{scatter});
}

}  // namespace

Var reshape(const Var& x, const Shape& shape) {
  check::defined("reshape", "x", x.value);
  const Tensor y = x.value.reshape(shape);
  if (!needs_grad(x)) return y;
  return {y, Tape::current()->record(Op::reshape,
                                     [from = x.shape(), slot = x.slot](const Tensor& dy, Tape& tape) {
                                       tape.accumulate(slot, dy.reshape(from));
                                     })};
}

Var concat(std::span<const Var> parts, int axis) {
  MLD_CHECK(!parts.empty(), "concat: no parts");
  const Var& head = parts.front();
  const int along = head.shape().axis(axis);
  Shape shape = head.shape();
  shape[along] = 0;
  bool record = false;
  for (const Var& part : parts) {
    Shape rest = part.shape();
    if (rest.rank() == shape.rank()) rest[along] = head.shape()[along];
    MLD_CHECK(rest == head.shape() && part.dtype() == head.dtype() && part.device() == head.device(),
              "concat: ", part.shape(), " ", dtype_name(part.dtype()), " (", part.device(), ") does not fit ",
              head.shape(), " ", dtype_name(head.dtype()), " (", head.device(), ") along axis ", along,
              "; all other extents, type and device must be equal");
    shape[along] += part.shape()[along];
    record = record || needs_grad(part);
  }
  std::vector<Part> differentiated;
  std::vector<Strip> strips;
  const Tensor y = Tensor::empty(shape, head.dtype(), head.device());
  std::int64_t first = 0;
  for (const Var& part : parts) {
    const Piece piece = piece_of(shape, along, first, part.shape()[along]);
    strips.push_back(to_piece(part.value, y, piece));
    if (needs_grad(part)) differentiated.push_back({part.shape(), piece, part.slot});
    first += part.shape()[along];
  }
  copy_strips(y.device(), shape.product(0, along), strips);
  if (!record) return y;
  check_float("concat", y.dtype());
  return {y, Tape::current()->record(Op::concat,
                                     [parts = std::move(differentiated)](const Tensor& dy, Tape& tape) {
                                       pull_parts(dy, parts, tape);
                                     })};
}

Var slice(const Var& x, int axis, std::int64_t first, std::int64_t count) {
  const int along = x.shape().axis(axis);
  MLD_CHECK(first >= 0 && count >= 0 && first <= x.shape()[along] - count, "slice: ", first, "..",
            first + count - 1, " along axis ", along, " of ", x.shape());
  Shape shape = x.shape();
  shape[along] = count;
  const Piece piece = piece_of(x.shape(), along, first, count);
  const Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  copy_strips(y.device(), piece.rows, std::array{from_piece(x.value, piece, y)});
  if (!needs_grad(x)) return y;
  check_float("slice", y.dtype());
  return {y, Tape::current()->record(Op::slice,
                                     [piece, from = x.shape(), slot = x.slot](const Tensor& dy, Tape& tape) {
                                       pull_slice(dy, from, piece, slot, tape);
                                     })};
}

Var permute(const Var& x, std::initializer_list<int> order) {
  std::array<int, Shape::kMaxRank> axes{}, inverse{};
  Shape shape;
  std::array<bool, Shape::kMaxRank> seen{};
  MLD_CHECK(static_cast<int>(order.size()) == x.shape().rank(), "permute: ", order.size(), " axes for ",
            x.shape());
  for (const int a : order) {
    const int axis = x.shape().axis(a);
    const int place = shape.rank();
    MLD_CHECK(!std::exchange(seen[static_cast<std::size_t>(axis)], true), "permute: axis ", a, " of ",
              x.shape(), " is named twice");
    axes[static_cast<std::size_t>(place)] = axis;
    inverse[static_cast<std::size_t>(axis)] = place;
    shape.push_back(x.shape()[axis]);
  }
  const Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  permute_forward(x.value, permute_plan(x.shape(), std::span(axes).first(order.size())), y);
  if (!needs_grad(x)) return y;
  check_float("permute", y.dtype());
  const PermutePlan back = permute_plan(shape, std::span(inverse).first(order.size()));
  return {y, Tape::current()->record(Op::permute, [back, from = x.shape(), slot = x.slot](const Tensor& dy,
                                                                                          Tape& tape) {
            const Tape::Target dx = tape.target(slot, from, dy.dtype(), dy.device());
            dispatch_float(dy.dtype(), "backward", [&]<class T>() {
              with_flag(dx.add, [&](auto adding) {
                permute_to<decltype(adding)::value, T>(dy.device(), back, dy.ptr<T>(), dx.grad.ptr<T>());
              });
            });
          })};
}

Var gather_rows(const Var& table, const Tensor& index) {
  MLD_CHECK(table.shape().rank() > 0 && index.defined() && index.dtype() == DType::i32 &&
                index.device() == table.device(),
            "gather_rows: table ", table.shape(), " (", table.device(), ") and index ", index.shape(), " ",
            dtype_name(index.dtype()), " (", index.device(), "); needs i32 indices on the table's device");
  const std::int64_t rows = table.shape()[0], width = table.shape().product(1, table.shape().rank());
  check_indices("gather_rows", index, rows, -1);
  Shape shape = index.shape();
  for (int axis = 1; axis < table.shape().rank(); ++axis) shape.push_back(table.shape()[axis]);
  const Tensor y = Tensor::empty(shape, table.dtype(), table.device());
  dispatch_float(y.dtype(), "gather_rows", [&]<class T>() {
    for_each_row(y.device(), index.numel(), width,
                 GatherRow<T>{table.value.ptr<T>(), index.ptr<std::int32_t>(), y.ptr<T>(), rows, width});
  });
  if (!needs_grad(table)) return y;
  return {y, Tape::current()->record(Op::gather_rows, [index, shape = table.shape(), slot = table.slot](
                                                          const Tensor& dy, Tape& tape) {
            const Tape::Target to = tape.target(slot, shape, dy.dtype(), dy.device());
            if (!to.add) to.grad.zero();
            dispatch_float(dy.dtype(), "backward",
                           [&]<class T>() { scatter_add<T>(dy, index, shape[0], to.grad); });
          })};
}

}  // namespace mld
