#include "engine/ops/pointwise.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "engine/kernels/broadcast.h"
#include "engine/kernels/pointwise_functors.h"
#include "engine/threads/threads.h"
#include "tests/engine/op_test.h"

namespace mld {
namespace {

using test::contains;
using test::error_of;
using Binary = Var (*)(const Var&, const Var&);

void add_unary(test::CaseList& list, Op op, fn::Domain domain, std::function<Var(const Var&)> f,
               std::string name = "") {
  const auto seed = static_cast<std::uint64_t>(op) + 100;
  list.push_back({.op = op,
                  .name = std::move(name),
                  .inputs = {test::random({3, 37}, seed, domain.lo, domain.hi)},
                  .program = [f](const test::Args& in) { return f(in[0]); }});
}

const test::GradCases unary_cases([](test::CaseList& list) {
#define X(name, Functor) add_unary(list, Op::name, fn::Functor::kDomain, name);
#define P(name, Functor)
  MLD_ACTIVATIONS(X, P)
  MLD_FUNCTIONS(X, P)
#undef X
#undef P
  const fn::Domain kinks = fn::LeakyRelu::kDomain;
  add_unary(list, Op::leaky_relu, kinks, [](const Var& x) { return leaky_relu(x, 0.2); });
  add_unary(
      list, Op::leaky_relu, kinks, [](const Var& x) { return leaky_relu(x, 0); }, "slope 0");
  add_unary(list, Op::clamp, fn::Clamp::kDomain, [](const Var& x) { return clamp(x, -1.5, 2); });
  add_unary(list, Op::affine, fn::Affine::kDomain, [](const Var& x) { return affine(x, -1.75, 0.5); });
  const auto chain = [](const Var& x) { return square(tanh(affine(x, 0.5, 0))); };
  add_unary(list, Op::square, fn::Square::kDomain, chain, "chain");
});

struct ShapePair {
  Shape a, b;
};

// Equal, rows, columns, scalars, both repeated, repeated in the middle, twice, and extents of 1.
std::vector<ShapePair> broadcast_pairs() {
  return {{{4, 5}, {4, 5}},
          {{4, 5}, {5}},
          {{5}, {4, 5}},
          {{4, 5}, {4, 1}},
          {{4, 1}, {4, 5}},
          {{4, 5}, {1}},
          {{1, 1}, {4, 5}},
          {{4, 1}, {1, 5}},
          {{1, 5}, {4, 1}},
          {{2, 3, 2, 3}, {2, 1, 1, 3}},
          {{2, 1, 1, 3}, {2, 3, 2, 3}},
          {{2, 3, 2, 3}, {1, 3, 1, 3}},
          {{1, 3, 1, 3}, {2, 3, 2, 3}},
          {{3, 1, 4, 1}, {2, 1, 5}},
          {{2, 3, 1}, {3, 1}},
          {{1, 3, 4}, {3, 4}},
          {{1, 1}, {1}}};
}

void add_binary(test::CaseList& list, Op op, fn::Domain domain, Binary f) {
  std::uint64_t seed = 1000 * static_cast<std::uint64_t>(op);
  for (const ShapePair& s : broadcast_pairs()) {
    list.push_back({.op = op,
                    .name = s.a.str() + " with " + s.b.str(),
                    .inputs = {test::random(s.a, seed, domain.lo, domain.hi),
                               test::random(s.b, seed + 1, domain.lo, domain.hi)},
                    .program = [f](const test::Args& in) { return f(in[0], in[1]); }});
    seed += 2;
  }
  list.push_back({.op = op,
                  .name = "both operands the same",
                  .inputs = {test::random({3, 4}, seed, domain.lo, domain.hi)},
                  .program = [f](const test::Args& in) { return f(in[0], in[0]); }});
}

const test::GradCases binary_cases([](test::CaseList& list) {
#define X(name, Functor) add_binary(list, Op::name, fn::Functor::kDomain, name);
  MLD_BINARY_FUNCTIONS(X)
#undef X
});

// Index into an operand of the element at `place` of the result, by the definition of broadcasting.
std::int64_t operand_place(const Shape& out, const Shape& operand, std::int64_t place) {
  std::int64_t index = 0, step = 1;
  for (int axis = out.rank(); axis-- > 0;) {
    const int own = axis - (out.rank() - operand.rank());
    const std::int64_t at = place % out[axis];
    place /= out[axis];
    if (own < 0 || operand[own] == 1) continue;
    index += at * step;
    step *= operand[own];
  }
  return index;
}

TEST_CASE("broadcast places and shapes follow NumPy's rule, for small and large extents") {
  std::vector<ShapePair> pairs = broadcast_pairs();
  pairs.push_back({{3, 20001}, {20001}});     // wider than one block
  pairs.push_back({{20001, 3}, {20001, 1}});  // narrow rows
  pairs.push_back({{2, 3, 700, 5}, {2, 1, 700, 1}});
  pairs.push_back({{2, 1, 2, 1, 2, 1}, {1, 3, 1, 3, 1, 3}});
  pairs.push_back({{0, 3}, {3}});
  for (const ShapePair& s : pairs) {
    CAPTURE(s.a.str());
    CAPTURE(s.b.str());
    const Tensor a = test::random(s.a, 1), b = test::random(s.b, 2);
    const Tensor y = sub(a, b).value;
    REQUIRE(y.shape() == broadcast_shape("test", s.a, s.b));
    bool same = true;
    for (std::int64_t i = 0; i < y.numel(); ++i)
      same = same && y.data<double>()[i] == a.data<double>()[operand_place(y.shape(), s.a, i)] -
                                                b.data<double>()[operand_place(y.shape(), s.b, i)];
    CHECK(same);
  }
  CHECK(broadcast_shape("test", {3, 1, 4, 1}, {2, 1, 5}) == Shape({3, 2, 4, 5}));
}

TEST_CASE("values of the formulas at points known in closed form") {
  const auto at = [](Var (*f)(const Var&), double x) {
    return f(Var(Tensor::full({1}, x, DType::f64))).value.item();
  };
  CHECK(at(relu, -2) == 0);
  CHECK(at(silu, 1) == doctest::Approx(0.7310585786300049).epsilon(1e-14));
  CHECK(at(gelu, 1) == doctest::Approx(0.8413447460685429).epsilon(1e-14));  // Phi(1)
  CHECK(at(softplus, 0) == doctest::Approx(0.6931471805599453).epsilon(1e-14));
  CHECK(at(softplus, 800) == 800);
  CHECK(at(softplus, -800) == 0);
  CHECK(at(sigmoid, 2) == doctest::Approx(0.8807970779778823).epsilon(1e-14));
  CHECK(at(tanh, 0.5) == doctest::Approx(0.46211715726000973).epsilon(1e-14));
  CHECK(at(abs, -3) == 3);
  CHECK(leaky_relu(Var(Tensor::full({1}, -2.0)), 0.25).value.item() == -0.5);
  CHECK(clamp(Var(Tensor::full({1}, 7.0)), -1, 2).value.item() == 2);
  CHECK(affine(Var(Tensor::full({1}, 7.0)), 2, -1).value.item() == 13);
  // In float the tail must not vanish before its time: log(1 + e^-20).
  CHECK(softplus(Var(Tensor::full({1}, -20.0))).value.item() ==
        doctest::Approx(2.0611536203e-9).epsilon(1e-6));
  CHECK(std::isnan(clamp(Var(Tensor::full({1}, std::nan(""))), -1, 2).value.item()));
}

TEST_CASE("apply runs the operator of the activation's name, with its slope") {
  const Var x(test::random({3, 5}, 7, -2, 2));
  const auto same = [](const Var& a, const Var& b) { return test::same_bits(a.value, b.value); };
  CHECK(apply({}, x).value.raw() == x.value.raw());
#define X(name, Functor) CHECK(same(apply({Act::name}, x), name(x)));
#define P(name, Functor) CHECK(same(apply({Act::name, 0.25f}, x), name(x, 0.25)));
  MLD_ACTIVATIONS(X, P)
#undef X
#undef P
  for (const Act kind : kAllActs) {  // an operator of its own in the tape, but for none
    Tape tape;
    (void)apply({kind}, tape.watch(x.value));
    CHECK(tape.recorded().size() == (kind == Act::none ? 1 : 2));
  }
}

TEST_CASE("what backward keeps: the input where the derivative needs it, else the output") {
  const auto needs_input = [](Act kind) { return activation_needs_input(kind); };
  CHECK(needs_input(Act::silu));
  CHECK(needs_input(Act::gelu));
  for (const Act kind : {Act::none, Act::relu, Act::leaky_relu, Act::sigmoid, Act::tanh})
    CHECK_FALSE(needs_input(kind));
}

TEST_CASE("derivatives at kinks are those that the header names") {
  const auto slope = [](const std::function<Var(const Var&)>& f, double x) {
    Tape tape;
    const Var v = tape.watch(Tensor::full({1}, x, DType::f64));
    tape.backward(f(v));
    return tape.grad(v).item();
  };
  CHECK(slope(abs, 0) == 0);
  CHECK(slope(relu, 0) == 0);
  CHECK(slope([](const Var& x) { return clamp(x, -1, 2); }, -1) == 1);
  CHECK(slope([](const Var& x) { return clamp(x, -1, 2); }, 2) == 1);
  CHECK(slope([](const Var& x) { return clamp(x, -1, 2); }, 2.5) == 0);
}

TEST_CASE("large arrays: float against double, any number of threads, sim and cpu bit for bit") {
  const Shape shape{100, 1001};
  const Tensor x64 = test::random(shape, 5, -3, 3), b64 = test::random({1001}, 6, 0.5, 3);
  const auto run = [&](DType dtype, Device device) {
    Tape tape;
    const Var x = tape.watch(x64.to(dtype).to(device)), b = tape.watch(b64.to(dtype).to(device));
    const Var y = div(mul(silu(x), b), add(b, square(x)));
    tape.backward(y, x64.to(dtype).to(device));
    return std::vector<Tensor>{y.value.to(kCpu), tape.grad(x).to(kCpu), tape.grad(b).to(kCpu)};
  };
  const int threads = max_threads();
  const auto f64 = run(DType::f64, kCpu);
  set_threads(1);
  const auto one = run(DType::f32, kCpu);
  set_threads(3);
  const auto three = run(DType::f32, kCpu), sim = run(DType::f32, kSim);
  set_threads(threads);
  for (std::size_t k = 0; k < f64.size(); ++k) {
    CHECK(test::same_bits(one[k], three[k]));
    CHECK(test::same_bits(one[k], sim[k]));
    double worst = 0;
    for (std::int64_t i = 0; i < f64[k].numel(); ++i)
      worst =
          std::max(worst, std::abs(static_cast<double>(one[k].data<float>()[i]) - f64[k].data<double>()[i]));
    CHECK(worst < 2e-5);  // a column of the gradient of b sums 100 terms of order 1
  }
}

TEST_CASE("equal shapes: add hands the gradient on without a copy") {
  const auto pool = std::make_shared<Pool>(kCpu);
  Tape tape;
  const Var a = tape.watch(Tensor::full({64}, 1.0)), b = tape.watch(Tensor::full({64}, 1.0));
  const Var y = add(a, b);
  const Tensor dy = Tensor::full({64}, 3.0);
  const PoolScope scope(pool);
  tape.backward(y, dy);
  CHECK(pool->stats().misses == 0);
  CHECK(tape.grad(a).raw() == dy.raw());
}

TEST_CASE("errors name the operator and both shapes") {
  const Var a(Tensor::zeros({4, 5})), b(Tensor::zeros({4})), c(Tensor::zeros({4, 5}, DType::f64)),
      d(Tensor::zeros({4, 5}, DType::f32, kSim)), i(Tensor::zeros({4, 5}, DType::i32));
  const std::vector<std::pair<std::string, Binary>> all{
#define X(name, Functor) {#name, name},
      MLD_BINARY_FUNCTIONS(X)
#undef X
  };
  for (const auto& [name, f] : all) {
    const std::string shapes = error_of(ErrorKind::internal, [&, f = f] { f(a, b); });
    CHECK(contains(shapes, name + ":"));
    CHECK(contains(shapes, "[4,5]"));
    CHECK(contains(shapes, "[4]"));
    CHECK(contains(error_of(ErrorKind::internal, [&, f = f] { f(a, c); }), "f64"));
    CHECK(contains(error_of(ErrorKind::internal, [&, f = f] { f(a, d); }), "sim"));
    CHECK(contains(error_of(ErrorKind::internal, [&, f = f] { f(i, i); }), "i32"));
    CHECK(contains(error_of(ErrorKind::internal, [&, f = f] { f(a, Var()); }), name));
  }
  CHECK(contains(error_of(ErrorKind::internal, [&] { relu(i); }), "relu"));
  CHECK(contains(error_of(ErrorKind::internal, [&] { silu(Var()); }), "silu"));
  CHECK(contains(error_of(ErrorKind::internal, [&] { clamp(a, 2, 1); }), "clamp"));
  CHECK(contains(error_of(ErrorKind::internal, [&] { leaky_relu(a, -1); }), "leaky_relu"));
}

}  // namespace
}  // namespace mld
