// The contract of a train step: replay equals eager, resuming equals not having stopped, a bad step leaves no
// trace, and nothing is allocated from the system once warm.
#include "nn/train_step.h"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <limits>
#include <new>

#include "engine/memory/pool.h"
#include "engine/ops/reduction.h"
#include "nn/checkpoint.h"
#include "nn/sequential.h"
#include "tests/nn/helpers.h"

namespace {
std::atomic<long> news{0};
}

// Counts every allocation of this executable. The throwing and the nothrow form are both replaced, as both
// are paired with the delete below. Not inlined: GCC 12 would see a `new` whose memory goes to free().
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++news;
  return std::malloc(size > 0 ? size : 1);
}
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (void* p = operator new(size, std::nothrow)) return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, const std::nothrow_t&) noexcept { std::free(p); }

namespace mld::nn {
namespace {

constexpr std::int64_t kBatch = 6;

// A network with convolution, batch statistics and dropout, its optimiser, and a batch that changes every
// step.
struct Training {
  Sequential net{Shape{8, 8, 2},
                 Conv2d(2, 4, 3, 2, 1, {.act = {}, .bias = false}),
                 BatchNorm(4, {.act = kRelu}),
                 Dropout(0.3, true),
                 Flatten{},
                 Linear(64, 10, {.act = kSilu}),
                 Dropout(0.2),
                 Linear(10, 3)};
  ParameterStore store;
  Tensor x, target;
  TrainStep step;
  int batches = 0;

  explicit Training(Device device, std::uint64_t seed = 5)
      : store(net, {.device = device, .ema = true}),
        x(Tensor::zeros({kBatch, 8, 8, 2}, DType::f32, device)),
        target(Tensor::zeros({kBatch, 3}, DType::f32, device)),
        step(store, seed, {.lr = 0.01, .warmup = 3}, {.weight_decay = 1e-3, .clip_norm = 1, .ema_decay = 0.9},
             [this](const StepState* state) {
               const Var y =
                   net(x, {.training = true, .key = {.state = state, .seed = 0, .step = 0, .site = 64}});
               return squared_error(y, target, 1.0 / kBatch);
             }) {
    store.initialize(seed);
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      const auto seed = static_cast<std::uint64_t>(++batches);
      x.copy_from(test::random(x.shape(), seed, DType::f32, x.device()));
      target.copy_from(test::random(target.shape(), seed + 1000, DType::f32, x.device()));
      step();
    }
  }

  std::vector<std::vector<double>> everything() {
    const StepState s = step.state();
    return {test::host(store.value()),  test::host(store.ema()),
            test::host(store.adam_m()), test::host(store.adam_v()),
            test::host(store.buffer()), {static_cast<double>(s.step), static_cast<double>(s.updates)}};
  }
};

TEST_CASE("a captured step replays what the eager step computes, bit for bit") {
  Training eager(kCpu), captured(kSim);
  eager.run(10);
  captured.run(10);
  CHECK(!eager.step.captured());
  CHECK(captured.step.captured());
  CHECK(captured.everything() == eager.everything());
  const StepState a = eager.step.state(), b = captured.step.state();
  for (int i = 0; i < 10; ++i) {
    CHECK(a.loss[i] == b.loss[i]);
    CHECK(std::isfinite(a.loss[i]));
  }
}

TEST_CASE("on cuda the replay is the eager run bit for bit, and the cpu's but for rounding") {
  if (!test::has_cuda()) return;
  Training cpu(kCpu), captured(kCuda);
  setenv("MLD_NO_GRAPH", "1", 1);
  Training eager(kCuda);
  unsetenv("MLD_NO_GRAPH");
  for (Training* t : {&cpu, &captured, &eager}) t->run(10);
  CHECK(captured.step.captured());
  CHECK_FALSE(eager.step.captured());
  CHECK(captured.everything() == eager.everything());
  const auto want = cpu.everything(), got = captured.everything();
  // Adam divides by the root of a gradient's square: where a gradient is all but zero, its rounding moves a
  // parameter by up to a learning rate.
  for (std::size_t i = 0; i < want.size(); ++i) test::check_near(got[i], want[i], 2e-2);
  const StepState a = cpu.step.state(), b = captured.step.state();
  for (int i = 0; i < 10; ++i) CHECK(test::near(b.loss[i], a.loss[i], 1e-4));
}

TEST_CASE("training goes down") {
  Training t(kCpu);
  const auto step_on_one_batch = [&] {
    t.batches = 0;
    t.run(1);
  };
  step_on_one_batch();
  for (int i = 1; i < 64; ++i) step_on_one_batch();
  const StepState s = t.step.state();
  CHECK(s.loss[63] < 0.3 * s.loss[0]);
}

TEST_CASE("train 10, save, train 10 more equals load, train 10") {
  const test::TempFolder folder;
  for (Device device : test::test_devices()) {
    const auto file = folder / "checkpoint.safetensors";
    Training straight(device);
    straight.run(10);
    save_checkpoint(file, std::array<StoredModel, 1>{{{"net.", &straight.store}}},
                    {.config = "{}", .training = straight.step.state(), .extra = {}});
    straight.run(10);

    Training resumed(device, 99);  // another seed: everything must come from the file
    resumed.run(1);
    const FileNotes notes = load_checkpoint(file, std::array<StoredModel, 1>{{{"net.", &resumed.store}}});
    resumed.step.resume(*notes.training);
    resumed.batches = 10;
    resumed.run(10);
    CHECK(resumed.everything() == straight.everything());
    CHECK(resumed.step.state().seed == 5);
  }
}

TEST_CASE("a step with a non-finite loss leaves no trace but in the counters") {
  for (Device device : test::test_devices()) {
    Training t(device);
    t.run(6);
    auto before = t.everything();
    const Tensor good = t.target.clone();
    const Tensor nan =
        Tensor::full(good.shape(), std::numeric_limits<double>::quiet_NaN(), DType::f32, device);
    t.target.copy_from(nan);  // the batch statistics of this step are finite
    t.step();
    t.target.copy_from(good);
    t.x.copy_from(Tensor::full(t.x.shape(), std::numeric_limits<double>::infinity(), DType::f32, device));
    t.step();
    auto after = t.everything();
    CHECK(after.back() == std::vector<double>{7, 6});  // steps 0..7, of which 6 updated
    CHECK(t.step.state().bad_steps == 2);
    before.pop_back();
    after.pop_back();
    CHECK(after == before);
    t.run(1);
    CHECK(t.step.state().bad_steps == 0);
    CHECK(t.step.state().updates == 7);
    CHECK(std::isfinite(t.step.state().loss[8]));
  }
}

TEST_CASE("a gradient that overflows under a finite loss leaves no trace either") {
  for (Device device : test::test_devices()) {
    Sequential net{Shape{2}, Linear(2, 1)};
    ParameterStore store(net, {.device = device, .ema = true});
    store.initialize(1);
    store.value().zero();
    const Tensor x = Tensor::full({kBatch, 2}, 1e38, DType::f32, device);
    const Tensor target = Tensor::full({kBatch, 1}, 10, DType::f32, device);
    TrainStep step(store, 1, {.lr = 0.1}, {}, [&](const StepState*) {
      return squared_error(net(x, {.training = true, .key = {}}), target, 1.0);
    });
    step();
    const StepState s = step.state();
    CHECK(std::isfinite(s.loss[0]));
    CHECK(s.bad_steps == 1);
    CHECK(s.updates == 0);
    for (double w : test::host(store.value())) CHECK(w == 0);
  }
}

TEST_CASE(
    "once warm, a step asks the system for no memory, and always for the same number of small objects") {
  Training t(kCpu);
  t.run(3);
  const auto misses = active_pool(kCpu)->stats().misses;
  std::vector<long> counts;
  for (int i = 0; i < 8; ++i) {
    const long before = news;
    t.step();
    counts.push_back(news - before);
  }
  CHECK(active_pool(kCpu)->stats().misses == misses);
  for (long c : counts) CHECK(c == counts.front());
  MESSAGE("operator new calls per step: " << counts.front());
}

}  // namespace
}  // namespace mld::nn
