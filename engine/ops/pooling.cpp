#include <algorithm>
#include <limits>

#include "engine/kernels/pixels.h"
#include "engine/ops/conv.h"
#include "engine/ops/op_check.h"

namespace mld {
namespace {

using i64 = std::int64_t;
using pixels::Place;

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

Geometry pool_geometry(const char* op, const Tensor& x, const ConvShape& s) {
  check::rank(op, "x", x, 4, "[N,H,W,C]");
  MLD_CHECK(s.output_padding[0] == 0 && s.output_padding[1] == 0, op, ": output padding is not for pooling");
  const auto windows = [&](std::size_t i) {
    const i64 in = x.shape()[static_cast<int>(i) + 1];
    MLD_CHECK(std::max({in, s.kernel[i], s.stride[i], s.padding[i]}) < pixels::kMaxSize, op, ": x ",
              x.shape(), ": window, stride, padding or image too large");
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
      pixels::make(y.value, g.line_work(), MaxPool<T, true>{g, from, to, where.ptr<std::int32_t>()});
    else
      pixels::make(y.value, g.line_work(), MaxPool<T, false>{g, from, to, nullptr});
  });
  if (!grad) return y;
  y.slot = Tape::current()->record(
      Op::max_pool2d, [g, where, shape = x.shape(), slot = x.slot](const Tensor& dy, Tape& tape) {
        const Tensor dx = Tensor::empty(shape, dy.dtype(), dy.device());
        dispatch_float(dy.dtype(), "max_pool2d", [&]<class T>() {
          pixels::make(dx, g.line_work(),
                       MaxPoolBackward<T>{g, dy.ptr<T>(), where.ptr<std::int32_t>(), dx.ptr<T>()});
        });
        tape.accumulate(slot, dx);
      });
  return y;
}

Var avg_pool2d(const Var& x, const ConvShape& window, bool count_padding) {
  const Geometry g = pool_geometry("avg_pool2d", x.value, window);
  Var y = Tensor::empty(out_shape(g), x.dtype(), x.device());
  dispatch_float(x.dtype(), "avg_pool2d", [&]<class T>() {
    pixels::make(y.value, g.line_work(), AvgPool<T>{g, count_padding, x.value.ptr<T>(), y.value.ptr<T>()});
  });
  if (!needs_grad(x)) return y;
  y.slot = Tape::current()->record(
      Op::avg_pool2d, [g, count_padding, shape = x.shape(), slot = x.slot](const Tensor& dy, Tape& tape) {
        const Tensor dx = Tensor::empty(shape, dy.dtype(), dy.device());
        dispatch_float(dy.dtype(), "avg_pool2d", [&]<class T>() {
          pixels::make(dx, g.line_work(), AvgPoolBackward<T>{g, count_padding, dy.ptr<T>(), dx.ptr<T>()});
        });
        tape.accumulate(slot, dx);
      });
  return y;
}

}  // namespace mld
