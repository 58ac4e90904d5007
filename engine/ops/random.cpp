#include "engine/ops/random.h"

#include <limits>

#include "engine/core/drivers.h"
#include "engine/ops/op_check.h"
#include "engine/ops/scratch.h"
#include "engine/random/philox.h"

namespace mld {
namespace {

using i64 = std::int64_t;

constexpr i64 kDrawCost = 8;  // work of a draw, in elements of pointwise work

// Fills row `row` of a draw: its first n elements, each four of them made by `values`.
template <class F>
void draw_row(const DrawKey& key, std::uint32_t row, i64 n, F values, float* out) {
  const std::uint64_t seed = key.state ? key.state->seed : key.seed;
  const std::uint32_t step = key.state ? static_cast<std::uint32_t>(key.state->step) : key.step;
  fill_row(out, n, seed, key.site, step, row, values);
}

void check_row_size(const char* op, const Tensor& t, i64 elements) {
  constexpr i64 kLimit = i64{4} << 32;  // four elements a counter
  MLD_CHECK(elements < kLimit, op, ": a row of ", t.shape(), " has more elements than a draw can number (",
            kLimit, ")");
}

template <class T, class F>
struct Fill {
  T* out;
  i64 size;  // of a row
  DrawKey key;
  i64 first_row;
  const std::int32_t* rows;  // or null
  F values;
  void operator()(i64 b) const {
    const auto row = static_cast<std::uint32_t>(rows ? rows[b] : first_row + b);
    T* to = out + b * size;
    if constexpr (std::is_same_v<T, float>) {
      draw_row(key, row, size, values, to);
    } else {
      float* const drawn = Scratch<float>(1, size)[0];
      draw_row(key, row, size, values, drawn);
      for (i64 i = 0; i < size; ++i) to[i] = static_cast<T>(drawn[i]);
    }
  }
};

template <class F>
void fill(const char* op, const Tensor& out, const DrawKey& key, i64 first_row, const Tensor& rows,
          F values) {
  check::defined(op, "out", out);
  MLD_CHECK(out.shape().rank() >= 1, op, ": out needs an axis of rows");
  const i64 count = out.shape()[0], size = out.shape().product(1, out.shape().rank());
  constexpr i64 kMaxRow = std::numeric_limits<std::uint32_t>::max();
  MLD_CHECK(first_row >= 0 && first_row <= kMaxRow - count, op, ": rows from ", first_row, " on for ",
            out.shape(), " do not fit into 32 bits");
  check_row_size(op, out, size);
  if (rows.defined()) {
    MLD_CHECK(rows.dtype() == DType::i32 && rows.device() == out.device() && rows.shape() == Shape({count}),
              op, ": ", check::describe("rows", rows), " must be i32 [", count, "] on the device of ",
              check::describe("out", out));
    MLD_CHECK(first_row == 0, op, ": first_row has no meaning together with rows");
  }
  dispatch_float(out.dtype(), op, [&]<class T>() {
    for_each_row(out.device(), count, size * kDrawCost,
                 Fill<T, F>{out.ptr<T>(), size, key, first_row,
                            rows.defined() ? rows.ptr<std::int32_t>() : nullptr, values});
  });
}

// out = in * mask / (1 - p). A sample has `repeats` rows of `size` elements that share one mask.
template <class T>
struct Dropout {
  const T* in;
  T* out;
  i64 repeats, size;
  float p;
  T scale;
  DrawKey key;
  void operator()(i64 sample) const {
    float* const u = Scratch<float>(1, size)[0];
    draw_row(key, static_cast<std::uint32_t>(sample), size, uniform4, u);
    for (i64 s = 0; s < repeats; ++s) {
      const T* from = in + (sample * repeats + s) * size;
      T* to = out + (sample * repeats + s) * size;
#pragma GCC ivdep
      for (i64 i = 0; i < size; ++i) to[i] = u[i] < p ? T(0) : from[i] * scale;
    }
  }
};

void apply_dropout(const Tensor& in, double p, const DrawKey& key, i64 repeats, const Tensor& out) {
  const i64 samples = in.shape()[0], size = in.shape().product(1, in.shape().rank()) / repeats;
  dispatch_float(in.dtype(), "dropout", [&]<class T>() {
    for_each_row(in.device(), samples, size * (kDrawCost + repeats),
                 Dropout<T>{in.ptr<T>(), out.ptr<T>(), repeats, size, static_cast<float>(p),
                            static_cast<T>(1 / (1 - p)), key});
  });
}

}  // namespace

void fill_normal(const Tensor& out, DrawKey key, i64 first_row, const Tensor& rows) {
  fill("fill_normal", out, key, first_row, rows, [](Words w) { return normal4(w); });
}

void fill_uniform(const Tensor& out, DrawKey key, i64 first_row, const Tensor& rows) {
  fill("fill_uniform", out, key, first_row, rows, [](Words w) { return uniform4(w); });
}

Var dropout(const Var& x, double p, DrawKey key, bool channels) {
  check::defined("dropout", "x", x.value);
  MLD_CHECK(p >= 0 && p < 1, "dropout: probability ", p, " must be in [0, 1)");
  const Shape& s = x.shape();
  MLD_CHECK(s.rank() >= (channels ? 2 : 1), "dropout: x ", s, " must be ",
            channels ? "[N,...,C]" : "[N,...]");
  if (p == 0) return x;
  const i64 repeats = channels ? s.product(1, s.rank() - 1) : 1;
  MLD_CHECK(repeats > 0, "dropout: x ", s, " has an empty axis");
  check_row_size("dropout", x.value, s.product(1, s.rank()) / repeats);
  Var y = Tensor::empty(s, x.dtype(), x.device());
  apply_dropout(x.value, p, key, repeats, y.value);
  if (!needs_grad(x)) return y;
  y.slot =
      Tape::current()->record(Op::dropout, [p, key, repeats, slot = x.slot](const Tensor& dy, Tape& tape) {
        const Tensor dx = dy.unique() ? dy : Tensor::empty(dy.shape(), dy.dtype(), dy.device());
        apply_dropout(dy, p, key, repeats, dx);
        tape.accumulate(slot, dx);
      });
  return y;
}

}  // namespace mld
