#include <algorithm>
#include <type_traits>

#include "engine/kernels/pixels.h"
#include "engine/ops/conv.h"
#include "engine/ops/op_check.h"

namespace mld {
namespace {

using i64 = std::int64_t;
using pixels::Place;

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
  MLD_CHECK(std::max({height, width, s[1], s[2]}) < pixels::kMaxSize, op_name(op), ": x ", s, " to ", height,
            "x", width, ": too large");
  const ResizeGeometry<Axis> g{s[0], s[3], {s[1], height}, {s[2], width}};
  const Shape made{g.n, height, width, g.channels};
  Var y = Tensor::empty(made, x.dtype(), x.device());
  dispatch_float(x.dtype(), op_name(op), [&]<class T>() {
    pixels::make(y.value, width * g.channels, Resize<T, Axis>{g, x.value.ptr<T>(), y.value.ptr<T>()});
  });
  if (!needs_grad(x)) return y;
  y.slot = Tape::current()->record(op, [g, s, slot = x.slot](const Tensor& dy, Tape& tape) {
    const Tensor dx = Tensor::empty(s, dy.dtype(), dy.device());
    dispatch_float(dy.dtype(), "resize", [&]<class T>() {
      pixels::make(dx, g.w.in * g.channels, ResizeBackward<T, Axis>{g, dy.ptr<T>(), dx.ptr<T>()});
    });
    tape.accumulate(slot, dx);
  });
  return y;
}

}  // namespace

Var resize_nearest(const Var& x, i64 height, i64 width) {
  return resize<NearestAxis>(Op::resize_nearest, x, height, width);
}

Var resize_bilinear(const Var& x, i64 height, i64 width) {
  return resize<BilinearAxis>(Op::resize_bilinear, x, height, width);
}

}  // namespace mld
