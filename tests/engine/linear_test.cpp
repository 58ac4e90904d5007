#include "engine/ops/linear.h"

#include <doctest/doctest.h>
#include <cmath>

#include "engine/memory/pool.h"
#include "tests/engine/op_test.h"

namespace mld {
namespace {

using test::check_error;
using test::check_near;
using test::ramp;
using test::random;

struct Reference {
  Act kind;
  double (*value)(double x);
};
constexpr double kSlope = 0.25;
constexpr Reference kReferences[] = {
    {Act::none, [](double x) { return x; }},
    {Act::relu, [](double x) { return std::max(x, 0.0); }},
    {Act::leaky_relu, [](double x) { return x < 0 ? kSlope * x : x; }},
    {Act::silu, [](double x) { return x / (1 + std::exp(-x)); }},
    {Act::gelu, [](double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }},
    {Act::sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }},
    {Act::tanh, [](double x) { return std::tanh(x); }},
};

std::int64_t allocations() {
  const PoolStats stats = active_pool(kCpu)->stats();
  return stats.hits + stats.misses;
}

}  // namespace

TEST_CASE("matmul: every transposition of a 2x3 times 3x2 product") {
  const std::vector<double> a{1, 2, 3, 4, 5, 6}, at{1, 4, 2, 5, 3, 6}, b{7, 8, 9, 10, 11, 12},
      bt{7, 9, 11, 8, 10, 12};
  const Tensor want = test::values({58, 64, 139, 154});
  for (const bool ta : {false, true})
    for (const bool tb : {false, true}) {
      const Tensor x = Tensor::from(ta ? at : a, ta ? Shape{3, 2} : Shape{2, 3});
      const Tensor y = Tensor::from(tb ? bt : b, tb ? Shape{2, 3} : Shape{3, 2});
      const Var z = matmul(x, y, ta, tb);
      CHECK(z.shape() == Shape({2, 2}));
      check_near(z.value, want, 1e-15);
      // The same product twice, as a batch.
      const Var both = batched_matmul(
          Tensor::from(std::vector<double>(ta ? at : a), {1, x.shape()[0], x.shape()[1]}),
          Tensor::from(std::vector<double>(tb ? bt : b), {1, y.shape()[0], y.shape()[1]}), ta, tb);
      CHECK(both.shape() == Shape({1, 2, 2}));
      check_near(both.value, want, 1e-15);
    }
}

TEST_CASE("batched_matmul: each matrix as by itself") {
  const Tensor a = random({5, 7, 9}, 1).to(DType::f32), b = random({5, 9, 6}, 2).to(DType::f32);
  const Tensor c = batched_matmul(a, b).value;
  for (std::int64_t p = 0; p < 5; ++p) {
    const Tensor one = matmul(a.rows(p, 1).reshape({7, 9}), b.rows(p, 1).reshape({9, 6})).value;
    CHECK(test::same_bits(one, c.rows(p, 1).reshape({7, 6})));
  }
}

TEST_CASE("linear: act(x W' + b) by hand, with activations and in both precisions") {
  const Tensor x = ramp({3, 4}), w = ramp({2, 4}, 13), b = ramp({2}, 5);
  for (const auto& [kind, value] : kReferences) {
    CAPTURE(static_cast<int>(kind));
    const Activation act{kind, static_cast<float>(kSlope)};
    std::vector<double> want;
    for (std::int64_t i = 0; i < 3; ++i)
      for (std::int64_t o = 0; o < 2; ++o) {
        double sum = b.data<double>()[o];
        for (std::int64_t k = 0; k < 4; ++k) sum += x.data<double>()[i * 4 + k] * w.data<double>()[o * 4 + k];
        want.push_back(value(sum));
      }
    const auto run = [&](DType dtype) { return linear(x.to(dtype), w.to(dtype), b.to(dtype), act).value; };
    check_near(run(DType::f64), test::values(want), 1e-14);
    check_near(run(DType::f32), test::values(want), 1e-6);
    // With gradients the activation may run apart from the product: same bits.
    Tape tape;
    const Var recorded = linear(tape.watch(x.to(DType::f32)), w.to(DType::f32), b.to(DType::f32), act);
    CHECK(test::same_bits(recorded.value, run(DType::f32)));
  }
}

TEST_CASE("linear: all axes but the last are rows") {
  const Tensor x = random({2, 3, 5}, 1), w = random({4, 5}, 2);
  const Var y = linear(x, w, {});
  CHECK(y.shape() == Shape({2, 3, 4}));
  CHECK(test::same_bits(y.value.reshape({6, 4}), linear(x.reshape({6, 5}), w, {}).value));
  CHECK(linear(random({5}, 3), w, {}).shape() == Shape({4}));
  CHECK(linear(Tensor::empty({0, 5}, DType::f64), w, {}).shape() == Shape({0, 4}));
}

TEST_CASE("linear: layers of the presets in float") {
  const auto layer = [](std::int64_t rows, std::int64_t in, std::int64_t out, Activation act) {
    const double scale = 1 / std::sqrt(static_cast<double>(in));
    test::check_precision_and_bits(
        [act](const std::vector<Var>& v) { return linear(v[0], v[1], v[2], act); },
        {random({rows, in}, 1), random({out, in}, 2, -scale, scale), random({out}, 3)}, 4e-6);
  };
  layer(8, 784, 400, {Act::relu});
  layer(8, 16, 512, {Act::leaky_relu, 0.01f});
  layer(8, 3136, 128, {Act::silu});
  layer(64, 512, 512, {});
  layer(33, 256, 256, {Act::gelu});
  layer(4, 2000, 64, {Act::sigmoid});
}

TEST_CASE("linear: a row does not depend on its batch") {
  const Tensor w = random({300, 520}, 1).to(DType::f32), b = random({300}, 2).to(DType::f32);
  test::check_rows_independent([&](const Tensor& x) { return linear(x, w, b, {Act::silu}).value; },
                               random({64, 520}, 3).to(DType::f32));
}

TEST_CASE("linear: gradients of parameters are written in place, and nothing else is allocated for them") {
  const Tensor x = random({6, 5}, 1).to(DType::f32);
  const Tensor w = random({4, 5}, 2).to(DType::f32), b = random({4}, 3).to(DType::f32);
  GradSink dw{Tensor::full(w.shape(), std::nan(""))}, db{Tensor::full(b.shape(), std::nan(""))};
  Tape tape;
  const Var y = linear(x, Var(w, tape.leaf(&dw)), Var(b, tape.leaf(&db)));
  const Tensor dy = random(y.shape(), 4).to(DType::f32);
  const std::int64_t before = allocations();
  tape.backward(y, dy);
  CHECK(allocations() == before);
  CHECK(dw.written);
  CHECK(db.written);
  check_near(dw.grad, matmul(dy, x, true).value, 1e-6);
  double sum = 0;
  for (std::int64_t i = 0; i < 6; ++i) sum += static_cast<double>(dy.data<float>()[i * 4 + 1]);
  CHECK(static_cast<double>(db.grad.data<float>()[1]) == doctest::Approx(sum));
}

TEST_CASE("linear: a gradient that somebody else holds is left alone") {
  const Tensor x = random({3, 5}, 1), w = random({4, 5}, 2), dy = random({3, 4}, 3);
  const Tensor kept = dy.clone();
  Tape tape;
  const Var y = linear(tape.watch(x), w, {}, {Act::relu});
  tape.backward(y, dy);
  CHECK(test::same_bits(dy, kept));
}

TEST_CASE("products: what does not fit is refused with the reason") {
  const Tensor x = random({4, 3}, 1), w = random({2, 5}, 2);
  check_error([&] { linear(x, w, {}); }, {"linear", "[4,3]", "[2,5]", "last axis", "5"});
  check_error([&] { linear(x, random({2, 3, 1}, 2), {}); }, {"linear", "weight", "[out,in]"});
  check_error([&] { linear(x, random({2, 3}, 2), random({3}, 3)); }, {"linear", "bias", "[3]", "[2]"});
  check_error([&] { linear(x, random({2, 3}, 2).to(DType::f32), {}); }, {"linear", "f32", "f64", "to()"});
  check_error([&] { linear(x, random({2, 3}, 2).to(kSim), {}); }, {"linear", "cpu:0", "sim:0"});
  check_error([&] { linear(x, {}, {}); }, {"linear", "weight", "empty"});
  check_error([&] { linear(x, random({2, 3}, 2), {}, {Act::leaky_relu, -1}); }, {"linear", "slope"});
  check_error(
      [&] {
        linear(Tensor::empty({2, 3}, DType::i32), Tensor::empty({2, 3}, DType::i32), {});
      },
      {"linear", "f32 or f64", "i32"});
  check_error(
      [&] {
        linear_add(x, random({2, 3}, 2), {}, random({4, 3}, 3));
      },
      {"linear_add", "[4,3]", "[4,2]", "result"});
  check_error([&] { linear_add(x, random({2, 3}, 2), {}, {}); }, {"linear_add", "other", "empty"});
  check_error([&] { matmul(x, w); }, {"matmul", "[4,3]", "[2,5]", "inner 3 != 2", "transpose"});
  check_error([&] { matmul(x, random({3}, 1)); }, {"matmul", "2 axes"});
  check_error(
      [&] {
        batched_matmul(random({2, 3, 4}, 1), random({3, 4, 5}, 2));
      },
      {"batched_matmul", "batch 2 != 3"});
  check_error([&] { batched_matmul(x, x); }, {"batched_matmul", "3 axes"});
}

}  // namespace mld
