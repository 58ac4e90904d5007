#include "nn/adam_ema.h"

#include <doctest/doctest.h>

#include <cstring>
#include <limits>

#include "engine/threads/threads.h"
#include "tests/nn/helpers.h"

namespace mld::nn {
namespace {

struct Two {
  Parameter a, b;
  explicit Two(std::int64_t n = 5) : a({n}, uniform(1)), b({3, n}, uniform(1)) {}
  void visit(Visitor& v) {
    v("a", a);
    v("b", b);
  }
};

// The optimiser of docs/method.md section 9 for one list of values, without arenas or vector code.
struct Reference {
  std::vector<double> p, m, v, ema;
  std::int64_t updates = 0;

  explicit Reference(std::vector<double> start) : p(start), m(p.size()), v(p.size()), ema(std::move(start)) {}

  void step(std::vector<double> g, double lr, const AdamOptions& o) {
    double square = 0;
    for (double x : g) square += x * x;
    const double norm = std::sqrt(square);
    if (o.clip_norm > 0 && norm + 1e-6 > o.clip_norm)
      for (double& x : g) x *= o.clip_norm / (norm + 1e-6);
    ++updates;
    const double bias1 = 1 - std::pow(o.beta1, static_cast<double>(updates));
    const double bias2 = 1 - std::pow(o.beta2, static_cast<double>(updates));
    for (std::size_t i = 0; i < p.size(); ++i) {
      if (!o.decoupled) g[i] += o.weight_decay * p[i];
      m[i] = o.beta1 * m[i] + (1 - o.beta1) * g[i];
      v[i] = o.beta2 * v[i] + (1 - o.beta2) * g[i] * g[i];
      const double shrunk = o.decoupled ? p[i] * (1 - lr * o.weight_decay) : p[i];
      p[i] = shrunk - lr * (m[i] / bias1) / (std::sqrt(v[i] / bias2) + o.eps);
      ema[i] = o.ema_decay * ema[i] + (1 - o.ema_decay) * p[i];
    }
  }
};

// The values of an arena without padding.
std::vector<double> packed(const ParameterStore& store, const Tensor& arena) {
  std::vector<double> all;
  for (const auto& entry : store.parameters()) {
    const auto part = test::host(arena.view(entry.first, entry.data->shape));
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

void set_gradient(const ParameterStore& store, const std::vector<double>& g) {
  std::size_t done = 0;
  for (const auto& entry : store.parameters()) {
    const Shape& shape = entry.data->shape;
    const auto n = static_cast<std::size_t>(shape.numel());
    const Tensor part = Tensor::from(std::span(g).subspan(done, n), shape).to(store.options().dtype);
    entry.data->sink.grad.copy_from(part.to(store.options().device));
    done += n;
  }
}

void run_against_reference(const AdamOptions& options, StoreOptions store_options, double tolerance) {
  store_options.ema = true;
  Two model;
  ParameterStore store(model, store_options);
  store.initialize(3);
  Reference reference(packed(store, store.value()));
  const LrPlan plan{.schedule = LrSchedule::cosine, .lr = 0.05, .lr_final = 0.001, .warmup = 6, .total = 18};
  StepCounter counter(1, plan, options.beta1, options.beta2, store_options.device);
  AdamEma adam(store, options, counter.ptr());
  for (int i = 0; i < 20; ++i) {
    const bool bad = i == 7;
    auto g = test::values(20, static_cast<std::uint64_t>(i) + 1, -0.6, 1);
    if (bad) g[2] = std::numeric_limits<double>::quiet_NaN();
    set_gradient(store, g);
    counter.tick();
    counter.judge(Tensor::full({1}, bad ? NAN : 1.0, DType::f32, store_options.device));
    adam.step();
    counter.commit();
    const double lr = plan.at(reference.updates);
    if (!bad) reference.step(g, lr, options);
    CAPTURE(i);
    test::check_near(packed(store, store.value()), reference.p, tolerance);
    test::check_near(packed(store, store.adam_m()), reference.m, tolerance);
    test::check_near(packed(store, store.adam_v()), reference.v, tolerance);
    test::check_near(packed(store, store.ema()), reference.ema, tolerance);
  }
  CHECK(counter.read().updates == 19);
}

TEST_CASE("twenty updates equal the reference: warm-up, weight decay, clipping, a bad step") {
  const std::vector<AdamOptions> all = {
      {},
      {.weight_decay = 0.1},
      {.weight_decay = 0.1, .decoupled = true},
      {.weight_decay = 0.02, .clip_norm = 1.5},
      {.beta1 = 0.5, .beta2 = 0.9, .eps = 1e-3, .clip_norm = 100, .ema_decay = 0.7},
  };
  for (const AdamOptions& options : all)
    for (Device device : test::test_devices()) {
      // In double only the order of operations differs; in float 20 updates of roundings add up.
      run_against_reference(options, {.device = device, .dtype = DType::f64}, 1e-13);
      run_against_reference(options, {.device = device}, 3e-6);
    }
}

TEST_CASE("the float EMA follows its decay without bias") {
  // With coefficients rounded to float first, 1 - 0.999f is off by 1e-5 and so is the
  // average's time constant.
  Two model;
  ParameterStore store(model, {.ema = true});
  store.initialize(1);
  StepCounter counter(1, {.lr = 0}, 0.9, 0.999, kCpu);
  AdamEma adam(store, {}, counter.ptr());
  store.value().copy_from(Tensor::full(store.value().shape(), 1));
  store.ema().zero();
  for (int i = 0; i < 1000; ++i) {
    counter.tick();
    adam.step();
    counter.commit();
  }
  for (double e : packed(store, store.ema())) CHECK(std::abs(e - (1 - std::pow(0.999, 1000))) < 2e-6);
}

TEST_CASE("EMA identities") {
  const auto train = [](double decay, bool ema) {
    Two model;
    ParameterStore store(model, {.ema = ema});
    store.initialize(1);
    const auto start = packed(store, store.value());
    StepCounter counter(1, {.lr = 0.1}, 0.9, 0.999, kCpu);
    AdamEma adam(store, {.ema_decay = decay}, counter.ptr());
    for (std::uint64_t i = 0; i < 5; ++i) {
      set_gradient(store, test::values(20, i));
      counter.tick();
      adam.step();
      counter.commit();
    }
    return std::array{start, packed(store, store.value()), ema ? packed(store, store.ema()) : start};
  };
  const auto frozen = train(1, true), follows = train(0, true), none = train(0.999, false);
  CHECK(frozen[2] == frozen[0]);
  test::check_near(follows[2], follows[1], 1e-7);
  CHECK(none[1] == frozen[1]);  // the EMA does not touch the weights
  CHECK(none[1] != none[0]);
}

TEST_CASE("a step whose loss or gradient is not finite changes no bit and is counted as bad") {
  const std::int64_t n = 5000;  // above one block of a reduction
  const std::vector<double> good = test::values(static_cast<std::size_t>(4 * n), 1);
  for (const double clip : {0.0, 1.0})
    for (const DType dtype : {DType::f32, DType::f64}) {
      Two model(n);
      ParameterStore store(model, {.dtype = dtype, .ema = true});
      store.initialize(1);
      StepCounter counter(1, {.lr = 0.1}, 0.9, 0.999, kCpu);
      AdamEma adam(store, {.clip_norm = clip}, counter.ptr());
      const auto before = test::host(store.value());
      std::int64_t bad_steps = 0;
      const auto check_bad = [&](const std::vector<double>& gradient, double loss) {
        set_gradient(store, gradient);
        counter.tick();
        counter.judge(Tensor::full({1}, loss));
        adam.step();
        counter.commit();
        CHECK(test::host(store.value()) == before);
        CHECK(test::host(store.ema()) == before);
        CHECK(test::host(store.adam_m()) == std::vector<double>(before.size(), 0.0));
        CHECK(test::host(store.adam_v()) == std::vector<double>(before.size(), 0.0));
        CHECK(counter.read().bad_steps == ++bad_steps);
        CHECK(counter.read().updates == 0);
      };
      check_bad(good, INFINITY);
      for (const double value : {double{INFINITY}, -double{INFINITY}, double{NAN}})
        for (const std::size_t place : {std::size_t{0}, std::size_t{4103}, good.size() - 1}) {
          std::vector<double> g = good;
          g[place] = value;
          check_bad(g, 1);
        }
      set_gradient(store, good);
      counter.tick();
      counter.judge(Tensor::full({1}, 1));
      adam.step();
      counter.commit();
      CHECK(test::host(store.value()) != before);
      CHECK(counter.read().bad_steps == 0);
      CHECK(counter.read().updates == 1);
    }
}

TEST_CASE("one gradient that is not finite stops the update, wherever it is") {
  for (const Device device : test::test_devices())
    for (const DType dtype : {DType::f32, DType::f64}) {
      Two model(6);
      ParameterStore store(model, {.device = device, .dtype = dtype});
      store.initialize(1);
      const auto before = test::host(store.value());
      StepCounter counter(1, {.lr = 0.1}, 0.9, 0.999, device);
      AdamEma adam(store, {}, counter.ptr());
      for (std::size_t at = 0; at < 24; ++at) {
        CAPTURE(at);
        auto g = test::values(24, at);
        g[at] = at % 3 == 0 ? NAN : at % 3 == 1 ? INFINITY : -INFINITY;
        set_gradient(store, g);
        counter.tick();
        adam.step();
        counter.commit();
        CHECK(counter.read().bad_steps == static_cast<std::int64_t>(at) + 1);
      }
      CHECK(test::host(store.value()) == before);
    }
}

TEST_CASE("results do not depend on the number of threads") {
  const int threads = max_threads();
  const auto run = [&](int count) {
    set_threads(count);
    Two model(40000);
    ParameterStore store(model, {.ema = true});
    store.initialize(1);
    StepCounter counter(1, {.lr = 0.1}, 0.9, 0.999, kCpu);
    AdamEma adam(store, {.clip_norm = 1}, counter.ptr());
    for (std::uint64_t i = 0; i < 3; ++i) {
      set_gradient(store, test::values(160000, i));
      counter.tick();
      adam.step();
      counter.commit();
    }
    set_threads(threads);
    return packed(store, store.ema());
  };
  const auto one = run(1);
  CHECK(run(2) == one);
  CHECK(run(5) == one);
}

TEST_CASE("an optimiser needs a store that trains") {
  Two model;
  ParameterStore store(model, {.training = false});
  StepCounter counter(1, {}, 0.9, 0.999, kCpu);
  CHECK(test::contains(test::error_of(ErrorKind::internal, [&] { AdamEma(store, {}, counter.ptr()); }),
                       "training"));
}

}  // namespace
}  // namespace mld::nn
