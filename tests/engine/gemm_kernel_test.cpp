// The float GEMM against plain loops: every product that the networks of the presets make, odd shapes,
// leading dimensions, epilogues; and the promises about bits.
//
// Operands are small integers wherever possible: all sums are then exact in float, so that any order of
// summation must give the same result and the comparison needs no tolerance.
#include "engine/kernels/gemm_kernel.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "engine/kernels/gemm_naive.h"
#include "engine/threads/threads.h"
#include "tests/engine/kernel_operands.h"
#include "tests/threads_scope.h"

namespace {

using namespace mld;
using i64 = std::int64_t;
using test::Floats;
using test::integers;
using test::reals;
using test::same_bits;
using test::Threads;

template <class T>
std::vector<T> cast(const Floats& v) {
  return {v.begin(), v.end()};
}

// Stored shape of op(A) [rows, columns] with `slack` extra floats in a row.
struct Stored {
  i64 rows, columns, ld;
  bool transposed;
  Stored(i64 r, i64 c, bool t, i64 slack)
      : rows(t ? c : r), columns(t ? r : c), ld((t ? r : c) + slack), transposed(t) {}
  i64 size() const { return rows * ld; }
};

Floats product(i64 m, i64 n, i64 k, bool ta, bool tb, const Floats& a, const Floats& b, int threads) {
  const Threads scope(threads);
  const Stored sa(m, k, ta, 0), sb(k, n, tb, 0);
  Floats c(static_cast<std::size_t>(m * n), std::numeric_limits<float>::quiet_NaN());
  cpu::gemm(m, n, k, {a.data(), sa.ld, ta}, {b.data(), sb.ld, tb}, c.data(), n);
  return c;
}

// Checks one product of integers exactly.
void check_exact(i64 m, i64 n, i64 k, bool ta, bool tb) {
  CAPTURE(m);
  CAPTURE(n);
  CAPTURE(k);
  CAPTURE(ta);
  CAPTURE(tb);
  const Floats a = integers(m * k, 1), b = integers(k * n, 2);
  Floats want(static_cast<std::size_t>(m * n));
  const Stored sa(m, k, ta, 0), sb(k, n, tb, 0);
  naive::gemm<float>(m, n, k, {a.data(), sa.ld, ta}, {b.data(), sb.ld, tb}, want.data(), n);
  CHECK(product(m, n, k, ta, tb, a, b, 2) == want);
}

// The three products of a linear layer: y = x w', dx = dy w, dw = dy' x.
void check_layer(i64 batch, i64 in, i64 out) {
  check_exact(batch, out, in, false, true);
  check_exact(batch, in, out, false, false);
  check_exact(out, in, batch, true, false);
}

struct Layer {
  i64 in, out;
};

}  // namespace

TEST_CASE("gemm: the linear layers of the presets") {
  // Score networks: latents in and out, times, widths, concatenated skips; then the
  // autoencoders and classifiers.
  constexpr Layer kSmall[] = {{80, 256},   {2, 256},   {256, 256},  {512, 256}, {256, 80},
                              {784, 400},  {400, 16},  {16, 400},   {400, 784}, {320, 50},
                              {50, 10},    {64, 128},  {128, 128},  {200, 512}, {512, 200},
                              {2048, 128}, {980, 128}, {3136, 128}, {160, 32},  {32, 160}};
  for (const Layer& layer : kSmall)
    for (const i64 batch : {1, 7, 64}) check_layer(batch, layer.in, layer.out);
  constexpr Layer kWide[] = {{80, 512},   {1024, 512},  {208, 1024}, {3, 512},   {1024, 1024}, {2048, 1024},
                             {1536, 800}, {3072, 1536}, {160, 2048}, {65536, 8}, {8, 65536}};
  for (const Layer& layer : kWide) check_layer(3, layer.in, layer.out);
  check_layer(128, 512, 512);
  check_layer(128, 80, 512);
}

TEST_CASE("gemm: all transposes of odd shapes") {
  constexpr i64 kSizes[] = {1, 2, 3, 5, 7, 8, 13, 16, 17, 31, 33, 64, 67};
  for (const i64 m : kSizes)
    for (const i64 n : kSizes)
      for (const i64 k : {1, 4, 17, 67}) check_exact(m, n, k, (m + n) % 2 == 1, (m + k) % 2 == 1);
  // Around the block of k, and more rows and columns than one task takes.
  for (const bool ta : {false, true})
    for (const bool tb : {false, true}) {
      for (const i64 k : {511, 512, 513, 1300}) check_exact(37, 45, k, ta, tb);
      check_exact(300, 19, 70, ta, tb);
      check_exact(19, 700, 70, ta, tb);
    }
}

TEST_CASE("gemm: leading dimensions and epilogues, and nothing else is written") {
  std::mt19937 bits(7);
  const auto pick = [&](int n) { return static_cast<int>(bits() % static_cast<unsigned>(n)); };
  for (int round = 0; round < 150; ++round) {
    const i64 m = 1 + pick(40), n = 1 + pick(round % 5 == 0 ? 600 : 50), k = pick(round % 3 == 0 ? 600 : 40);
    const Stored sa(m, k, pick(2) == 1, pick(4)), sb(k, n, pick(2) == 1, pick(4)), sc(m, n, false, pick(4));
    const Floats a = integers(sa.size(), bits()), b = integers(sb.size(), bits()), bias = integers(n, bits());
    const Floats other = integers(m * n, bits()), before = integers(sc.size(), bits());
    const Act kinds[] = {Act::none, Act::relu, Act::leaky_relu};  // exact for integers
    const Activation activation{kinds[pick(3)], 0.25f};
    const int add = pick(4);
    const auto epilogue = [&](float* c) {
      cpu::Epilogue e{.bias = pick(2) == 1 ? bias.data() : nullptr, .activation = activation};
      if (add == 1) e.add = c, e.add_ld = sc.ld;         // accumulate
      if (add == 2) e.add = other.data(), e.add_ld = n;  // a residual
      if (add == 3) e.add = other.data(), e.add_ld = 0;  // one row for all
      return e;
    };
    Floats got = before, want = before;
    const cpu::Epilogue e = epilogue(got.data());
    cpu::gemm(m, n, k, {a.data(), sa.ld, sa.transposed}, {b.data(), sb.ld, sb.transposed}, got.data(), sc.ld,
              e);
    naive::gemm<float>(m, n, k, {a.data(), sa.ld, sa.transposed}, {b.data(), sb.ld, sb.transposed},
                       want.data(), sc.ld, {e.bias, add == 1 ? want.data() : e.add, e.add_ld, activation});
    CAPTURE(m);
    CAPTURE(n);
    CAPTURE(k);
    CAPTURE(add);
    CHECK(got == want);
  }
}

TEST_CASE("gemm: error of real operands stays within the bound of the sum") {
  constexpr double kEps = 0x1p-24;
  for (const i64 k : {1, 80, 512, 3000}) {
    const i64 m = 9, n = 41;
    const Floats a = reals(m * k, 1), b = reals(k * n, 2), bias = reals(n, 3);
    Floats abs_a = a, abs_b = b;
    for (float& x : abs_a) x = std::fabs(x);
    for (float& x : abs_b) x = std::fabs(x);
    const auto a64 = cast<double>(a), b64 = cast<double>(b), abs_a64 = cast<double>(abs_a),
               abs_b64 = cast<double>(abs_b);
    const auto bias64 = cast<double>(bias);
    for (const Act kind : kAllActs) {
      const Activation activation{kind, 0.01f};
      Floats got(static_cast<std::size_t>(m * n));
      std::vector<double> want(got.size()), sum(got.size());
      cpu::gemm(m, n, k, {a.data(), k}, {b.data(), n}, got.data(), n,
                {.bias = bias.data(), .activation = activation});
      naive::gemm<double>(m, n, k, {a64.data(), k}, {b64.data(), n}, want.data(), n,
                          {.bias = bias64.data(), .activation = activation});
      naive::gemm<double>(m, n, k, {abs_a64.data(), k}, {abs_b64.data(), n}, sum.data(), n);
      double worst = 0;
      for (std::size_t i = 0; i < got.size(); ++i) {
        // The derivative of every activation is below 1.2, its own error a few ulp.
        const double bound =
            1.2 * static_cast<double>(k + 1) * kEps * (sum[i] + 1) + 8 * kEps * std::fabs(want[i]);
        worst = std::max(worst, std::fabs(got[i] - want[i]) / bound);
      }
      CAPTURE(k);
      CAPTURE(static_cast<int>(kind));
      CHECK(worst < 1);
    }
  }
}

TEST_CASE("gemm: bits do not depend on threads, batch, position, neighbours or transposition") {
  struct Shape {
    i64 m, n, k;
  };
  for (const auto& [m, n, k] :
       {Shape{64, 512, 512}, Shape{131, 80, 700}, Shape{300, 35, 513}, Shape{64, 1100, 96}}) {
    CAPTURE(m);
    CAPTURE(n);
    CAPTURE(k);
    const Floats a = reals(m * k, 1), b = reals(k * n, 2);
    const Floats c = product(m, n, k, false, true, a, b, 1);
    CHECK(same_bits(c, product(m, n, k, false, true, a, b, 2)));
    CHECK(same_bits(c, product(m, n, k, false, true, a, b, 3)));
    for (const i64 row : {i64{0}, i64{5}, m - 1}) {
      const Floats one(a.begin() + row * k, a.begin() + (row + 1) * k);
      const Floats in_batch(c.begin() + row * n, c.begin() + (row + 1) * n);
      CHECK(same_bits(product(1, n, k, false, true, one, b, 2), in_batch));
    }
    const Floats first_columns(b.begin(), b.begin() + 3 * k);  // b is stored [n,k]
    const Floats narrow = product(m, 3, k, false, true, a, first_columns, 1);
    bool equal = true;
    for (i64 i = 0; i < m; ++i)
      equal = equal &&
              std::equal(&narrow[static_cast<std::size_t>(3 * i)],
                         &narrow[static_cast<std::size_t>(3 * i)] + 3, &c[static_cast<std::size_t>(i * n)]);
    CHECK(equal);
    Floats at(a.size()), bt(b.size());
    for (i64 i = 0; i < m; ++i)
      for (i64 p = 0; p < k; ++p)
        at[static_cast<std::size_t>(p * m + i)] = a[static_cast<std::size_t>(i * k + p)];
    for (i64 j = 0; j < n; ++j)
      for (i64 p = 0; p < k; ++p)
        bt[static_cast<std::size_t>(p * n + j)] = b[static_cast<std::size_t>(j * k + p)];
    CHECK(same_bits(c, product(m, n, k, true, false, at, bt, 2)));
  }
}

TEST_CASE("gemm: a row has the same bits in every number of rows, in panels of every width") {
  constexpr i64 k = 150;
  for (i64 n = 1; n <= 2 * 32 + 1; n += n < 34 ? 1 : 5) {
    CAPTURE(n);
    const Floats a = reals(13 * k, 3), b = reals(k * n, 4), whole = product(13, n, k, false, true, a, b, 1);
    for (i64 m = 1; m < 13; ++m)
      CHECK(same_bits(product(m, n, k, false, true, Floats(a.begin(), a.begin() + m * k), b, 1),
                      Floats(whole.begin(), whole.begin() + m * n)));
  }
}

TEST_CASE("gemm: empty products, and calls inside a parallel loop") {
  Floats c{1, 2};
  const Floats bias{3, -4};
  cpu::gemm(0, 2, 5, {nullptr, 5}, {nullptr, 2}, c.data(), 2);
  CHECK(c == Floats{1, 2});
  cpu::gemm(1, 2, 0, {nullptr, 0}, {nullptr, 2}, c.data(), 2,
            {.bias = bias.data(), .activation = {Act::relu}});
  CHECK(c == Floats{3, 0});
  const Floats a = integers(40 * 600, 1), b = integers(600 * 70, 2),
               want = product(40, 70, 600, false, false, a, b, 2);
  std::atomic<int> wrong = 0;
  const auto one = [&](i64) {
    Floats mine(want.size());
    cpu::gemm(40, 70, 600, {a.data(), 600}, {b.data(), 70}, mine.data(), 70);
    wrong += mine == want ? 0 : 1;
  };
  parallel_for(4, one, 2);
  CHECK(wrong == 0);
}

TEST_CASE("gemm_batched: equals the products one by one") {
  constexpr i64 kBatch = 9;
  for (const i64 m : {3, 70}) {
    const i64 n = 21, k = 300;
    const Floats a = reals(kBatch * m * k, 1), b = reals(kBatch * n * k, 2), bias = reals(n, 3);
    Floats got(static_cast<std::size_t>(kBatch * m * n), 1.0f), want = got;
    const auto run = [&](i64 batch, i64 p, Floats& c) {
      float* const to = c.data() + p * m * n;
      cpu::gemm_batched(batch, m, n, k, {a.data() + p * m * k, k}, {b.data() + p * n * k, k, true}, to, n,
                        {.a = m * k, .b = n * k, .c = m * n, .add = m * n},
                        {.bias = bias.data(), .add = to, .add_ld = n});
    };
    run(kBatch, 0, got);
    for (i64 p = 0; p < kBatch; ++p) run(1, p, want);
    CHECK(same_bits(got, want));
    const Floats first(want.begin(), want.begin() + m * n);
    Floats single(first.size(), 1.0f);
    cpu::gemm(m, n, k, {a.data(), k}, {b.data(), k, true}, single.data(), n,
              {.bias = bias.data(), .add = single.data(), .add_ld = n});
    CHECK(same_bits(first, single));
  }
}
