#include "engine/ops/reduction.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "engine/loops/team.h"
#include "engine/ops/layout.h"
#include "engine/ops/pointwise.h"
#include "engine/threads/threads.h"
#include "tests/engine/op_test.h"

namespace mld {
namespace {

using test::contains;
using test::error_of;

void add_case(test::CaseList& list, Op op, std::string name, Tensor x,
              std::function<Var(const test::Args&)> program, std::vector<Tensor> constants = {}) {
  list.push_back({.op = op,
                  .name = std::move(name),
                  .inputs = {std::move(x)},
                  .constants = std::move(constants),
                  .program = std::move(program)});
}

const test::GradCases sum_cases([](test::CaseList& list) {
  const Tensor x = test::random({2, 3, 4, 3}, 11);
  const auto over = [&](std::string name, std::function<Var(const Var&)> f) {
    add_case(list, Op::sum, std::move(name), x, [f](const test::Args& in) { return f(in[0]); });
  };
  over("all", [](const Var& v) { return sum(v); });
  over("mean of all", [](const Var& v) { return mean(v); });
  over("rows", [](const Var& v) { return sum(v, {-1}); });
  over("columns", [](const Var& v) { return sum(v, {0, 1, 2}); });
  over("columns, kept", [](const Var& v) { return mean(v, {0, 1, 2}, true); });
  over("middle", [](const Var& v) { return mean(v, {1, 2}); });
  over("two runs", [](const Var& v) { return sum(v, {0, 2}); });
  over("two runs, last", [](const Var& v) { return mean(v, {1, -1}, true); });
  over("every axis", [](const Var& v) { return sum(v, {0, 1, 2, 3}); });
  over("no axis", [](const Var& v) { return sum(v, {}); });
});

const test::GradCases softmax_cases([](test::CaseList& list) {
  const Tensor x = test::random({2, 3, 5}, 12, -3, 3);
  const Tensor mask = Tensor::from(std::vector<std::uint8_t>{1, 1, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1,
                                                             0, 1, 1, 0, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 0},
                                   {2, 3, 5});
  const auto plain = [](const test::Args& in) { return softmax(in[0]); };
  add_case(list, Op::softmax, "three axes", x, plain);
  add_case(list, Op::softmax, "one axis", test::random({21}, 13), plain);
  add_case(list, Op::softmax, "masked", x,
           [](const test::Args& in) { return softmax(in[0], in.constant(0)); }, {mask});
  add_case(list, Op::log_softmax, "three axes", x, [](const test::Args& in) { return log_softmax(in[0]); });
  // Masked entries are -inf, which has no difference quotient: clamped, and with a gradient
  // that must be ignored.
  add_case(
      list, Op::log_softmax, "masked", x,
      [](const test::Args& in) { return affine(clamp(log_softmax(in[0], in.constant(0)), -50, 0), 2, 0); },
      {mask});
  const auto labelled = [](const test::Args& in) { return cross_entropy(in[0], in.constant(0)); };
  const Tensor labels = Tensor::from(std::vector<std::int32_t>{2, -1, 0, 4, 5}, {5});
  add_case(list, Op::cross_entropy, "unknown labels", test::random({5, 5}, 14, -3, 3), labelled, {labels});
  add_case(list, Op::cross_entropy, "rows of two axes", x, labelled, {test::random_int({2, 3}, 15, 0, 4)});
});

const test::GradCases loss_cases([](test::CaseList& list) {
  const Tensor x = test::random({3, 2, 4}, 16, -2, 2), target = test::random({3, 2, 4}, 17, -2, 2);
  const Tensor full = test::random({3, 2, 4}, 18, 0, 2), rows = test::random({3, 1, 1}, 19, 0, 2);
  using Loss = Var (*)(const Var&, const Tensor&, double, const Tensor&);
  const auto weighted = [&](Op op, Loss f) {
    add_case(list, op, "no weight", x,
             [f](const test::Args& in) { return f(in[0], in.constant(0), 0.3, {}); }, {target});
    for (const Tensor& w : {full, rows})
      add_case(list, op, "weight " + w.shape().str(), x,
               [f](const test::Args& in) { return f(in[0], in.constant(0), 0.3, in.constant(1)); },
               {target, w});
  };
  weighted(Op::l1, l1);
  weighted(Op::squared_error, squared_error);
  add_case(list, Op::bernoulli_nll, "grey targets", test::random({3, 5}, 20, -6, 6),
           [](const test::Args& in) { return bernoulli_nll(in[0], in.constant(0), 0.5); },
           {test::random({3, 5}, 21, 0, 1)});
  add_case(list, Op::categorical_nll, "not normalised", test::random({2, 3, 5}, 22, 0.1, 1),
           [](const test::Args& in) { return categorical_nll(in[0], in.constant(0), 0.5); },
           {test::random_int({2, 3}, 23, 0, 4)});
  add_case(list, Op::categorical_nll, "weighted", test::random({2, 3, 5}, 24, 0.1, 1),
           [](const test::Args& in) { return categorical_nll(in[0], in.constant(0), 0.5, in.constant(1)); },
           {test::random_int({2, 3}, 25, 0, 4), test::random({2, 1}, 26, 0.5, 2)});
});

Var f64(std::vector<double> values, Shape shape, Device device = kCpu) {
  return Tensor::from(values, shape, device);
}

void check_values(const Var& got, const std::vector<double>& want, double epsilon = 1e-14) {
  const Tensor host = got.value.to(kCpu);
  REQUIRE(host.numel() == static_cast<std::int64_t>(want.size()));
  for (std::size_t i = 0; i < want.size(); ++i)
    CHECK(host.data<double>()[i] == doctest::Approx(want[i]).epsilon(epsilon));
}

double item(const Var& x) { return x.value.to(kCpu).item(); }

TEST_CASE("sums and means by hand") {
  for (const Device device : test::test_devices()) {
    const Var x = f64({1, 2, 3, 4, 5, 6}, {2, 3}, device);
    check_values(sum(x), {21});
    check_values(mean(x), {3.5});
    check_values(sum(x, {0}), {5, 7, 9});
    check_values(sum(x, {1}), {6, 15});
    check_values(mean(x, {-1}), {2, 5});
    CHECK(sum(x, {1}, true).shape() == Shape({2, 1}));
    CHECK(sum(x, {0, 1}).shape() == Shape());
    CHECK(sum(x).shape() == Shape({1}));
    const Var y = f64({1, 2, 3, 4, 5, 6, 7, 8}, {2, 2, 2}, device);
    check_values(sum(y, {1}), {4, 6, 12, 14});
    check_values(sum(y, {0, 2}), {14, 22});
    check_values(sum(Var(Tensor::zeros({0, 2}, DType::f64, device)), {0}), {0, 0});
  }
}

TEST_CASE("softmax, its logarithm and the cross-entropy against values computed by hand") {
  for (const Device device : test::test_devices()) {
    const Var x = f64({1, 2, 4, -1, 0.5, 0}, {2, 3}, device);
    check_values(softmax(x), {0.04201006613406605, 0.11419519938459449, 0.8437947344813395,
                              0.12195165230972885, 0.5465493872661796, 0.3314989604240915});
    check_values(log_softmax(x), {-3.1698460195562856, -2.1698460195562856, -0.16984601955628567,
                                  -2.1041306053367284, -0.6041306053367282, -1.1041306053367284});
    const Tensor labels = Tensor::from(std::vector<std::int32_t>{2, 0}, {2}, device);
    check_values(cross_entropy(x, labels), {1.136988312446507});
    const Tensor one_known = Tensor::from(std::vector<std::int32_t>{-1, 0}, {2}, device);
    check_values(cross_entropy(x, one_known), {2.1041306053367284});
    const Tensor none_known = Tensor::from(std::vector<std::int32_t>{-1, 3}, {2}, device);
    check_values(cross_entropy(x, none_known), {0});
    const Tensor mask = Tensor::from(std::vector<std::uint8_t>{1, 0, 1, 0, 0, 1}, {2, 3}, device);
    check_values(softmax(x, mask), {0.04742587317756679, 0, 0.9525741268224334, 0, 0, 1});
    const Tensor masked = log_softmax(x, mask).value.to(kCpu);
    CHECK(masked.data<double>()[1] == -std::numeric_limits<double>::infinity());
    CHECK(masked.data<double>()[2] == doctest::Approx(std::log(0.9525741268224334)));
  }
}

TEST_CASE("argmax finds the first of the largest, and one_hot is its inverse") {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN(),
                  kInf = std::numeric_limits<float>::infinity();
  for (const Device device : test::test_devices()) {
    const auto numbers = [](const Tensor& t) {
      const Tensor host = t.to(kCpu);
      const auto all = host.span<std::int32_t>();
      return std::vector<std::int32_t>(all.begin(), all.end());
    };
    const Tensor x = Tensor::from(
        std::vector<float>{1, 5, 5, -2, -3, -2, -kInf, -kInf, -kInf, 1, kNan, 9, kNan, 1, 2, 0, 1, kInf},
        {2, 3, 3}, device);
    const Tensor best = argmax(x);
    CHECK(best.shape() == Shape({2, 3}));
    CHECK(numbers(best) == std::vector<std::int32_t>{1, 0, 0, -1, -1, 2});
    // Longer than the lanes a row is worked on in.
    std::vector<float> row(1000);
    for (std::size_t k = 0; k < row.size(); ++k) row[k] = std::sin(static_cast<float>(k * k));
    row[777] = row[333] = 2;
    CHECK(numbers(argmax(Tensor::from(row, {1, 1000}, device))) == std::vector<std::int32_t>{333});

    const Tensor index = Tensor::from(std::vector<std::int32_t>{2, 0, -1, 3}, {2, 2}, device);
    const Tensor hot = one_hot(index, 3);
    CHECK(hot.shape() == Shape({2, 2, 3}));
    const Tensor host = hot.to(kCpu);
    const auto values = host.span<float>();
    CHECK(std::vector<float>(values.begin(), values.end()) ==
          std::vector<float>{0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0});
  }
  CHECK(contains(error_of(ErrorKind::internal, [] { argmax(Tensor::zeros({3, 0})); }), "argmax"));
  CHECK(contains(error_of(ErrorKind::internal, [] { one_hot(Tensor::zeros({3}), 2); }), "i32"));
}

TEST_CASE("softmax is not upset by large logits") {
  const Var x(Tensor::from(std::vector<float>{1e30f, 1e30f, -1e30f, 3e38f, -3e38f, 0}, {2, 3}));
  const Tensor y = softmax(x).value, log_y = log_softmax(x).value;
  CHECK(y.data<float>()[0] == 0.5f);
  CHECK(y.data<float>()[2] == 0);
  CHECK(y.data<float>()[3] == 1);
  CHECK(log_y.data<float>()[0] == doctest::Approx(-0.6931472));
  const Var big(Tensor::from(std::vector<float>{1000, 0}, {1, 2}));
  CHECK(item(cross_entropy(big, Tensor::from(std::vector<std::int32_t>{1}, {1}))) == 1000);
}

TEST_CASE("a masked entry gets no gradient, whatever comes from above") {
  Tape tape;
  const Var x = tape.watch(f64({1, 2, 4}, {1, 3}).value);
  const Var y = log_softmax(x, Tensor::from(std::vector<std::uint8_t>{1, 0, 1}, {1, 3}));
  tape.backward(y, f64({1, 100, 0}, {1, 3}).value);
  check_values(tape.grad(x), {1 - 0.04742587317756679, 0, -0.9525741268224334});
}

TEST_CASE("losses against values computed by hand") {
  for (const Device device : test::test_devices()) {
    const Var x = f64({1, -2, 3, 0.5}, {2, 2}, device);
    const Tensor t = f64({0, 1, 3, 1}, {2, 2}, device).value;
    check_values(l1(x, t, 0.5), {2.25});
    check_values(squared_error(x, t, 2), {20.5});
    const Tensor full = f64({1, 0, 5, 2}, {2, 2}, device).value, rows = f64({1, 3}, {2, 1}, device).value;
    check_values(l1(x, t, 1, full), {2});
    check_values(l1(x, t, 1, rows), {5.5});
    check_values(squared_error(x, t, 1, rows), {10.75});
    const Var logits = f64({-2, 0, 3, 50}, {4}, device);
    check_values(bernoulli_nll(logits, f64({0, 0.5, 1, 1}, {4}, device).value, 1), {0.8686625431766598});
    const Var p = f64({0.2, 0.3, 0.9, 2, 1, 1}, {2, 3}, device);
    const Tensor target = Tensor::from(std::vector<std::int32_t>{2, 1}, {2}, device);
    check_values(categorical_nll(p, target, 1), {0.4418327522790392 + 1.3862943611198906});
    check_values(categorical_nll(p, target, 1, f64({0.5, 3}, {2, 1}, device).value),
                 {0.5 * 0.4418327522790392 + 3 * 1.3862943611198906});
    check_values(categorical_nll(p, target, 1, f64({0, 1}, {2, 1}, device).value), {1.3862943611198906});
  }
}

TEST_CASE("the Bernoulli likelihood keeps its small end in float") {
  const Var logit(Tensor::full({1}, 20.0));
  CHECK(item(bernoulli_nll(logit, Tensor::full({1}, 1.0), 1)) ==
        doctest::Approx(2.061153620314381e-09).epsilon(1e-6));
  CHECK(item(bernoulli_nll(logit, Tensor::full({1}, 0.0), 1)) == doctest::Approx(20));
}

TEST_CASE("clamped probabilities: the loss is bounded and the gradient vanishes") {
  const auto nll = [](double own, double& slope) {
    Tape tape;
    const Var p = tape.watch(f64({own, 1}, {1, 2}).value);
    const Var loss = categorical_nll(p, Tensor::from(std::vector<std::int32_t>{0}, {1}), 1);
    tape.backward(loss);
    slope = tape.grad(p).data<double>()[0];
    return item(loss);
  };
  double slope = 1;
  CHECK(nll(0, slope) == doctest::Approx(15.944142343834882).epsilon(1e-14));
  CHECK(slope == 0);
  CHECK(nll(1e9, slope) == doctest::Approx(1.1900000704561978e-07).epsilon(1e-7));
  CHECK(slope == 0);
  CHECK(nll(1e-6, slope) == doctest::Approx(-std::log(1e-6 / (1 + 1e-6))));
  CHECK(slope == doctest::Approx(1 / (1 + 1e-6) - 1e6));
}

TEST_CASE("a target that is no class throws on the cpu and becomes NaN elsewhere") {
  const Var p = f64({0.5, 0.5, 0.5, 0.5}, {2, 2});
  const Tensor target = Tensor::from(std::vector<std::int32_t>{0, 2}, {2});
  CHECK(contains(error_of(ErrorKind::data, [&] { categorical_nll(p, target, 1); }), "index 2 at place 1"));
  CHECK(std::isnan(item(categorical_nll(p.value.to(kSim), target.to(kSim), 1))));
}

// Sums every column, and one row, of the integers 0, 1, ...: exact in double, whatever the order.
TEST_CASE("reductions over every block and strip boundary are exact sums") {
  for (const std::int64_t rows : {1, 255, 256, 257, 700})
    for (const std::int64_t columns : {1, 15, 17, 512, 513, 5000}) {
      CAPTURE(rows);
      CAPTURE(columns);
      std::vector<double> values(static_cast<std::size_t>(rows * columns));
      for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
      const Var x = f64(values, {rows, columns});
      const auto n = static_cast<double>(rows * columns), r = static_cast<double>(rows),
                 c = static_cast<double>(columns);
      CHECK(item(sum(x)) == n * (n - 1) / 2);
      const Tensor by_column = sum(x, {0}).value, by_row = sum(x, {1}).value;
      CHECK(by_column.data<double>()[columns - 1] == r * (c - 1) + c * r * (r - 1) / 2);
      CHECK(by_row.data<double>()[rows - 1] == c * c * (r - 1) + c * (c - 1) / 2);
      CHECK(item(sum(Var(by_column))) == n * (n - 1) / 2);
      CHECK(item(sum(Var(by_row))) == n * (n - 1) / 2);
    }
}

TEST_CASE("float sums are as good as their order promises, and do not depend on the threads or the device") {
  const Tensor x64 = test::random({300, 4099}, 31, 0, 1);
  const auto run = [&](DType dtype, Device device) {
    const Var x = x64.to(dtype).to(device);
    const Var cube = reshape(x, {3, 100, 4099});
    return std::vector<Tensor>{
        sum(x).value.to(kCpu),           sum(x, {0}).value.to(kCpu),
        sum(x, {1}).value.to(kCpu),      mean(cube, {1}).value.to(kCpu),
        softmax(x).value.to(kCpu),       l1(x, affine(x, 0.5, 0).value, 1).value.to(kCpu),
        sum(cube, {0, 2}).value.to(kCpu)};
  };
  const int threads = max_threads();
  const auto exact = run(DType::f64, kCpu);
  set_threads(1);
  const auto one = run(DType::f32, kCpu);
  set_threads(3);
  const auto three = run(DType::f32, kCpu), sim = run(DType::f32, kSim);
  set_threads(threads);
  for (std::size_t k = 0; k < exact.size(); ++k) {
    CAPTURE(k);
    CHECK(test::same_bits(one[k], three[k]));
    CHECK(test::same_bits(one[k], sim[k]));
    double worst = 0;
    for (std::int64_t i = 0; i < exact[k].numel(); ++i) {
      const double want = exact[k].data<double>()[i];
      worst = std::max(worst, std::abs(static_cast<double>(one[k].data<float>()[i]) - want) / want);
    }
    CHECK(worst < 4e-6);  // at most 256 + 75 additions of rounding 6e-8 in a chain, with random signs
  }
}

TEST_CASE("fold: the order of a row kernel is that of a reduction") {
  const Tensor x = test::random({1, 1000}, 32).to(DType::f32);
  const float* v = x.data<float>();
  const float folded = OneThread{}.fold(
      1000, 0.0f, [v](std::int64_t i) { return v[i]; }, Plus{});
  CHECK(folded == sum(Var(x)).value.data<float>()[0]);
}

TEST_CASE("errors name the operator and the shapes") {
  const Var x(Tensor::zeros({4, 3}));
  const Tensor t = Tensor::zeros({3, 4}), same = Tensor::zeros({4, 3}),
               labels = Tensor::zeros({4}, DType::i32);
  const auto message = [](const std::function<void()>& f) { return error_of(ErrorKind::internal, f); };
  const auto has_both = [](const std::string& text, const std::string& op, const std::string& other) {
    CHECK(contains(text, op));
    CHECK(contains(text, "[4,3]"));
    CHECK(contains(text, other));
  };
  has_both(message([&] { sum(x, {2}); }), "sum", "axis 2");
  has_both(message([&] { mean(x, {0, -2}); }), "mean", "twice");
  has_both(message([&] { softmax(x, Tensor::zeros({4}, DType::u8)); }), "softmax", "[4]");
  has_both(message([&] { log_softmax(x, t); }), "log_softmax", "f32");
  has_both(message([&] { cross_entropy(x, Tensor::zeros({3}, DType::i32)); }), "cross_entropy", "[3]");
  has_both(message([&] { cross_entropy(x, Tensor::zeros({4})); }), "cross_entropy", "f32");
  has_both(message([&] { l1(x, t, 1); }), "l1", "[3,4]");
  has_both(message([&] { squared_error(x, t, 1); }), "squared_error", "[3,4]");
  has_both(message([&] { l1(x, same, 1, Tensor::zeros({1, 3})); }), "l1", "[1,3]");
  has_both(message([&] { squared_error(x, same, 1, Tensor::zeros({4})); }), "squared_error", "[B,1,...]");
  has_both(message([&] { bernoulli_nll(x, t, 1); }), "bernoulli_nll", "[3,4]");
  has_both(message([&] { categorical_nll(x, Tensor::zeros({3}, DType::i32), 1); }), "categorical_nll", "[3]");
  has_both(message([&] {
             categorical_nll(x, Tensor::zeros({4}, DType::i32), 1, Tensor::zeros({3, 1}));
           }),
           "categorical_nll", "[3,1]");
  CHECK(contains(message([&] { mean(Var(Tensor::zeros({0}))); }), "mean"));
  CHECK(contains(message([&] { sum(Var()); }), "sum"));
  CHECK(contains(message([&] { softmax(Var(Tensor::zeros({2, 0}))); }), "[2,0]"));
}

}  // namespace
}  // namespace mld
