#include "engine/ops/random.h"

#include <limits>

#include "engine/kernels/scratch.h"
#include "engine/loops/drivers.h"
#include "engine/ops/op_check.h"
#include "engine/random/philox.h"

namespace mld {
namespace {

using i64 = std::int64_t;

constexpr i64 kDrawCost = 8;  // work of a draw, in elements of pointwise work

MLD_HD std::uint64_t seed_of(const DrawKey& key) { return key.state ? key.state->seed : key.seed; }
MLD_HD std::uint32_t step_of(const DrawKey& key) {
  if (key.state) return static_cast<std::uint32_t>(key.state->step);
  return key.step_at ? static_cast<std::uint32_t>(*key.step_at) : key.step;
}

// Fills row `row` of a draw: its first n elements, each four of them made by `values`.
template <class F>
void draw_row(const DrawKey& key, std::uint32_t row, i64 n, F values, float* out) {
  fill_row(out, n, seed_of(key), key.site, step_of(key), row, values);
}

// The words of four elements of a row.
MLD_HD Words draw_block(const DrawKey& key, i64 row, i64 block) {
  return draw(seed_of(key), key.site, step_of(key), static_cast<std::uint32_t>(row),
              static_cast<std::uint32_t>(block));
}

// f(e) for the elements e of a block of four that are within a row of n.
template <class F>
MLD_HD void each_of_block(i64 block, i64 n, const F& f) {
  for (int e = 0; e < 4; ++e)
    if (4 * block + e < n) f(e);
}

i64 blocks_of(i64 size) { return (size + 3) / 4; }

struct Uniforms {
  MLD_HD Floats operator()(Words w) const { return uniform4(w); }
};
struct Normals {
  MLD_HD Floats operator()(Words w) const { return normal4(w); }
};

void check_row_size(const char* op, const Tensor& t, i64 elements) {
  constexpr i64 kLimit = i64{4} << 32;  // four elements a counter
  MLD_CHECK(elements < kLimit, op, ": a row of ", t.shape(), " has more elements than a draw can number (",
            kLimit, ")");
}

void check_rows(const char* op, const DrawKey& key, i64 count) {
  constexpr i64 kMaxRow = std::numeric_limits<std::uint32_t>::max();
  MLD_CHECK(key.first_row >= 0 && key.first_row <= kMaxRow - count, op, ": ", count, " rows from ",
            key.first_row, " on do not fit into 32 bits");
}

template <class T, class F>
struct Fill {
  T* out;
  i64 size;  // of a row
  DrawKey key;
  const std::int32_t* rows;  // or null
  F values;
  MLD_HD i64 row(i64 b) const { return rows ? rows[b] : key.first_row + b; }
};

template <class T, class F>
struct FillRow {
  Fill<T, F> fill;
  void operator()(i64 b) const {
    const auto row = static_cast<std::uint32_t>(fill.row(b));
    T* to = fill.out + b * fill.size;
    if constexpr (std::is_same_v<T, float>) {
      draw_row(fill.key, row, fill.size, fill.values, to);
    } else {
      float* const drawn = Scratch<float>(1, fill.size)[0];
      draw_row(fill.key, row, fill.size, fill.values, drawn);
      for (i64 i = 0; i < fill.size; ++i) to[i] = static_cast<T>(drawn[i]);
    }
  }
};

template <class T, class F>
struct FillBlock {
  Fill<T, F> fill;
  i64 blocks;  // in a row
  MLD_HD void operator()(i64 i) const {
    const i64 b = i / blocks, block = i % blocks;
    const Floats y = fill.values(draw_block(fill.key, fill.row(b), block));
    T* to = fill.out + b * fill.size + 4 * block;
    each_of_block(block, fill.size, [=](int e) { to[e] = static_cast<T>(y.v[e]); });
  }
};

template <class F>
void fill(const char* op, const Tensor& out, const DrawKey& key, const Tensor& rows, F values) {
  check::defined(op, "out", out);
  MLD_CHECK(out.shape().rank() >= 1, op, ": out needs an axis of rows");
  const i64 count = out.shape()[0], size = out.shape().product(1, out.shape().rank());
  check_rows(op, key, count);
  check_row_size(op, out, size);
  if (rows.defined()) {
    MLD_CHECK(rows.dtype() == DType::i32 && rows.device() == out.device() && rows.shape() == Shape({count}),
              op, ": ", check::describe("rows", rows), " must be i32 [", count, "] on the device of ",
              check::describe("out", out));
    MLD_CHECK(key.first_row == 0, op, ": first_row has no meaning together with rows");
  }
  dispatch_float(out.dtype(), op, [&]<class T>() {
    const Fill<T, F> f{out.ptr<T>(), size, key, rows.defined() ? rows.ptr<std::int32_t>() : nullptr, values};
    if (out.device().kind == DeviceKind::cuda)
      return gpu::for_each(out.device(), count * blocks_of(size), FillBlock<T, F>{f, blocks_of(size)});
    for_each_host_row(out.device(), count, size * kDrawCost, FillRow<T, F>{f});
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
  MLD_HD T value(float u, T x) const { return u < p ? T(0) : x * scale; }
};

template <class T>
struct DropoutSample {
  Dropout<T> drop;
  void operator()(i64 sample) const {
    const Dropout<T> d = drop;
    float* const u = Scratch<float>(1, d.size)[0];
    draw_row(d.key, static_cast<std::uint32_t>(d.key.first_row + sample), d.size, Uniforms{}, u);
    for (i64 s = 0; s < d.repeats; ++s) {
      const T* from = d.in + (sample * d.repeats + s) * d.size;
      T* to = d.out + (sample * d.repeats + s) * d.size;
#pragma GCC ivdep
      for (i64 i = 0; i < d.size; ++i) to[i] = d.value(u[i], from[i]);
    }
  }
};

// Every row draws its mask again, so that rows are independent.
template <class T>
struct DropoutBlock {
  Dropout<T> drop;
  i64 blocks;  // in a row
  MLD_HD void operator()(i64 i) const {
    const Dropout<T> d = drop;
    const i64 row = i / blocks, block = i % blocks, first = row * d.size + 4 * block;
    const Floats u = uniform4(draw_block(d.key, d.key.first_row + row / d.repeats, block));
    each_of_block(block, d.size, [=](int e) { d.out[first + e] = d.value(u.v[e], d.in[first + e]); });
  }
};

void apply_dropout(const Tensor& in, double p, const DrawKey& key, i64 repeats, const Tensor& out) {
  const i64 samples = in.shape()[0], size = in.shape().product(1, in.shape().rank()) / repeats;
  dispatch_float(in.dtype(), "dropout", [&]<class T>() {
    const Dropout<T> d{
        in.ptr<T>(), out.ptr<T>(), repeats, size, static_cast<float>(p), static_cast<T>(1 / (1 - p)), key};
    if (in.device().kind == DeviceKind::cuda)
      return gpu::for_each(in.device(), samples * repeats * blocks_of(size),
                           DropoutBlock<T>{d, blocks_of(size)});
    for_each_host_row(in.device(), samples, size * (kDrawCost + repeats), DropoutSample<T>{d});
  });
}

}  // namespace

void fill_normal(const Tensor& out, DrawKey key, const Tensor& rows) {
  fill("fill_normal", out, key, rows, Normals{});
}

void fill_uniform(const Tensor& out, DrawKey key, const Tensor& rows) {
  fill("fill_uniform", out, key, rows, Uniforms{});
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
  check_rows("dropout", key, s[0]);
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
