#include "nn/parameter.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "engine/ops/linear.h"
#include "engine/ops/pointwise.h"
#include "engine/ops/reduction.h"
#include "nn/layers.h"
#include "tests/nn/helpers.h"

namespace mld::nn {
namespace {

struct Branches {
  Linear used{3, 5};
  Linear unused{5, 2};
  std::vector<LayerNorm> norms = [] {
    std::vector<LayerNorm> v;
    v.emplace_back(5);
    v.emplace_back(7);
    return v;
  }();
  std::optional<BatchNorm> extra;

  void visit(Visitor& v) {
    v("used", used);
    v("unused", unused);
    v("norms", norms);
    v("extra", extra);
  }
};

TEST_CASE("names are visit paths, parameters are aligned and counted") {
  Branches model;
  model.extra.emplace(4);
  ParameterStore store(model);
  std::vector<std::string> names;
  for (const auto& entry : store.parameters()) {
    names.push_back(entry.name);
    CHECK(entry.first * 4 % 256 == 0);
  }
  const std::vector<std::string> expected = {
      "used.weight",  "used.bias",      "unused.weight", "unused.bias",  "norms.0.weight",
      "norms.0.bias", "norms.1.weight", "norms.1.bias",  "extra.weight", "extra.bias"};
  CHECK(names == expected);
  REQUIRE(store.buffers().size() == 2);
  CHECK(store.buffers()[1].name == "extra.running_var");
  CHECK(store.count() == 15 + 5 + 10 + 2 + 10 + 14 + 8);
  CHECK(store.count() == count_parameters(model));
}

TEST_CASE("initial values follow their distribution and leave the padding zero") {
  Linear layer(16, 4096);
  ParameterStore store(layer, {.ema = true});
  store.initialize(7);
  const auto weight = test::host(layer.weight.value());
  double sum = 0, square = 0, largest = 0;
  for (double x : weight) {
    sum += x;
    square += x * x;
    largest = std::max(largest, std::abs(x));
  }
  const auto n = static_cast<double>(weight.size());
  const double bound = 0.25;  // 1/sqrt(16)
  CHECK(largest <= bound);
  CHECK(largest > 0.999 * bound);
  CHECK(std::abs(sum / n) < 5 * bound / std::sqrt(3 * n));
  CHECK(std::abs(square / n / (bound * bound / 3) - 1) < 0.02);

  LayerNorm norm(5);
  ParameterStore small(norm);
  small.initialize(7);
  const auto arena = test::host(small.value());
  REQUIRE(arena.size() == 128);
  for (std::size_t i = 0; i < 128; ++i) CHECK(arena[i] == (i < 5 ? 1.0 : 0.0));
  CHECK(test::host(store.ema()) == test::host(store.value()));
}

TEST_CASE("normal initial values have the deviation asked for") {
  Embedding table(1000, 50);
  table.weight.set_init(normal(0.02));
  ParameterStore store(table);
  store.initialize(3);
  double square = 0;
  for (double x : test::host(table.weight.value())) square += x * x;
  CHECK(std::abs(std::sqrt(square / 50000) / 0.02 - 1) < 0.02);
}

TEST_CASE("an initial value depends on seed, path and file position only") {
  Branches model;
  ParameterStore store(model);
  store.initialize(5);
  const auto first = test::host(model.used.weight.value());

  struct Alone {
    Linear used{3, 5};
    void visit(Visitor& v) { v("used", used); }
  } alone;
  ParameterStore other(alone, {.device = kSim});
  other.initialize(5);
  CHECK(test::host(alone.used.weight.value()) == first);
  CHECK(test::host(alone.used.bias.value()) == test::host(model.used.bias.value()));
  other.initialize(6);
  CHECK(test::host(alone.used.weight.value()) != first);

  // The same file position has the same value in another memory layout.
  struct Conv {
    Conv2d used{4, 3, {2, 5}};
    void visit(Visitor& v) { v("used", used); }
  } conv;
  struct Flat {
    Parameter weight{{3, 4, 2, 5}, fan_in_uniform(40)};
    void visit(Visitor& v) { v("used.weight", weight); }
  } flat;
  ParameterStore a(conv), b(flat);
  a.initialize(1);
  b.initialize(1);
  std::vector<float> file(120);
  to_file(conv.used.weight.value(), conv.used.weight.data()->layout, std::as_writable_bytes(std::span(file)));
  CHECK(std::memcmp(file.data(), flat.weight.value().data<float>(), 480) == 0);
}

TEST_CASE("a double store starts from the float values") {
  Linear a(6, 7), b(6, 7);
  ParameterStore single(a), twice(b, {.dtype = DType::f64});
  single.initialize(2);
  twice.initialize(2);
  CHECK(test::host(a.weight.value()) == test::host(b.weight.value()));
}

TEST_CASE("misuse is refused") {
  Linear layer(3, 2);
  const Tensor x = Tensor::zeros({1, 3});
  using test::contains, test::error_of;
  CHECK(contains(error_of(ErrorKind::internal, [&] { layer(x); }), "belongs to no ParameterStore"));
  {
    ParameterStore store(layer);
    CHECK(contains(error_of(ErrorKind::internal, [&] { layer(x); }), "neither initialised nor loaded"));
    CHECK(contains(error_of(ErrorKind::internal, [&] { store.begin_step(); }), "initialised"));
    CHECK(contains(error_of(ErrorKind::internal, [&] { ParameterStore again(layer); }), "'weight'"));
    CHECK(contains(error_of(ErrorKind::internal, [&] { layer.weight.set_init(zeros()); }), "packed"));
    store.initialize(1);
    CHECK(layer(x).shape() == Shape{1, 2});
    CHECK(contains(error_of(ErrorKind::internal, [&] { EmaScope scope(store); }), "without EMA"));
  }
  CHECK(contains(error_of(ErrorKind::internal, [&] { layer(x); }), "belongs to no ParameterStore"));

  struct Doubled {
    Linear one{2, 2}, two{2, 2};
    void visit(Visitor& v) {
      v("one", one);
      v("one", two);
    }
  } doubled;
  CHECK(contains(error_of(ErrorKind::internal, [&] { ParameterStore store(doubled); }), "'one.weight'"));
}

TEST_CASE("a failed packing leaves the model free") {
  struct Doubled {
    Linear one{2, 2}, two{2, 2};
    bool wrong = true;
    void visit(Visitor& v) {
      v("one", one);
      v(wrong ? "one" : "two", two);
    }
  } model;
  CHECK_THROWS_AS(ParameterStore{model}, Error);
  model.wrong = false;
  CHECK_NOTHROW(ParameterStore{model});
}

TEST_CASE("gradients: overwritten in every step, summed over uses, zero where nothing was touched") {
  for (Device device : test::test_devices()) {
    Branches model;
    ParameterStore store(model, {.device = device, .dtype = DType::f64});
    store.initialize(1);
    const Tensor x = test::random({4, 3}, 1, DType::f64, device);
    const auto step = [&](int uses) {
      store.begin_step();
      Tape tape;
      Var total = model.used(x);
      for (int i = 1; i < uses; ++i) total = add(total, model.used(x));
      tape.backward(sum(total));
      store.finish_backward();
    };
    step(1);
    const auto once = test::host(model.used.weight.grad());
    CHECK(test::host(model.used.bias.grad()) == std::vector<double>(5, 4.0));
    // The gradient memory of an untouched parameter may hold anything.
    if (device == kCpu) std::memset(model.unused.weight.grad().raw(), 0xff, 80);
    step(1);
    CHECK(test::host(model.used.weight.grad()) == once);
    CHECK(test::host(model.unused.weight.grad()) == std::vector<double>(10, 0.0));
    step(3);
    std::vector<double> thrice = once;
    for (double& g : thrice) g *= 3;
    test::check_near(test::host(model.used.weight.grad()), thrice, 1e-14);
  }
}

TEST_CASE("a store without training makes constants, also under a tape") {
  Linear layer(3, 2);
  ParameterStore store(layer, {.training = false});
  store.initialize(1);
  Tape tape;
  CHECK(layer(Tensor::zeros({1, 3})).slot.constant());
  CHECK(tape.recorded().empty());
}

TEST_CASE("modules may be moved after packing") {
  std::vector<Linear> layers;
  layers.emplace_back(3, 2);
  ParameterStore store(layers.front());
  store.initialize(1);
  const auto before = test::host(layers.front()(test::random({2, 3}, 1, DType::f32)).value);
  layers.emplace_back(4, 4);  // reallocates
  CHECK(test::host(layers.front()(test::random({2, 3}, 1, DType::f32)).value) == before);
}

TEST_CASE("EmaScope computes with the EMA weights and puts the others back") {
  Linear layer(3, 2);
  ParameterStore store(layer, {.ema = true});
  store.initialize(1);
  const Tensor x = test::random({2, 3}, 1, DType::f32);
  const auto plain = test::host(layer(x).value);
  store.ema().copy_from(Tensor::full(store.ema().shape(), 0.5));
  {
    EmaScope scope(store);
    CHECK(test::host(layer.bias.value()) == std::vector<double>(2, 0.5));
    CHECK(test::host(layer(x).value) != plain);
  }
  CHECK(test::host(layer(x).value) == plain);
}

}  // namespace
}  // namespace mld::nn
