#include "engine/runtime/prefetch.h"

#include <doctest/doctest.h>

#include <atomic>
#include <numeric>

#include "engine/ops/reduction.h"
#include "engine/runtime/capture.h"
#include "tests/devices.h"
#include "tests/expect_error.h"

namespace mld {
namespace {

using test::contains;
using test::error_of;

constexpr std::int64_t kSize = 1000;

// Element i of step s: 1000 s + i; one more tensor holds s.
void fill_with_step(std::int64_t step, std::span<const Tensor> host) {
  const auto x = host[0].span<float>();
  std::iota(x.begin(), x.end(), static_cast<float>(1000 * step));
  host[1].span<std::int32_t>()[0] = static_cast<std::int32_t>(step);
}

std::vector<Tensor> targets_on(Device device) {
  return {Tensor::zeros({kSize}, DType::f32, device), Tensor::zeros({1}, DType::i32, device)};
}

}  // namespace

TEST_CASE("prefetch: every step computes on its own batch, though the host runs ahead") {
  for (const Device device : test::queued_devices()) {
    CAPTURE(device);
    const std::vector<Tensor> targets = targets_on(device);
    Prefetch prefetch(targets, fill_with_step);
    std::vector<Tensor> kept, numbers;
    // In order, as a run that is resumed at step 3; then somewhere else.
    const std::vector<std::int64_t> steps{3, 4, 5, 6, 7, 8, 2, 3, 40};
    for (const std::int64_t step : steps) {
      prefetch(step);
      kept.push_back(targets[0].clone());
      numbers.push_back(targets[1].clone());
    }
    for (std::size_t k = 0; k < steps.size(); ++k) {
      const Tensor x = kept[k].to(kCpu);
      CHECK(numbers[k].to(kCpu).data<std::int32_t>()[0] == steps[k]);
      int wrong = 0;
      for (std::int64_t i = 0; i < kSize; ++i)
        wrong += x.data<float>()[i] != static_cast<float>(1000 * steps[k] + i);
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("prefetch: a batch that cannot be filled is an error of its step, not of the one before") {
  for (const Device device : test::queued_devices()) {
    CAPTURE(device);
    Prefetch prefetch(targets_on(device), [](std::int64_t step, std::span<const Tensor> host) {
      MLD_CHECK_AS(ErrorKind::io, step != 2, "step 2 cannot be read");
      fill_with_step(step, host);
    });
    prefetch(0);
    prefetch(1);
    CHECK(contains(error_of(ErrorKind::io, [&] { prefetch(2); }), "cannot be read"));
    prefetch(3);
    prefetch(1);  // and 2 is being filled when all ends
  }
}

TEST_CASE("prefetch: the next batch is filled while nobody asks for it") {
  std::atomic<std::int64_t> last = -1;
  const std::vector<Tensor> targets = targets_on(kSim);
  Prefetch prefetch(targets, [&](std::int64_t step, std::span<const Tensor>) {
    last = step;
    last.notify_all();
  });
  prefetch(0);
  last.wait(0);
  CHECK(last == 1);
}

}  // namespace mld
