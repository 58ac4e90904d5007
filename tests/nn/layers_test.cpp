// Every layer against central differences in double, its shape promise, and what is specific to it. Values
// are checked against PyTorch in golden_test.cpp.
#include "nn/layers.h"

#include <doctest/doctest.h>

#include <functional>
#include <set>

#include "engine/ops/layout.h"
#include "engine/ops/pointwise.h"
#include "engine/ops/reduction.h"
#include "nn/sequential.h"
#include "tests/nn/helpers.h"

namespace mld::nn {
namespace {

using Program = std::function<Var(const Var&)>;

void randomize(const ParameterStore& store) {
  std::uint64_t seed = 100;
  for (const auto& entry : store.parameters()) {
    const auto v = test::values(entry.data->shape.numel(), ++seed);
    std::copy(v.begin(), v.end(), entry.data->value.data<double>());
  }
}

// Gradients of sum(w * program(x)), w fixed, against central differences of step h: the truncation error is
// of order h^2 = 1e-12, the rounding error 1e-16 / h = 1e-10; 1e-6 leaves room for sums and curvature.
void check_gradients(ParameterStore& store, const Tensor& x, const Program& program) {
  constexpr double h = 1e-6, tolerance = 1e-6;
  Tensor weights;
  const auto loss_of = [&](const Var& in) {
    const Var y = program(in);
    if (!weights.defined()) weights = test::random(y.shape(), 77);
    return sum(mul(y, weights));
  };
  std::vector<double> dx;
  {
    store.begin_step();
    Tape tape;
    const Var in = tape.watch(x);
    const Var loss = loss_of(in);
    tape.backward(loss);
    store.finish_backward();
    dx = test::host(tape.grad(in));
  }
  const auto compare = [&](const Tensor& values, std::span<const double> gradient, const std::string& name) {
    const auto v = values.span<double>();
    REQUIRE(v.size() == gradient.size());
    for (std::size_t i = 0; i < v.size(); ++i) {
      const double kept = v[i];
      v[i] = kept + h;
      const double up = loss_of(x).value.item();
      v[i] = kept - h;
      const double down = loss_of(x).value.item();
      v[i] = kept;
      const double numeric = (up - down) / (2 * h);
      INFO(name << "[" << i << "]: analytic " << gradient[i] << ", numeric " << numeric);
      CHECK(test::near(gradient[i], numeric, tolerance));
    }
  };
  compare(x, dx, "x");
  for (const auto& entry : store.parameters())
    compare(entry.data->value, entry.data->sink.grad.span<double>(), entry.name);
}

// A layer on a batch of 3 samples: the promised output shape, and gradients with inference
// and training context.
template <class L>
void check_layer(L layer, const Shape& sample) {
  ParameterStore store(layer, {.dtype = DType::f64});
  store.initialize(1);
  randomize(store);
  const Tensor x = test::random(batch_shape(3, sample), 5);
  CHECK(layer(x, Context{}).shape() == batch_shape(3, layer.output_shape(sample)));
  for (bool training : {false, true}) {
    INFO("training " << training);
    const Context context{.training = training, .key = {.seed = 9, .step = 4, .site = 64}};
    check_gradients(store, x, [&](const Var& in) { return layer(in, context); });
  }
}

TEST_CASE("linear layers") {
  check_layer(Linear(5, 4), {5});
  check_layer(Linear(5, 4, {.act = kSilu}), {2, 5});
  check_layer(Linear(5, 4, {.act = kGelu, .bias = false}), {5});
}

TEST_CASE("convolutions") {
  check_layer(Conv2d(3, 4, {3, 2}, {2, 1}, {1, 0}), {5, 4, 3});
  check_layer(Conv2d(2, 3, 3, 1, 1, {.act = kSilu, .bias = false}), {4, 4, 2});
  check_layer(ConvTranspose2d(3, 2, {4, 3}, 2, {1, 0}), {3, 2, 3});
  check_layer(ConvTranspose2d(2, 3, 3, 2, 1, {.act = kSigmoid, .output_padding = 1}), {3, 3, 2});
  check_layer(conv1d(3, 4, 4, 2, 1), {1, 6, 3});
  check_layer(conv_transpose1d(3, 2, 4, 2, 1, {.act = kTanh}), {1, 4, 3});
}

TEST_CASE("normalisations") {
  check_layer(BatchNorm(3), {4, 2, 3});
  check_layer(BatchNorm(6, {.act = leaky_relu(0.01)}), {6});
  check_layer(GroupNorm(2, 6, {.act = kSilu}), {6});
  check_layer(GroupNorm(3, 6), {2, 2, 6});
  check_layer(LayerNorm(5, {.act = kGelu}), {3, 5});
}

TEST_CASE("layers without parameters") {
  for (const Act kind : kAllActs) check_layer(Activate{{kind, 0.2f}}, {7});
  check_layer(Softmax{}, {2, 5});
  check_layer(Dropout(0.4), {4, 3});
  check_layer(Dropout(0.4, true), {3, 2, 4});
  check_layer(MaxPool2d(2), {6, 4, 3});
  check_layer(MaxPool2d({3, 2}, 2, {1, 0}), {5, 4, 2});
  check_layer(AvgPool2d(3, 2, 1), {6, 5, 2});
  check_layer(Upsample{2}, {2, 3, 2});
  check_layer(Flatten{}, {2, 3, 4});
  check_layer(Reshape{{3, 2, 4}}, {24});
  check_layer(Combinations({2, 3, 2}), {7});
  check_layer(Combinations({4}), {4});
}

TEST_CASE(
    "combinations: scores of values add up, and a softmax over them is the product of the values' own") {
  const Combinations layer({2, 3});
  const Var scores(test::random({1, 5}, 3));
  const std::vector<double> s = test::host(scores.value), all = test::host(layer(scores).value);
  REQUIRE(all.size() == 6);
  for (std::size_t a = 0; a < 2; ++a)
    for (std::size_t b = 0; b < 3; ++b) CHECK(all[3 * a + b] == doctest::Approx(s[a] + s[2 + b]));
  const auto loss = [](const Var& logits, std::int32_t label) {
    return test::host(cross_entropy(logits, Tensor::from(std::vector<std::int32_t>{label}, {1})).value)[0];
  };
  CHECK(loss(layer(scores), 5) ==
        doctest::Approx(loss(slice(scores, 1, 0, 2), 1) + loss(slice(scores, 1, 2, 3), 2)));
  CHECK_THROWS_AS(Sequential({4}, Combinations({2, 3})), Error);
}

TEST_CASE("embedding") {
  Embedding table(6, 4);
  ParameterStore store(table, {.dtype = DType::f64});
  store.initialize(1);
  const Tensor index = Tensor::from(std::vector<std::int32_t>{0, 5, 2, 2, 2, 0}, {2, 3});
  CHECK(table(index).shape() == Shape{2, 3, 4});
  check_gradients(store, test::random({1}, 1), [&](const Var& x) { return mul(table(index), x); });
}

TEST_CASE("residual blocks") {
  check_layer(Residual(Sequential({4}, Activate{kSilu}, Linear(4, 6)),
                       Sequential({4}, Linear(4, 6, {.bias = false})), 0.3, 2),
              {4});
  check_layer(Residual(Sequential({4, 4, 2}, Conv2d(2, 2, 3, 1, 1)), Sequential({4, 4, 2}), 0.1), {4, 4, 2});
}

TEST_CASE("batch normalisation: training moves the running statistics, inference uses them") {
  BatchNorm norm(2);
  ParameterStore store(norm, {.dtype = DType::f64});
  store.initialize(1);
  const Tensor x = test::random({5, 3, 2}, 1);
  const auto v = test::host(x);
  std::vector<double> mean(2), variance(2);
  for (std::size_t c = 0; c < 2; ++c) {
    for (std::size_t i = 0; i < 15; ++i) mean[c] += v[2 * i + c] / 15;
    for (std::size_t i = 0; i < 15; ++i)
      variance[c] += (v[2 * i + c] - mean[c]) * (v[2 * i + c] - mean[c]) / 14;
  }
  norm(x, {.training = true});
  test::check_near(test::host(norm.running_mean.value()), {0.1 * mean[0], 0.1 * mean[1]}, 1e-14);
  test::check_near(test::host(norm.running_var.value()), {0.9 + 0.1 * variance[0], 0.9 + 0.1 * variance[1]},
                   1e-14);
  const auto before = test::host(norm.running_mean.value());
  const auto y = test::host(norm(x, {}).value);
  CHECK(test::host(norm.running_mean.value()) == before);
  for (std::size_t c = 0; c < 2; ++c)
    CHECK(test::near(y[c], (v[c] - 0.1 * mean[c]) / std::sqrt(0.9 + 0.1 * variance[c] + 1e-5), 1e-12));
}

TEST_CASE("dropout draws at sites that differ within a model, and nothing at inference") {
  struct Two {
    Dropout a{0.5}, b{0.5};
    Linear l{2, 2};
    void visit(Visitor& v) {
      v("a", a);
      v("l", l);
      v("b", b);
    }
  } model;
  const Tensor x = Tensor::full({4, 64}, 1);
  const Context context{.training = true, .key = {.seed = 1, .step = 2, .site = 64}};
  CHECK(test::contains(test::error_of(ErrorKind::internal, [&] { model.a(x, context); }), "site"));
  ParameterStore store(model);
  CHECK(store.draw_sites() == 2);
  CHECK(model.a.site.number == 0);
  CHECK(model.b.site.number == 1);
  const auto a = test::host(model.a(x, context).value), b = test::host(model.b(x, context).value);
  CHECK(a != b);
  CHECK(std::set<double>(a.begin(), a.end()) == std::set<double>{0, 2});
  Context next = context;
  next.key.site = 65;
  CHECK(test::host(model.a(x, next).value) == b);
  CHECK(test::host(model.a(x, {}).value) == test::host(x));
}

TEST_CASE("weights and biases start within 1/sqrt(fan in), as PyTorch computes it") {
  const auto bounds = [](const auto& layer, double fan_in) {
    for (const Parameter* p : {&layer.weight, &layer.bias}) {
      CHECK((p->data()->init.kind == Init::Kind::uniform));
      CHECK(p->data()->init.mean == 0);
      CHECK(p->data()->init.spread == 1 / std::sqrt(fan_in));
    }
  };
  bounds(Linear(7, 5), 7);
  bounds(Conv2d(6, 10, {3, 5}), 90);
  bounds(ConvTranspose2d(6, 10, {3, 5}), 150);  // _calculate_fan_in_and_fan_out of PyTorch 1.13
  bounds(conv_transpose1d(6, 10, 4), 40);
}

TEST_CASE("zero initialisation of a linear layer") {
  Linear layer(4, 3);
  layer.init_zero();
  ParameterStore store(layer);
  store.initialize(1);
  CHECK(test::host(store.value()) == std::vector<double>(128, 0.0));
}

TEST_CASE("layers say what does not fit") {
  using test::contains, test::error_of;
  CHECK(contains(error_of(ErrorKind::internal, [] { Linear(5, 4).output_shape({6}); }), "5 channels"));
  CHECK(contains(error_of(ErrorKind::internal,
                          [] {
                            Conv2d(3, 4, 3).output_shape({2, 2, 3});
                          }),
                 "kernel 3x3"));
  CHECK(contains(error_of(ErrorKind::internal, [] { Conv2d(3, 4, 3).output_shape({27}); }), "[H,W,C]"));
  CHECK(contains(error_of(ErrorKind::internal, [] { GroupNorm(4, 6); }), "4 groups"));
  CHECK(contains(error_of(ErrorKind::internal, [] { Reshape{{2, 3}}.output_shape({5}); }), "[2,3]"));
}

}  // namespace
}  // namespace mld::nn
