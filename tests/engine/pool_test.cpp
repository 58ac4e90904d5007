#include "engine/memory/pool.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "engine/core/tape.h"
#include "engine/memory/sim.h"
#include "engine/ops/pointwise.h"
#include "engine/ops/reduction.h"
#include "tests/engine/gradcheck.h"
#include "tests/expect_error.h"

namespace mld {
namespace {

TEST_CASE("a block comes back for a request of its size class, and no other") {
  const auto pool = std::make_shared<Pool>(kCpu);
  void* a = pool->allocate(700);
  pool->release(a, 700);
  CHECK(pool->allocate(1000) == a);  // both 1024
  CHECK(pool->stats().hits == 1);
  void* b = pool->allocate(1025);
  CHECK(b != a);
  CHECK(pool->stats().misses == 2);
  pool->release(a, 1000);
  void* c = pool->allocate(512);
  CHECK(c != a);
  CHECK(pool->stats().misses == 3);
  pool->release(b, 1025);
  pool->release(c, 512);
}

TEST_CASE("size classes and alignment") {
  const auto pool = std::make_shared<Pool>(kCpu);
  constexpr std::int64_t kMiB = 1 << 20;
  const std::vector<std::pair<std::int64_t, std::int64_t>> rounded{
      {0, 512}, {1, 512}, {512, 512}, {513, 1024}, {kMiB, kMiB}, {kMiB + 1, 2 * kMiB}, {5 * kMiB, 6 * kMiB}};
  for (const auto& request : rounded) {
    const auto bytes = static_cast<std::size_t>(request.first);
    CAPTURE(bytes);
    void* block = pool->allocate(bytes);
    CHECK(pool->stats().bytes_in_use == request.second);
    CHECK(reinterpret_cast<std::uintptr_t>(block) % 64 == 0);
    pool->release(block, bytes);
    CHECK(pool->stats().bytes_in_use == 0);
  }
  CHECK(pool->stats().peak_in_use == 6 * kMiB);
  CHECK(pool->stats().bytes_held == 512 + 1024 + kMiB + 2 * kMiB + 6 * kMiB);
  pool->drop_cache();
  CHECK(pool->stats().bytes_held == 0);
}

#if !defined(__SANITIZE_ADDRESS__)  // which stops the program instead
TEST_CASE("running out of memory is an error that says so, and leaves the pool usable") {
  const auto pool = std::make_shared<Pool>(kCpu);
  const std::string message =
      test::error_of(ErrorKind::device, [&] { pool->allocate(std::size_t{1} << 62); });
  CHECK(test::contains(message, "smaller batch"));
  CHECK(pool->stats().bytes_in_use == 0);
  CHECK(pool->stats().peak_in_use == 0);  // of what was had, not of what was asked for
  void* block = pool->allocate(1);
  CHECK(block != nullptr);
  pool->release(block, 1);
}
#endif

TEST_CASE("a step asks the system for memory only the first time") {
  for (const Device device : test::test_devices()) {
    const auto pool = std::make_shared<Pool>(device);
    {
      const PoolScope scope(pool);
      GradSink sink{Tensor::zeros({64}, DType::f32, device)};
      const Tensor w = Tensor::full({64}, 0.1, DType::f32, device),
                   x = Tensor::full({50, 64}, 2, DType::f32, device);
      const auto step = [&] {
        sink.written = false;
        Tape tape;
        const Var y = silu(mul(x, Var(w, tape.leaf(&sink))));
        tape.backward(mean(square(y)));
      };
      step();
      const PoolStats warm = pool->stats();
      for (int i = 0; i < 5; ++i) step();
      CHECK(pool->stats().misses == warm.misses);
      CHECK(pool->stats().hits > warm.hits);
      CHECK(pool->stats().bytes_in_use == warm.bytes_in_use);
      CHECK(pool->stats().peak_in_use == warm.peak_in_use);
    }
    synchronize(device);
    CHECK(pool->stats().bytes_in_use == 0);
  }
}

TEST_CASE("scopes nest, and redirect only their own device") {
  const auto outer = std::make_shared<Pool>(kCpu), inner = std::make_shared<Pool>(kCpu),
             sim = std::make_shared<Pool>(kSim);
  {
    const PoolScope a(outer);
    const PoolScope b(sim);
    CHECK(active_pool(kCpu) == outer);
    CHECK(active_pool(kSim) == sim);
    {
      const PoolScope c(inner);
      CHECK(active_pool(kCpu) == inner);
      CHECK(active_pool(kSim) == sim);
    }
    CHECK(active_pool(kCpu) == outer);
  }
  CHECK(active_pool(kCpu) != outer);
  CHECK(active_pool(kSim) != sim);
}

TEST_CASE("memory goes back to the pool it came from, which lives as long") {
  Tensor kept;
  {
    const auto pool = std::make_shared<Pool>(kCpu);
    const PoolScope scope(pool);
    kept = Tensor::full({4}, 3);
  }
  CHECK(kept.data<float>()[3] == 3);
}

TEST_CASE("sim: a freed block is filled with NaN in stream order") {
  const auto pool = std::make_shared<Pool>(kSim);
  auto* block = static_cast<unsigned char*>(pool->allocate(512));
  std::memset(block, 1, 512);
  pool->release(block, 512);
  CHECK(block[0] == 1);  // the fill is queued behind the work that still uses the block
  sim::run_queue();
  CHECK(block[0] == 0xff);
  CHECK(block[511] == 0xff);
}

}  // namespace
}  // namespace mld
