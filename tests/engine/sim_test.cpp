#include "engine/memory/sim.h"

#include <doctest/doctest.h>

#include <cmath>
#include <memory>
#include <vector>

#include "engine/core/tape.h"
#include "engine/loops/drivers.h"
#include "engine/ops/layout.h"
#include "engine/ops/pointwise.h"
#include "engine/ops/reduction.h"
#include "engine/runtime/capture.h"
#include "engine/runtime/step_state.h"
#include "tests/engine/gradcheck.h"
#include "tests/expect_error.h"

namespace mld {
namespace {

using test::contains;
using test::error_of;

TEST_CASE("work runs at a synchronisation, in order; host reads before it are refused") {
  const Tensor t = Tensor::full({2}, 1, DType::f32, kSim);
  CHECK(pending(kSim));
  CHECK(contains(error_of(ErrorKind::internal, [&] { t.data<float>(); }), "synchronize"));
  CHECK(contains(error_of(ErrorKind::internal, [&] { t.view(0, {1}).item(); }), "synchronize"));
  float* p = t.ptr<float>();
  submit(kSim, [p] { p[0] = p[0] + 1; });
  submit(kSim, [p] { p[0] = p[0] * 10; });
  synchronize(kSim);
  CHECK_FALSE(pending(kSim));
  CHECK(t.data<float>()[0] == 20);
}

TEST_CASE("a value read after its block was freed is NaN") {
  const Tensor seen = Tensor::zeros({1}, DType::f32, kSim);
  const float* dangling = nullptr;
  {
    const Tensor t = Tensor::full({1}, 5, DType::f32, kSim);
    dangling = t.ptr<float>();
  }
  submit(kSim, [dangling, out = seen.ptr<float>()] { out[0] = *dangling; });
  synchronize(kSim);
  CHECK(std::isnan(seen.item()));
}

TEST_CASE("what may not happen inside a capture") {
  sim::begin_capture();
  CHECK(contains(error_of(ErrorKind::internal, [] { synchronize(kSim); }), "inside a captured step"));
  CHECK(contains(error_of(ErrorKind::internal, [] { sim::begin_capture(); }), "nest"));
  const Tensor t = Tensor::zeros({1}, DType::f32, kSim);
  CHECK(contains(error_of(ErrorKind::internal, [&] { t.item(); }), "synchronize"));
  CHECK(contains(error_of(ErrorKind::internal, [&] { t.to(kCpu); }), "captured"));
  sim::end_capture();
  CHECK(contains(error_of(ErrorKind::internal, [] { sim::end_capture(); }), "no capture"));
}

TEST_CASE("by-value arguments of a recorded step freeze, addresses are read again") {
  const Tensor in = Tensor::full({1}, 1, DType::f32, kSim), out = Tensor::zeros({1}, DType::f32, kSim);
  synchronize(kSim);
  float host = 10;
  sim::begin_capture();
  submit(kSim, [a = in.ptr<float>(), b = out.ptr<float>(), host] { b[0] = a[0] + host; });
  const sim::Queue recorded = sim::end_capture();
  synchronize(kSim);
  CHECK(out.item() == 0);  // recorded, not run
  host = 20;
  in.copy_from(Tensor::full({1}, 2, DType::f32, kSim));
  sim::replay(recorded);
  synchronize(kSim);
  CHECK(out.item() == 12);
}

struct Descend {
  float* p;
  const float* g;
  const StepState* s;
  MLD_HD void operator()(std::int64_t i) const { p[i] = p[i] - static_cast<float>(s->lr) * g[i]; }
};

// A small train step: forward with temporaries, backward into a parameter, update from a
// rate in device memory.
struct Program {
  Device device;
  Tensor w, x, target, loss;
  GradSink sink;
  StepCounter counter;

  explicit Program(Device d)
      : device(d),
        w(Tensor::full({8}, 0.25, DType::f32, d)),
        x(test::random({16, 8}, 3).to(DType::f32).to(d)),
        target(test::random({16, 8}, 4).to(DType::f32).to(d)),
        loss(Tensor::zeros({1}, DType::f32, d)),
        sink{Tensor::zeros({8}, DType::f32, d)},
        counter(1, {.lr = 0.05, .warmup = 3}, 0.9, 0.999, d) {}

  void step() {
    counter.tick();
    sink.written = false;
    {
      Tape tape;
      const Var weight(w, tape.leaf(&sink));
      const Var hidden = silu(mul(x, weight));
      const Var skip = concat(std::vector<Var>{hidden, Var(x)}, 1);
      const Var y = add(slice(skip, 1, 0, 8), mul(slice(skip, 1, 8, 8), weight));
      const Var result = squared_error(y, target, 1.0 / 16);
      counter.judge(result.value);
      tape.backward(result);
      loss.copy_from(result.value);
    }
    for_each(device, 8, Descend{w.ptr<float>(), sink.grad.ptr<float>(), counter.ptr()});
    counter.commit();
  }

  std::vector<float> state() const {
    std::vector<float> all;
    for (const Tensor& t : {w, sink.grad, loss}) {
      const Tensor host = t.to(kCpu);
      all.insert(all.end(), host.span<float>().begin(), host.span<float>().end());
    }
    return all;
  }
};

TEST_CASE("a captured step equals the eager one bit for bit, on every device") {
  constexpr int kSteps = 10;
  for (const Device device : test::test_devices()) {
    // On sim the bits are the cpu's; on cuda those of an eager run there.
    Program eager(device.kind == DeviceKind::cuda ? device : kCpu);
    std::vector<std::vector<float>> want;
    for (int i = 0; i < kSteps; ++i) {
      eager.step();
      want.push_back(eager.state());
    }
    CHECK(want.back()[16] < want.front()[16]);  // it learns
    Program program(device);
    CapturedStep step(device, [&] { program.step(); });
    int replayed = 0;
    for (int i = 0; i < kSteps; ++i) {
      CAPTURE(i);
      replayed += step.captured();
      step();
      CHECK(program.state() == want[static_cast<std::size_t>(i)]);
    }
    CHECK(program.counter.read().updates == kSteps);
    CHECK(replayed ==
          (device.kind == DeviceKind::cpu ? 0 : kSteps - 3));  // cold, warm, recorded, then replays
  }
}

TEST_CASE("replays allocate nothing, and nobody else gets the step's memory") {
  for (const Device device : test::queued_devices()) {
    const auto outside = active_pool(device);
    Program program(device);
    CapturedStep step(device, [&] { program.step(); });
    while (!step.captured()) step();
    synchronize(device);
    const PoolStats before = outside->stats();
    step();
    step();
    CHECK(outside->stats().hits + outside->stats().misses == before.hits + before.misses);
    const std::vector<float> state = program.state();
    const Tensor other = Tensor::full({16, 8}, 1e9, DType::f32, device);
    step();
    CHECK(other.to(kCpu).data<float>()[127] == 1e9f);
    CHECK(program.state() != state);
  }
}

TEST_CASE("a step that keeps asking for new memory is never recorded") {
  for (const Device device : test::queued_devices()) {
    std::vector<Tensor> hoard;
    CapturedStep step(device, [&] { hoard.push_back(Tensor::zeros({4}, DType::f32, device)); });
    for (int i = 0; i < 5; ++i) step();
    CHECK_FALSE(step.captured());
    synchronize(device);
  }
}

TEST_CASE("an error inside a recording ends it") {
  for (const Device device : test::queued_devices()) {
    int calls = 0;
    CapturedStep step(device, [&] {
      const Tensor t = Tensor::zeros({4}, DType::f32, device);
      if (++calls == 3) synchronize(device);
    });
    step();
    step();
    if (device == kSim)
      CHECK(contains(error_of(ErrorKind::internal, [&] { step(); }), "inside a captured step"));
    else
      CHECK(contains(error_of(ErrorKind::device, [&] { step(); }), "capturing"));
    CHECK_FALSE(sim::capturing());
    step();
    CHECK(step.captured());
    synchronize(device);
  }
}

}  // namespace
}  // namespace mld
