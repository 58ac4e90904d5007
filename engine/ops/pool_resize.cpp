#include <algorithm>
#include <limits>
#include <type_traits>

#include "engine/loops/drivers.h"
#include "engine/ops/conv.h"
#include "engine/ops/op_check.h"

// Pooling and resampling. On the CPU one iteration makes one row of pixels of one image, and loops run along
// the channels, which are contiguous; on a GPU one thread makes one value. Every adjoint gathers: a pixel of
// x collects from the pixels of y that read it, so that no two iterations write to the same place.

namespace mld {
namespace {

using i64 = std::int64_t;

// Windows along one axis: output p covers the inputs p*stride - padding + [0, kernel), as far as they exist.
struct Windows {
  i64 in, out, kernel, stride, padding;
  struct Range {
    i64 first, last;  // [first, last)
  };
  MLD_HD Range inputs(i64 p) const {
    const i64 start = p * stride - padding;
    return {std::max<i64>(start, 0), std::min(start + kernel, in)};
  }
  // Outputs whose window holds input i.
  MLD_HD Range outputs(i64 i) const {
    const i64 reach = i + padding - kernel + 1;  // smallest p * stride
    return {reach <= 0 ? 0 : (reach + stride - 1) / stride, std::min((i + padding) / stride + 1, out)};
  }
};

struct Geometry {
  i64 n, channels;
  Windows h, w;
  i64 line_work() const { return w.in * h.kernel * channels; }  // of one row of either image
};

constexpr i64 kMaxSize = i64{1} << 30;  // products of two sizes stay far from overflow

Geometry pool_geometry(const char* op, const Tensor& x, const ConvShape& s) {
  check::rank(op, "x", x, 4, "[N,H,W,C]");
  MLD_CHECK(s.output_padding[0] == 0 && s.output_padding[1] == 0, op, ": output padding is not for pooling");
  const auto windows = [&](std::size_t i) {
    const i64 in = x.shape()[static_cast<int>(i) + 1];
    MLD_CHECK(std::max({in, s.kernel[i], s.stride[i], s.padding[i]}) < kMaxSize, op, ": x ", x.shape(),
              ": window, stride, padding or image too large");
    MLD_CHECK(s.kernel[i] > 0 && s.stride[i] > 0 && s.padding[i] >= 0 && 2 * s.padding[i] <= s.kernel[i], op,
              ": window ", s.kernel[i], " stride ", s.stride[i], " padding ", s.padding[i],
              ": window and stride must be positive, padding at most half the window");
    MLD_CHECK(in + 2 * s.padding[i] >= s.kernel[i], op, ": x ", x.shape(), " with padding ", s.padding[i],
              " is smaller than the window ", s.kernel[i]);
    return Windows{in, (in + 2 * s.padding[i] - s.kernel[i]) / s.stride[i] + 1, s.kernel[i], s.stride[i],
                   s.padding[i]};
  };
  return {x.shape()[0], x.shape()[3], windows(0), windows(1)};
}

Shape out_shape(const Geometry& g) { return {g.n, g.h.out, g.w.out, g.channels}; }

// One value of an array [n, lines, columns, channels].
struct Place {
  i64 n, line, column, channel;
};

// A kernel makes a row of pixels with row(row), on the CPU, and value i alone with value(i, place), on a GPU.
template <class F>
struct OneRow {
  F f;
  void operator()(i64 row) const { f.row(row); }
};
template <class F>
struct OneValue {
  F f;
  i64 lines, columns, channels;
  MLD_HD void operator()(i64 i) const {
    const i64 pixel = i / channels, row = pixel / columns;
    f.value(i, Place{row / lines, row % lines, pixel % columns, i % channels});
  }
};

// f for all of `made` [n, lines, columns, channels]; row_work: what a row of it costs.
template <class F>
void make(const Tensor& made, i64 row_work, const F& f) {
  const Shape& s = made.shape();
  if (made.device().kind == DeviceKind::cuda)
    gpu::for_each(made.device(), made.numel(), OneValue<F>{f, s[1], s[2], s[3]});
  else
    for_each_host_row(made.device(), s[0] * s[1], row_work, OneRow<F>{f});
}

// Of two values of a window the first is the larger one; a NaN counts as largest, so that it is not hidden.
template <class T>
MLD_HD bool wins(T v, T best) {
  return v > best || v != v;
}

// y = largest value of the window, where = its pixel of x (the first one in a tie).
template <class T, bool kWhere>
struct MaxPool {
  Geometry g;
  const T* x;
  T* y;
  std::int32_t* where;  // unless kWhere is false
  void row(i64 row) const {
    const i64 n = row / g.h.out;
    const auto lines = g.h.inputs(row % g.h.out);
    for (i64 j = 0; j < g.w.out; ++j) {
      const i64 to = (row * g.w.out + j) * g.channels;
      pixel(x + n * g.h.in * g.w.in * g.channels, lines, g.w.inputs(j), y + to,
            kWhere ? where + to : nullptr);
    }
  }

  void pixel(const T* image, Windows::Range lines, Windows::Range columns, T* best, std::int32_t* at) const {
    const i64 channels = g.channels, first = lines.first * g.w.in + columns.first;
    std::copy(image + first * channels, image + (first + 1) * channels, best);
    if (kWhere) std::fill(at, at + channels, static_cast<std::int32_t>(first));
    for (i64 i = lines.first; i < lines.last; ++i)
      for (i64 j = columns.first; j < columns.last; ++j) {
        const T* v = image + (i * g.w.in + j) * channels;
        const auto index = static_cast<std::int32_t>(i * g.w.in + j);
#pragma GCC ivdep
        for (i64 c = 0; c < channels; ++c) {
          const bool larger = wins(v[c], best[c]);
          best[c] = larger ? v[c] : best[c];
          if constexpr (kWhere) at[c] = larger ? index : at[c];
        }
      }
  }

  MLD_HD void value(i64 to, const Place& at) const {
    const auto lines = g.h.inputs(at.line), columns = g.w.inputs(at.column);
    const T* image = x + at.n * g.h.in * g.w.in * g.channels + at.channel;
    i64 place = lines.first * g.w.in + columns.first;
    T best = image[place * g.channels];
    for (i64 i = lines.first; i < lines.last; ++i)
      for (i64 j = columns.first; j < columns.last; ++j) {
        const i64 index = i * g.w.in + j;
        const T v = image[index * g.channels];
        if (!wins(v, best)) continue;
        best = v;
        place = index;
      }
    y[to] = best;
    if constexpr (kWhere) where[to] = static_cast<std::int32_t>(place);
  }
};

template <class T>
struct MaxPoolBackward {
  Geometry g;
  const T* dy;
  const std::int32_t* where;
  T* dx;
  void row(i64 row) const {
    const i64 n = row / g.h.in, i = row % g.h.in, channels = g.channels;
    const auto lines = g.h.outputs(i);
    for (i64 j = 0; j < g.w.in; ++j) {
      const auto index = static_cast<std::int32_t>(i * g.w.in + j);
      const auto columns = g.w.outputs(j);
      T* to = dx + (row * g.w.in + j) * channels;
      std::fill(to, to + channels, T(0));
      for (i64 p = lines.first; p < lines.last; ++p)
        for (i64 q = columns.first; q < columns.last; ++q) {
          const i64 from = ((n * g.h.out + p) * g.w.out + q) * channels;
#pragma GCC ivdep
          for (i64 c = 0; c < channels; ++c) to[c] += where[from + c] == index ? dy[from + c] : T(0);
        }
    }
  }

  MLD_HD void value(i64 to, const Place& at) const {
    const auto lines = g.h.outputs(at.line), columns = g.w.outputs(at.column);
    const i64 index = at.line * g.w.in + at.column;
    T sum = T(0);
    for (i64 p = lines.first; p < lines.last; ++p)
      for (i64 q = columns.first; q < columns.last; ++q) {
        const i64 from = ((at.n * g.h.out + p) * g.w.out + q) * g.channels + at.channel;
        if (where[from] == index) sum += dy[from];
      }
    dx[to] = sum;
  }
};

// The mean of window (p, q) is this times the sum.
template <class T>
MLD_HD T mean_scale(const Geometry& g, i64 p, i64 q, bool count_padding) {
  const auto h = g.h.inputs(p), w = g.w.inputs(q);
  const i64 count = count_padding ? g.h.kernel * g.w.kernel : (h.last - h.first) * (w.last - w.first);
  return T(1) / static_cast<T>(count);
}

template <class T>
struct AvgPool {
  Geometry g;
  bool count_padding;
  const T* x;
  T* y;
  void row(i64 row) const {
    const i64 n = row / g.h.out, p = row % g.h.out, channels = g.channels;
    const auto lines = g.h.inputs(p);
    for (i64 q = 0; q < g.w.out; ++q) {
      const auto columns = g.w.inputs(q);
      T* to = y + (row * g.w.out + q) * channels;
      std::fill(to, to + channels, T(0));
      for (i64 i = lines.first; i < lines.last; ++i)
        for (i64 j = columns.first; j < columns.last; ++j) {
          const T* v = x + ((n * g.h.in + i) * g.w.in + j) * channels;
#pragma GCC ivdep
          for (i64 c = 0; c < channels; ++c) to[c] += v[c];
        }
      const T scale = mean_scale<T>(g, p, q, count_padding);
      for (i64 c = 0; c < channels; ++c) to[c] *= scale;
    }
  }

  MLD_HD void value(i64 to, const Place& at) const {
    const auto lines = g.h.inputs(at.line), columns = g.w.inputs(at.column);
    T sum = T(0);
    for (i64 i = lines.first; i < lines.last; ++i)
      for (i64 j = columns.first; j < columns.last; ++j)
        sum += x[((at.n * g.h.in + i) * g.w.in + j) * g.channels + at.channel];
    y[to] = sum * mean_scale<T>(g, at.line, at.column, count_padding);
  }
};

template <class T>
struct AvgPoolBackward {
  Geometry g;
  bool count_padding;
  const T* dy;
  T* dx;
  void row(i64 row) const {
    const i64 n = row / g.h.in, channels = g.channels;
    const auto lines = g.h.outputs(row % g.h.in);
    for (i64 j = 0; j < g.w.in; ++j) {
      const auto columns = g.w.outputs(j);
      T* to = dx + (row * g.w.in + j) * channels;
      std::fill(to, to + channels, T(0));
      for (i64 p = lines.first; p < lines.last; ++p)
        for (i64 q = columns.first; q < columns.last; ++q) {
          const T scale = mean_scale<T>(g, p, q, count_padding);
          const T* v = dy + ((n * g.h.out + p) * g.w.out + q) * channels;
#pragma GCC ivdep
          for (i64 c = 0; c < channels; ++c) to[c] += scale * v[c];
        }
    }
  }

  MLD_HD void value(i64 to, const Place& at) const {
    const auto lines = g.h.outputs(at.line), columns = g.w.outputs(at.column);
    T sum = T(0);
    for (i64 p = lines.first; p < lines.last; ++p)
      for (i64 q = columns.first; q < columns.last; ++q)
        sum += mean_scale<T>(g, p, q, count_padding) *
               dy[((at.n * g.h.out + p) * g.w.out + q) * g.channels + at.channel];
    dx[to] = sum;
  }
};

// An output position of a resampled axis reads inputs `low` and `high` with weights 1 - t and t.
template <class T>
struct Tap {
  i64 low, high;
  T t;
  // Weight of input i.
  MLD_HD T weight(i64 i) const { return (i == low ? T(1) - t : T(0)) + (i == high ? t : T(0)); }
  MLD_HD T blend(T at_low, T at_high) const { return (T(1) - t) * at_low + t * at_high; }
};

struct NearestAxis {
  i64 in, out;
  template <class T>
  MLD_HD Tap<T> tap(i64 p) const {
    const i64 from = p * in / out;
    return {from, from, T(0)};
  }
  // A range [first, last) of outputs that holds all those that read input i.
  MLD_HD i64 first(i64 i) const { return (i * out + in - 1) / in; }
  MLD_HD i64 last(i64 i) const { return ((i + 1) * out + in - 1) / in; }
};

struct BilinearAxis {
  i64 in, out;
  // Output p has its centre at (p + 1/2) in/out - 1/2, held inside the image: in units of 1/(2 out), exactly.
  template <class T>
  MLD_HD Tap<T> tap(i64 p) const {
    const i64 position = std::max<i64>((2 * p + 1) * in - out, 0);
    const i64 low = position / (2 * out);
    return {low, std::min(low + 1, in - 1), static_cast<T>(position % (2 * out)) / static_cast<T>(2 * out)};
  }
  // Those with a centre in (i-1, i+1), and at the borders all beyond.
  MLD_HD i64 first(i64 i) const { return i == 0 ? 0 : std::max<i64>(((2 * i - 1) * out - in) / (2 * in), 0); }
  MLD_HD i64 last(i64 i) const {
    return i == in - 1 ? out : std::min(((2 * i + 3) * out - in) / (2 * in) + 1, out);
  }
};

template <class Axis>
struct ResizeGeometry {
  i64 n, channels;
  Axis h, w;
};

template <class T, class Axis>
struct Resize {
  ResizeGeometry<Axis> g;
  const T* x;
  T* y;
  void row(i64 row) const {
    const i64 n = row / g.h.out, channels = g.channels, line = g.w.in * channels;
    const auto v = g.h.template tap<T>(row % g.h.out);
    const T* above = x + (n * g.h.in + v.low) * line;
    const T* below = x + (n * g.h.in + v.high) * line;
    for (i64 q = 0; q < g.w.out; ++q) {
      const auto u = g.w.template tap<T>(q);
      const i64 left = u.low * channels, right = u.high * channels;
      T* to = y + (row * g.w.out + q) * channels;
      if constexpr (std::is_same_v<Axis, NearestAxis>) {
        std::copy(above + left, above + left + channels, to);
      } else {
#pragma GCC ivdep
        for (i64 c = 0; c < channels; ++c)
          to[c] =
              v.blend(u.blend(above[left + c], above[right + c]), u.blend(below[left + c], below[right + c]));
      }
    }
  }

  MLD_HD void value(i64 to, const Place& at) const {
    const auto v = g.h.template tap<T>(at.line), u = g.w.template tap<T>(at.column);
    const auto from = [&](i64 i, i64 j) {
      return x[((at.n * g.h.in + i) * g.w.in + j) * g.channels + at.channel];
    };
    if constexpr (std::is_same_v<Axis, NearestAxis>)
      y[to] = from(v.low, u.low);
    else
      y[to] = v.blend(u.blend(from(v.low, u.low), from(v.low, u.high)),
                      u.blend(from(v.high, u.low), from(v.high, u.high)));
  }
};

template <class T, class Axis>
struct ResizeBackward {
  ResizeGeometry<Axis> g;
  const T* dy;
  T* dx;
  void row(i64 row) const {
    const i64 n = row / g.h.in, i = row % g.h.in, channels = g.channels;
    T* line = dx + row * g.w.in * channels;
    std::fill(line, line + g.w.in * channels, T(0));
    for (i64 p = g.h.first(i); p < g.h.last(i); ++p) {
      const T down = g.h.template tap<T>(p).weight(i);
      for (i64 j = 0; j < g.w.in; ++j)
        for (i64 q = g.w.first(j); q < g.w.last(j); ++q) {
          const T weight = down * g.w.template tap<T>(q).weight(j);
          const T* v = dy + ((n * g.h.out + p) * g.w.out + q) * channels;
          T* to = line + j * channels;
#pragma GCC ivdep
          for (i64 c = 0; c < channels; ++c) to[c] += weight * v[c];
        }
    }
  }

  MLD_HD void value(i64 to, const Place& at) const {
    T sum = T(0);
    for (i64 p = g.h.first(at.line); p < g.h.last(at.line); ++p) {
      const T down = g.h.template tap<T>(p).weight(at.line);
      for (i64 q = g.w.first(at.column); q < g.w.last(at.column); ++q)
        sum += down * g.w.template tap<T>(q).weight(at.column) *
               dy[((at.n * g.h.out + p) * g.w.out + q) * g.channels + at.channel];
    }
    dx[to] = sum;
  }
};

template <class Axis>
Var resize(Op op, const Var& x, i64 height, i64 width) {
  check::rank(op_name(op), "x", x.value, 4, "[N,H,W,C]");
  const Shape& s = x.shape();
  MLD_CHECK(height > 0 && width > 0 && s[1] > 0 && s[2] > 0, op_name(op), ": x ", s, " to ", height, "x",
            width, ": sizes must be positive");
  MLD_CHECK(std::max({height, width, s[1], s[2]}) < kMaxSize, op_name(op), ": x ", s, " to ", height, "x",
            width, ": too large");
  const ResizeGeometry<Axis> g{s[0], s[3], {s[1], height}, {s[2], width}};
  const Shape made{g.n, height, width, g.channels};
  Var y = Tensor::empty(made, x.dtype(), x.device());
  dispatch_float(x.dtype(), op_name(op), [&]<class T>() {
    make(y.value, width * g.channels, Resize<T, Axis>{g, x.value.ptr<T>(), y.value.ptr<T>()});
  });
  if (!needs_grad(x)) return y;
  y.slot = Tape::current()->record(op, [g, s, slot = x.slot](const Tensor& dy, Tape& tape) {
    const Tensor dx = Tensor::empty(s, dy.dtype(), dy.device());
    dispatch_float(dy.dtype(), "resize", [&]<class T>() {
      make(dx, g.w.in * g.channels, ResizeBackward<T, Axis>{g, dy.ptr<T>(), dx.ptr<T>()});
    });
    tape.accumulate(slot, dx);
  });
  return y;
}

}  // namespace

Var max_pool2d(const Var& x, const ConvShape& window) {
  const Geometry g = pool_geometry("max_pool2d", x.value, window);
  MLD_CHECK(g.h.in * g.w.in <= std::numeric_limits<std::int32_t>::max(), "max_pool2d: x ", x.shape(),
            " is too large");
  Var y = Tensor::empty(out_shape(g), x.dtype(), x.device());
  const bool grad = needs_grad(x);
  const Tensor where = grad ? Tensor::empty(out_shape(g), DType::i32, x.device()) : Tensor{};
  dispatch_float(x.dtype(), "max_pool2d", [&]<class T>() {
    const T* from = x.value.ptr<T>();
    T* to = y.value.ptr<T>();
    if (grad)
      make(y.value, g.line_work(), MaxPool<T, true>{g, from, to, where.ptr<std::int32_t>()});
    else
      make(y.value, g.line_work(), MaxPool<T, false>{g, from, to, nullptr});
  });
  if (!grad) return y;
  y.slot = Tape::current()->record(
      Op::max_pool2d, [g, where, shape = x.shape(), slot = x.slot](const Tensor& dy, Tape& tape) {
        const Tensor dx = Tensor::empty(shape, dy.dtype(), dy.device());
        dispatch_float(dy.dtype(), "max_pool2d", [&]<class T>() {
          make(dx, g.line_work(), MaxPoolBackward<T>{g, dy.ptr<T>(), where.ptr<std::int32_t>(), dx.ptr<T>()});
        });
        tape.accumulate(slot, dx);
      });
  return y;
}

Var avg_pool2d(const Var& x, const ConvShape& window, bool count_padding) {
  const Geometry g = pool_geometry("avg_pool2d", x.value, window);
  Var y = Tensor::empty(out_shape(g), x.dtype(), x.device());
  dispatch_float(x.dtype(), "avg_pool2d", [&]<class T>() {
    make(y.value, g.line_work(), AvgPool<T>{g, count_padding, x.value.ptr<T>(), y.value.ptr<T>()});
  });
  if (!needs_grad(x)) return y;
  y.slot = Tape::current()->record(
      Op::avg_pool2d, [g, count_padding, shape = x.shape(), slot = x.slot](const Tensor& dy, Tape& tape) {
        const Tensor dx = Tensor::empty(shape, dy.dtype(), dy.device());
        dispatch_float(dy.dtype(), "avg_pool2d", [&]<class T>() {
          make(dx, g.line_work(), AvgPoolBackward<T>{g, count_padding, dy.ptr<T>(), dx.ptr<T>()});
        });
        tape.accumulate(slot, dx);
      });
  return y;
}

Var resize_nearest(const Var& x, i64 height, i64 width) {
  return resize<NearestAxis>(Op::resize_nearest, x, height, width);
}

Var resize_bilinear(const Var& x, i64 height, i64 width) {
  return resize<BilinearAxis>(Op::resize_bilinear, x, height, width);
}

}  // namespace mld
