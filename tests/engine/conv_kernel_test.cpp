// The float convolution kernels against plain loops: every convolution of the presets, random odd shapes,
// epilogues; and the promises about bits. Operands are small integers, so that all sums are exact in float
// and the comparison needs no tolerance.
#include "engine/kernels/conv_kernel.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/kernels/conv_naive.h"
#include "engine/threads/threads.h"
#include "tests/engine/kernel_operands.h"
#include "tests/engine/preset_layers.h"

namespace {

using namespace mld;
using i64 = std::int64_t;
using test::Floats;
using test::integers;
using test::reals;
using test::same_bits;

i64 x_size(const ConvDims& s) { return s.n * s.h * s.w * s.in; }
i64 w_size(const ConvDims& s) { return s.out * s.kh * s.kw * s.in; }
i64 y_size(const ConvDims& s) { return s.n * s.out_h() * s.out_w() * s.out; }

std::string describe(const ConvDims& s) {
  return cat("x [", s.n, ",", s.h, ",", s.w, ",", s.in, "] out ", s.out, " kernel ", s.kh, "x", s.kw,
             " stride ", s.sh, "x", s.sw, " padding ", s.ph, "x", s.pw);
}

struct Options {
  bool bias = false, accumulate = false;
  Activation activation{};
};

// All three kernels, exactly.
void check_exact(const ConvDims& s, const Options& o) {
  CAPTURE(describe(s));
  const Floats x = integers(x_size(s), 1), w = integers(w_size(s), 2), dy = integers(y_size(s), 3);
  const Floats bias_out = integers(s.out, 4), bias_in = integers(s.in, 5);
  Floats got = dy, want = dy;
  cpu::conv_forward(s, x.data(), w.data(), o.bias ? bias_out.data() : nullptr, o.activation, got.data());
  naive::conv_forward<float>(s, x.data(), w.data(), o.bias ? bias_out.data() : nullptr, o.activation,
                             want.data());
  CHECK_MESSAGE(got == want, "forward");
  got = want = x;
  cpu::conv_backward_data(s, dy.data(), w.data(), o.bias ? bias_in.data() : nullptr, o.activation,
                          o.accumulate, got.data());
  naive::conv_backward_data<float>(s, dy.data(), w.data(), o.bias ? bias_in.data() : nullptr, o.activation,
                                   o.accumulate, want.data());
  CHECK_MESSAGE(got == want, "backward_data");
  got = want = w;
  cpu::conv_backward_weights(s, x.data(), dy.data(), o.accumulate, got.data());
  naive::conv_backward_weights<float>(s, x.data(), dy.data(), o.accumulate, want.data());
  CHECK_MESSAGE(got == want, "backward_weights");
}

struct Results {
  Floats y, dx, dw;
};
Results run_all(const ConvDims& s, const Floats& x, const Floats& w, const Floats& dy, int threads) {
  const int before = max_threads();
  set_threads(threads);
  const Floats bias_out = reals(s.out, 4), bias_in = reals(s.in, 5);
  Results r{Floats(dy.size()), Floats(x.size()), Floats(w.size())};
  cpu::conv_forward(s, x.data(), w.data(), bias_out.data(), {Act::silu}, r.y.data());
  cpu::conv_backward_data(s, dy.data(), w.data(), bias_in.data(), {Act::tanh}, false, r.dx.data());
  cpu::conv_backward_weights(s, x.data(), dy.data(), false, r.dw.data());
  set_threads(before);
  return r;
}

Floats sample(const Floats& v, i64 n, i64 index) {
  const auto size = static_cast<std::ptrdiff_t>(v.size()) / n;
  return {v.begin() + size * index, v.begin() + size * (index + 1)};
}

}  // namespace

TEST_CASE("conv kernels: the layers of the presets") {
  for (const ConvDims& s : test::kPresetLayers) check_exact(s, {});
}

TEST_CASE("conv kernels: odd shapes, biases, activations, accumulation") {
  std::mt19937 bits(11);
  const auto pick = [&](int low, int high) {
    return low + static_cast<i64>(bits() % static_cast<unsigned>(high - low + 1));
  };
  int done = 0;
  for (int round = 0; done < 150; ++round) {
    ConvDims s{.n = pick(1, round % 20 == 0 ? 40 : 4), .h = pick(1, 12), .w = pick(1, 12)};
    s.in = pick(1, round % 3 == 0 ? 70 : 6), s.out = pick(1, round % 4 == 0 ? 70 : 6);
    s.kh = pick(1, 5), s.kw = pick(1, 5), s.sh = pick(1, 3), s.sw = pick(1, 3), s.ph = pick(0, 4),
    s.pw = pick(0, 4);
    if (round % 7 == 0) s.ph = s.pw = 0, s.kh = s.h, s.kw = s.w;          // one patch a sample
    if (round % 11 == 0) s.ph = s.pw = 0, s.kh = s.sh = 1, s.kw = s.w;    // one patch a line
    if (round % 13 == 0) s.ph = s.pw = 0, s.kh = s.kw = s.sh = s.sw = 1;  // one patch a pixel
    if (s.h + 2 * s.ph < s.kh || s.w + 2 * s.pw < s.kw) continue;
    const Act kinds[] = {Act::none, Act::relu, Act::leaky_relu};  // exact for integers
    check_exact(s, {pick(0, 1) == 1, pick(0, 1) == 1, {kinds[pick(0, 2)], 0.25f}});
    ++done;
  }
}

TEST_CASE("conv kernels: all activations reach the result") {
  const ConvDims s{2, 9, 7, 5, 6, 3, 2, 2, 1, 1, 1};
  const Floats x = reals(x_size(s), 1), w = reals(w_size(s), 2), dy = reals(y_size(s), 3), bias = reals(6, 4);
  for (const Act kind : kAllActs) {
    const Activation activation{kind, 0.1f};
    Floats y(dy.size()), want_y(dy.size()), dx(x.size()), want_dx(x.size());
    cpu::conv_forward(s, x.data(), w.data(), bias.data(), activation, y.data());
    naive::conv_forward<float>(s, x.data(), w.data(), bias.data(), activation, want_y.data());
    cpu::conv_backward_data(s, dy.data(), w.data(), bias.data(), activation, false, dx.data());
    naive::conv_backward_data<float>(s, dy.data(), w.data(), bias.data(), activation, false, want_dx.data());
    CAPTURE(static_cast<int>(kind));
    for (std::size_t i = 0; i < y.size(); ++i) CHECK(std::fabs(y[i] - want_y[i]) < 1e-5f);
    for (std::size_t i = 0; i < dx.size(); ++i) CHECK(std::fabs(dx[i] - want_dx[i]) < 1e-5f);
  }
}

TEST_CASE("conv kernels: bits do not depend on threads, nor a sample's on its batch") {
  for (ConvDims s :
       {ConvDims{9, 16, 16, 32, 64, 4, 4, 2, 2, 1, 1}, ConvDims{21, 8, 8, 64, 128, 4, 4, 2, 2, 1, 1},
        ConvDims{40, 7, 7, 20, 33, 3, 3, 2, 2, 1, 1}, ConvDims{37, 28, 28, 3, 32, 3, 3, 2, 2, 1, 1},
        ConvDims{33, 32, 1, 128, 48, 4, 1, 2, 1, 1, 0}, ConvDims{65, 4, 4, 128, 64, 4, 4, 1, 1, 0, 0}}) {
    CAPTURE(describe(s));
    const Floats x = reals(x_size(s), 1), w = reals(w_size(s), 2), dy = reals(y_size(s), 3);
    const Results one = run_all(s, x, w, dy, 1), two = run_all(s, x, w, dy, 2),
                  three = run_all(s, x, w, dy, 3);
    CHECK(same_bits(one.y, two.y));
    CHECK(same_bits(one.dx, two.dx));
    CHECK(same_bits(one.dw, two.dw));
    CHECK(same_bits(one.y, three.y));
    CHECK(same_bits(one.dx, three.dx));
    CHECK(same_bits(one.dw, three.dw));
    const i64 batch = s.n;
    s.n = 1;
    for (const i64 n : {i64{0}, batch / 2, batch - 1}) {
      const Results alone = run_all(s, sample(x, batch, n), w, sample(dy, batch, n), 2);
      CHECK(same_bits(alone.y, sample(one.y, batch, n)));
      CHECK(same_bits(alone.dx, sample(one.dx, batch, n)));
    }
  }
}

TEST_CASE("conv kernels: backward of an empty batch, and impossible shapes") {
  ConvDims s{0, 8, 8, 3, 4, 3, 3, 1, 1, 1, 1};
  Floats dw(static_cast<std::size_t>(w_size(s)), 2.0f);
  cpu::conv_backward_weights(s, nullptr, nullptr, true, dw.data());
  CHECK(dw == Floats(dw.size(), 2.0f));
  cpu::conv_backward_weights(s, nullptr, nullptr, false, dw.data());
  CHECK(dw == Floats(dw.size(), 0.0f));
  s.kh = 11;
  CHECK_THROWS_AS(cpu::check_conv(s), Error);
  s.kh = 3, s.sw = 0;
  CHECK_THROWS_AS(cpu::check_conv(s), Error);
}
