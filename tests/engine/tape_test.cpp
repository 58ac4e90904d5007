#include "engine/core/tape.h"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "engine/ops/layout.h"
#include "engine/ops/pointwise.h"
#include "engine/ops/reduction.h"
#include "tests/engine/gradcheck.h"
#include "tests/expect_error.h"

namespace mld {
namespace {

using test::contains;
using test::error_of;

Tensor vec(std::vector<float> values, Device device = kCpu) {
  const auto n = static_cast<std::int64_t>(values.size());
  return Tensor::from(values, {n}, device);
}

std::vector<float> values(const Tensor& t) {
  const Tensor host = t.to(kCpu);
  return {host.span<float>().begin(), host.span<float>().end()};
}

TEST_CASE("tape: what is computed while it pauses is a constant") {
  const Tensor x = test::random({5}, 1);
  Tape tape;
  const Var in = tape.watch(x);
  const Var square = mul(in, in);
  Var stopped;
  {
    const Tape::Pause pause;
    CHECK(Tape::current() == nullptr);
    stopped = mul(square, in);  // x^3, of which nothing is differentiated
    CHECK(stopped.slot.constant());
  }
  CHECK(Tape::current() == &tape);
  tape.backward(sum(mul(square, stopped)));  // d/dx x^2 c = 2 x c
  for (std::int64_t i = 0; i < 5; ++i) {
    const double v = x.data<double>()[i];
    CHECK(tape.grad(in).data<double>()[i] == doctest::Approx(2 * v * v * v * v));
  }
}

TEST_CASE("a value used twice gets both contributions, and a shared gradient is not overwritten") {
  for (const Device device : test::test_devices()) {
    Tape tape;
    const Var x = tape.watch(vec({1, 2}, device)), z = tape.watch(vec({5, 7}, device));
    const Var p = affine(x, 1, 0), q = affine(z, 1, 0);
    const Var m = mul(p, vec({10, 20}, device));
    const Var s = add(p, q);  // backward hands one tensor to p and q; m then adds to p's gradient
    const Var t = add(m, s);
    tape.backward(t, vec({1, 1}, device));
    CHECK(values(tape.grad(x)) == std::vector<float>{11, 21});
    CHECK(values(tape.grad(z)) == std::vector<float>{1, 1});
  }
}

TEST_CASE("x + x, and a gradient that two leaves and the caller share") {
  for (const Device device : test::test_devices()) {
    const Tensor dy = vec({3, 4}, device);
    Tape tape;
    const Var x = tape.watch(vec({1, 2}, device)), y = tape.watch(vec({1, 2}, device));
    tape.backward(add(add(x, x), add(y, x)), dy);
    CHECK(values(tape.grad(x)) == std::vector<float>{9, 12});
    CHECK(values(tape.grad(y)) == std::vector<float>{3, 4});
    CHECK(values(dy) == std::vector<float>{3, 4});
  }
}

TEST_CASE("pieces of a shared gradient: views handed out by concat are copied before they are added to") {
  for (const Device device : test::test_devices()) {
    Tape tape;
    const Var x = tape.watch(vec({1, 2}, device)), y = tape.watch(vec({3}, device));
    const Tensor dy = vec({1, 10, 100, 1000, 10000}, device);
    tape.backward(concat(std::vector<Var>{x, y, x}, 0), dy);
    CHECK(values(tape.grad(x)) == std::vector<float>{1001, 10010});
    CHECK(values(tape.grad(y)) == std::vector<float>{100});
    CHECK(values(dy) == std::vector<float>{1, 10, 100, 1000, 10000});
  }
}

TEST_CASE("a parameter's gradient: the first contribution overwrites, later ones add, across tapes too") {
  for (const Device device : test::test_devices()) {
    GradSink sink{vec({std::nanf(""), std::nanf("")}, device)};
    const Tensor w = vec({1, 2}, device);
    const auto step = [&] {
      Tape tape;
      const Var x{w, tape.leaf(&sink)};
      tape.backward(add(square(x), affine(x, 3, 0)), vec({1, 1}, device));
    };
    step();
    CHECK(sink.written);
    CHECK(values(sink.grad) == std::vector<float>{5, 7});
    step();
    CHECK(values(sink.grad) == std::vector<float>{10, 14});
    sink.written = false;
    step();
    CHECK(values(sink.grad) == std::vector<float>{5, 7});
  }
}

TEST_CASE("a sink refuses a gradient of another size or type") {
  GradSink sink{vec({0, 0, 0})};
  const auto backward = [&](auto f) {
    Tape tape;
    const Var x{vec({1, 2}), tape.leaf(&sink)};
    const Var y = f(x);
    tape.backward(y, vec({1, 1}));
  };
  CHECK(contains(error_of(ErrorKind::internal, [&] { backward([](const Var& x) { return square(x); }); }),
                 "[3]"));
  CHECK(contains(
      error_of(ErrorKind::internal, [&] { backward([](const Var& x) {
                                            return add(x, vec({1, 1}));
                                          }); }),
      "[3]"));
}

TEST_CASE("branches that do not reach the loss, and constants, have no gradient") {
  GradSink unused{vec({4})};
  Tape tape;
  const Var x = tape.watch(vec({2})), y = tape.watch(vec({3}));
  const Var dead = square(Var(vec({2}), tape.leaf(&unused)));
  const Var also_dead = mul(y, dead);
  tape.backward(mul(x, vec({5})));
  CHECK(values(tape.grad(x)) == std::vector<float>{5});
  CHECK_FALSE(tape.grad(y).defined());
  CHECK_FALSE(unused.written);
  CHECK(values(unused.grad) == std::vector<float>{4});
  CHECK_FALSE(also_dead.slot.constant());
}

TEST_CASE("only the live, innermost tape records, and only what depends on something recorded") {
  const Var constant(vec({1}));
  CHECK(Tape::current() == nullptr);
  CHECK(square(constant).slot.constant());
  Tape outer;
  CHECK(Tape::current() == &outer);
  square(constant);
  CHECK(outer.recorded().empty());
  {
    Tape inner;
    CHECK(Tape::current() == &inner);
    const Var x = inner.watch(vec({3}));
    const Var y = square(x);
    CHECK(inner.recorded() == std::vector<Op>{Op::leaf, Op::square});
    inner.backward(y);
    CHECK(inner.grad(x).item() == 6);
  }
  CHECK(Tape::current() == &outer);
  CHECK(outer.recorded().empty());
}

TEST_CASE("values of another tape are refused") {
  Var stale;
  {
    Tape tape;
    stale = square(tape.watch(vec({2})));
  }
  CHECK(square(stale).slot.constant());  // no tape alive: inference
  Tape tape;
  const Var x = tape.watch(vec({1}));
  const Var y = mul(x, stale);
  CHECK(contains(error_of(ErrorKind::internal, [&] { tape.backward(y); }), "another tape"));
  CHECK(contains(error_of(ErrorKind::internal, [&] { tape.grad(stale); }), "not a value watched"));
  CHECK(contains(error_of(ErrorKind::internal, [&] { tape.grad(Var(vec({1}))); }), "not a value watched"));
  Tape other;
  CHECK(contains(error_of(ErrorKind::internal, [&] { other.backward(stale); }), "another tape"));
}

TEST_CASE("backward checks what it is given, and runs once") {
  Tape tape;
  const Var x = tape.watch(vec({1, 2}));
  const Var y = square(x);
  CHECK(contains(error_of(ErrorKind::internal, [&] { tape.backward(y); }), "[2]"));
  const std::string shapes = error_of(ErrorKind::internal, [&] { tape.backward(y, vec({1})); });
  CHECK(contains(shapes, "[1]"));
  CHECK(contains(shapes, "[2]"));
  CHECK(contains(error_of(ErrorKind::internal, [&] { tape.backward(Var(vec({1}))); }), "depend"));
  tape.backward(y, vec({1, 1}));
  CHECK(contains(error_of(ErrorKind::internal, [&] { tape.backward(y, vec({1, 1})); }), "has been used"));
}

TEST_CASE("backward frees what was saved as it goes") {
  const auto pool = std::make_shared<Pool>(kCpu);
  const PoolScope scope(pool);
  constexpr int kDepth = 20;
  constexpr std::int64_t kBytes = 4096;
  const std::int64_t before = pool->stats().bytes_in_use;
  Tape tape;
  const Var x = tape.watch(Tensor::full({kBytes / 4}, 0.5));
  Var y = x;
  for (int i = 0; i < kDepth; ++i) y = tanh(y);
  const std::int64_t forward = pool->stats().bytes_in_use;
  CHECK(forward - before == (kDepth + 1) * kBytes);
  Tensor dy = Tensor::full(y.shape(), 1.0);
  y.value = {};
  tape.backward(Var(Tensor::empty(dy.shape()), y.slot), std::move(dy));
  CHECK(pool->stats().bytes_in_use - before == 2 * kBytes);            // x and its gradient
  CHECK(pool->stats().peak_in_use - before <= (kDepth + 4) * kBytes);  // backward holds one or two gradients
}

TEST_CASE("a leaf's gradient keeps the shape of its value when it was reshaped on the way") {
  Tape tape;
  const Var x = tape.watch(Tensor::full({2, 3}, 2.0));
  const Var y = add(reshape(square(x), {6}), reshape(x, {6}));
  tape.backward(sum(y));
  CHECK(tape.grad(x).shape() == Shape({2, 3}));
  CHECK(values(tape.grad(x)) == std::vector<float>(6, 5));
}

}  // namespace
}  // namespace mld
