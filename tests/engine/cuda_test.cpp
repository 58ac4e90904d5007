// What only the cuda device has: its drivers at sizes that split, products and convolutions against plain
// loops, precisions, running out of memory, and its random numbers. Without a cuda device nothing here runs.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/precision.h"
#include "engine/cuda/runtime.h"
#include "engine/kernels/gemm_naive.h"
#include "engine/loops/drivers.h"
#include "engine/ops/linear.h"
#include "engine/ops/random.h"
#include "engine/runtime/devices.h"
#include "tests/engine/cuda_test.h"
#include "tests/engine/kernel_operands.h"
#include "tests/engine/op_test.h"
#include "tests/expect_error.h"
#if MLD_CUDA
#include "engine/cuda/stream.h"
#include "engine/kernels/cuda/gemm.h"
#endif

namespace mld {
namespace {

using i64 = std::int64_t;
using test::contains;
using test::error_of;

TEST_CASE("devices are chosen by name; what is missing is said in one sentence") {
  CHECK(choose_device("cpu") == kCpu);
  CHECK(choose_device("sim") == kSim);
  CHECK(contains(error_of(ErrorKind::usage, [] { choose_device("gpu"); }), "auto, cpu, cuda"));
  for (const char* name : {"", "CPU", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cuda:99999999999", "cudax"}) {
    const std::string message = error_of(ErrorKind::usage, [&] { choose_device(name); });
    CHECK(contains(message, cat("'", name, "'")));
  }
  if (test::has_cuda()) {
    CHECK(choose_device("cuda") == kCuda);
    CHECK(choose_device("cuda:0") == kCuda);
    CHECK(contains(error_of(ErrorKind::device, [] { choose_device("cuda:15"); }), "numbered from 0"));
    CHECK(why_no_cuda().empty());
    // The emulation is there for tests only: nobody gets it without asking.
    CHECK(choose_device("auto") == (MLD_CUDA_EMULATED ? kCpu : kCuda));
  } else {
    CHECK(choose_device("auto") == kCpu);
    const std::string message = error_of(ErrorKind::device, [] { choose_device("cuda"); });
    CHECK(contains(message, why_no_cuda()));
    CHECK(message.find('\n') == std::string::npos);
  }
  if (!kCudaBuilt)
    CHECK(contains(error_of(ErrorKind::device, [] { Tensor::zeros({1}, DType::f32, kCuda); }),
                   "-DMLD_CUDA=ON"));
}

TEST_CASE("precision: names, and a cpu that computes in f32 whatever is chosen") {
  for (const Precision p : {Precision::fp32, Precision::tf32, Precision::bf16})
    CHECK(parse_precision(precision_name(p)) == p);
  for (const char* name : {"", "fp8", "FP32", "bf16 "})
    CHECK(contains(error_of(ErrorKind::usage, [&] { parse_precision(name); }), "fp32, tf32, bf16"));
  const Precision before = precision();
  const Tensor a = test::random({9, 40}, 1).to(DType::f32), b = test::random({5, 40}, 2).to(DType::f32);
  const Tensor want = matmul(Var(a), Var(b), false, true).value;
  set_precision(Precision::bf16);
  CHECK(precision() == Precision::bf16);
  CHECK(test::same_bits(matmul(Var(a), Var(b), false, true).value, want));
  set_precision(before);
}

#if MLD_CUDA

// Integers: every sum is exact whatever its order.
struct SumAndCount {
  struct Acc {
    double sum;
    i64 count;
  };
  const float* x;
  i64 extent;
  float* sums;
  std::int32_t* counts;
  MLD_HD Acc zero() const { return {0, 0}; }
  MLD_HD Acc load(i64 out, i64 j) const { return {static_cast<double>(x[out * extent + j]), 1}; }
  MLD_HD Acc join(Acc a, Acc b) const { return {a.sum + b.sum, a.count + b.count}; }
  MLD_HD void store(i64 out, Acc a) const {
    sums[out] = static_cast<float>(a.sum);
    counts[out] = static_cast<std::int32_t>(a.count);
  }
};

struct ColumnTotal {
  using Acc = float;
  const float* x;
  i64 columns;
  float* out;
  MLD_HD Acc zero() const { return 0; }
  MLD_HD Acc load(i64 column, i64 row) const { return x[row * columns + column]; }
  MLD_HD Acc join(Acc a, Acc b) const { return a + b; }
  MLD_HD void store(i64 column, Acc a) const { out[column] = a; }
};

struct ColumnTotals {
  const float* x;
  i64 rows, columns;
  float* out;
  MLD_HD ColumnTotal operator()(i64 b) const { return {x + b * rows * columns, columns, out + b * columns}; }
};

struct RowTotal {  // twice through a row, with a value of another thread in between
  const float* x;
  i64 columns;
  float *work, *out;
  template <class Team>
  MLD_HD void operator()(i64 row, const Team& team) const {
    const float* from = x + row * columns;
    float* to = work + row * columns;
    const i64 n = columns;
    team.each(n, [=](i64 j) { to[j] = 2 * from[j]; });
    team.sync();
    const float sum = team.fold(
        n, 0.0f, [=](i64 j) { return to[n - 1 - j]; }, Plus{});
    const float largest = team.fold(
        n, -1e30f, [=](i64 j) { return from[j]; }, Larger{});
    team.once([&] { out[row] = sum + largest; });
  }
};

TEST_CASE("drivers: every element once, at sizes that fill no block, one part and many") {
  if (!test::has_cuda()) return;
  for (const i64 outs : {1, 3, 70})
    for (const i64 extent : {0, 1, 31, 513, 8192, 8193, 40'000}) {
      CAPTURE(outs);
      CAPTURE(extent);
      const test::Floats v = test::integers(outs * extent, 7);
      const Tensor x = test::upload(v), sums = Tensor::full({outs}, 99, DType::f32, kCuda),
                   counts = Tensor::full({outs}, 99, DType::i32, kCuda);
      reduce(kCuda, outs, extent,
             SumAndCount{x.ptr<float>(), extent, sums.ptr<float>(), counts.ptr<std::int32_t>()});
      const test::Floats got = test::download(sums);
      for (i64 o = 0; o < outs; ++o) {
        double want = 0;
        for (i64 j = 0; j < extent; ++j)
          want += static_cast<double>(v[static_cast<std::size_t>(o * extent + j)]);
        CHECK(static_cast<double>(got[static_cast<std::size_t>(o)]) == want);
        CHECK(counts.to(kCpu).data<std::int32_t>()[o] == extent);
      }
    }
  for (const i64 batch : {1, 2})
    for (const i64 rows : {0, 1, 128, 256, 257, 1000})
      for (const i64 columns : {1, 31, 33, 70}) {
        CAPTURE(batch);
        CAPTURE(rows);
        CAPTURE(columns);
        const test::Floats v = test::integers(batch * rows * columns, 8);
        const Tensor x = test::upload(v), out = Tensor::full({batch * columns}, 99, DType::f32, kCuda);
        reduce_columns(kCuda, batch, rows, columns,
                       ColumnTotals{x.ptr<float>(), rows, columns, out.ptr<float>()});
        test::Floats want(static_cast<std::size_t>(batch * columns));
        for (std::size_t i = 0; i < v.size(); ++i)
          want[i / static_cast<std::size_t>(rows * columns) * static_cast<std::size_t>(columns) +
               i % static_cast<std::size_t>(columns)] += v[i];
        CHECK(test::download(out) == want);
      }
  for (const i64 rows : {1, 9, 300})
    for (const i64 columns : {1, 40, 512, 513, 2000}) {
      CAPTURE(rows);
      CAPTURE(columns);
      const test::Floats v = test::integers(rows * columns, 9);
      const Tensor x = test::upload(v), work = test::upload(v),
                   out = Tensor::full({rows}, 99, DType::f32, kCuda);
      for_each_row(kCuda, rows, columns,
                   RowTotal{x.ptr<float>(), columns, work.ptr<float>(), out.ptr<float>()});
      const test::Floats got = test::download(out);
      for (i64 r = 0; r < rows; ++r) {
        float sum = 0, largest = -1e30f;
        for (i64 j = 0; j < columns; ++j) {
          const float value = v[static_cast<std::size_t>(r * columns + j)];
          sum += 2 * value;
          largest = std::max(largest, value);
        }
        CHECK(got[static_cast<std::size_t>(r)] == sum + largest);
      }
    }
}

TEST_CASE(
    "products: all transposes, odd leading dimensions and places in memory, bias, sums onto something") {
  if (!test::has_cuda()) return;
  struct Case {
    i64 batch, m, n, k, pad, offset;
  };
  for (const Case& c : {Case{1, 5, 7, 3, 0, 0}, Case{1, 128, 96, 64, 0, 0}, Case{3, 4, 9, 8, 2, 1},
                        Case{2, 1, 1, 1, 3, 5}, Case{1, 17, 33, 0, 1, 0}})
    for (int flags = 0; flags < 16; ++flags) {
      const bool ta = flags & 1, tb = flags & 2, with_bias = flags & 4, with_add = flags & 8;
      CAPTURE(flags);
      CAPTURE(c.m);
      const i64 lda = (ta ? c.m : c.k) + c.pad, ldb = (tb ? c.k : c.n) + c.pad, ldc = c.n + c.pad;
      const i64 size_a = lda * (ta ? c.k : c.m), size_b = ldb * (tb ? c.n : c.k), size_c = ldc * c.m;
      const test::Floats a = test::integers(c.batch * size_a + c.offset, 1),
                         b = test::integers(c.batch * size_b + c.offset, 2), bias = test::integers(c.n, 3);
      test::Floats want = test::integers(c.batch * size_c + c.offset, 4);
      const Tensor da = test::upload(a), db = test::upload(b), dbias = test::upload(bias),
                   dc = test::upload(want);
      cuda::gemm<float>(kCuda, {.batch = c.batch,
                                .m = c.m,
                                .n = c.n,
                                .k = c.k,
                                .a = {da.ptr<float>() + c.offset, lda, ta},
                                .b = {db.ptr<float>() + c.offset, ldb, tb},
                                .c = dc.ptr<float>() + c.offset,
                                .ldc = ldc,
                                .add = with_add ? dc.ptr<float>() + c.offset : nullptr,
                                .bias = with_bias ? dbias.ptr<float>() : nullptr,
                                .stride_a = size_a,
                                .stride_b = size_b,
                                .stride_c = size_c});
      for (i64 p = 0; p < c.batch; ++p) {
        float* at = want.data() + c.offset + p * size_c;
        naive::gemm<float>(
            c.m, c.n, c.k, {a.data() + c.offset + p * size_a, lda, ta},
            {b.data() + c.offset + p * size_b, ldb, tb}, at, ldc,
            {.bias = with_bias ? bias.data() : nullptr, .add = with_add ? at : nullptr, .add_ld = ldc});
      }
      CHECK(test::download(dc) == want);
    }
}

TEST_CASE("precision: operands are rounded as asked, and no more than that") {
  if (!test::has_cuda()) return;
  const Tensor a = test::random({64, 256}, 1), b = test::random({32, 256}, 2);
  const Tensor want = matmul(Var(a), Var(b), false, true).value;
  struct Limit {
    Precision precision;
    double relative;  // ||got - want|| / ||want||: two operands with 24, 11 or 8 bits, rounded at random
  };
  double last = 0;
  for (const Limit& limit :
       {Limit{Precision::fp32, 1e-6}, Limit{Precision::tf32, 1e-3}, Limit{Precision::bf16, 1e-2}}) {
    CAPTURE(precision_name(limit.precision));
    set_precision(limit.precision);
    const Tensor got =
        matmul(Var(a.to(DType::f32).to(kCuda)), Var(b.to(DType::f32).to(kCuda)), false, true).value.to(kCpu);
    double error = 0, norm = 0;
    for (i64 i = 0; i < got.numel(); ++i) {
      error += std::pow(static_cast<double>(got.data<float>()[i]) - want.data<double>()[i], 2);
      norm += std::pow(want.data<double>()[i], 2);
    }
    const double relative = std::sqrt(error / norm);
    CHECK(relative < limit.relative);
    // A library may take a finer arithmetic than it was allowed for a product as small as this.
    if (MLD_CUDA_EMULATED) CHECK(relative > last);
    last = relative;
  }
  set_precision(Precision::fp32);
}

#if MLD_CUDA_EMULATED
TEST_CASE("products that the library has no algorithm for: done in other ways, the same, and said once") {
  const i64 n = 6, k = 7;
  const test::Floats b = test::integers(k * n, 2), bias = test::integers(n, 3);
  i64 kind = 0;  // every product of another shape is planned anew
  const auto check = [&](Precision arithmetic, const cuda::emulation::BlasRefuses& refuses,
                         const char* says) {
    test::Notes notes;
    ++kind;
    const i64 rows = 5 + kind;
    const test::Floats x = test::integers(rows * k, 1), onto = test::integers(rows * n, 4);
    const Tensor da = test::upload(x), db = test::upload(b), dbias = test::upload(bias),
                 dadd = test::upload(onto);
    for (const bool apart : {true, false})
      for (int again = 0; again < 2; ++again) {
        const Tensor out = test::upload(onto);
        set_precision(arithmetic);
        cuda::emulation::set_blas_refuses(refuses);
        cuda::gemm<float>(kCuda, {.m = rows,
                                  .n = n,
                                  .k = k,
                                  .a = {da.ptr<float>(), k, false},
                                  .b = {db.ptr<float>(), n, false},
                                  .c = out.ptr<float>(),
                                  .ldc = n,
                                  .add = apart ? dadd.ptr<float>() : out.ptr<float>(),
                                  .bias = dbias.ptr<float>()});
        set_precision(Precision::fp32);
        cuda::emulation::set_blas_refuses({});
        test::Floats want = onto;
        naive::gemm<float>(rows, n, k, {x.data(), k, false}, {b.data(), n, false}, want.data(), n,
                           {.bias = bias.data(), .add = onto.data(), .add_ld = n});
        CHECK(test::download(out) == want);
      }
    const std::string said = notes.lines.empty() ? "" : notes.lines[0];
    CHECK_MESSAGE(contains(said, says), said);
    CHECK(notes.lines.size() == (*says ? 1 : 0));
  };
  check(Precision::fp32, {}, "");
  check(Precision::fp32, {.first = true}, "");
  check(Precision::fp32, {.bias = true}, "with a bias in fp32 as asked; the bias is added after it");
  check(Precision::fp32, {.bias_apart = true}, "the bias is added after it");
  check(Precision::bf16, {.bias = true}, "with a bias in bf16 as asked; the bias is added after it");
  check(Precision::bf16, {.bf16 = true}, "it is computed in f32");
  check(Precision::bf16, {.bias = true, .bf16 = true}, "it is computed in f32");
  check(Precision::bf16, {.bias_apart = true, .bf16 = true}, "it is computed in f32");
}

TEST_CASE("a step that is recorded meets no product for the first time, and no other thread's work") {
  const Tensor x = Tensor::full({3, 11}, 1, DType::f32, kCuda);
  CHECK(contains(
      error_of(ErrorKind::internal,
               [&] {
                 cuda::begin_capture(kCuda);
                 try {
                   (void)matmul(Var(x), Var(x), false, true);
                 } catch (...) {
                   cuda::abandon_capture(kCuda);
                   throw;
                 }
               }),
      "a product of [3,11] and [11,3] in fp32 is met for the first time while a step is being recorded"));
  cuda::begin_capture(kCuda);
  std::string message;
  std::thread([&] {
    try {
      cuda::zero(kCuda, x.raw(), 4);
    } catch (const Error& error) {
      message = error.what();
    }
  }).join();
  cuda::end_capture(kCuda);
  CHECK(contains(message, "another thread records a step"));
  CHECK(x.to(kCpu).data<float>()[0] == 1);
}

TEST_CASE("a GPU that a kernel has put out of use is told from one call that failed") {
  const auto message = [] {
    return error_of(ErrorKind::device, [] { cuda::fail_call("cudaSomething", cudaErrorInvalidValue); });
  };
  (void)Tensor::full({1}, 1, DType::f32, kCuda);
  CHECK(contains(message(), "cuda: cudaSomething: "));
  CHECK_FALSE(contains(message(), "any more"));
  cuda::emulation::set_sick(true);
  CHECK(contains(message(), "the GPU cannot be used by this process any more"));
  cuda::emulation::set_sick(false);
  CHECK_FALSE(contains(message(), "any more"));
}

TEST_CASE("the program around may make another GPU current") {
  cuda::emulation::set_machine(2, CUDART_VERSION);
  const Tensor x = Tensor::full({4}, 2, DType::f32, kCuda);
  (void)cudaSetDevice(1);
  const Tensor y = x.clone();
  int current = -1;
  (void)cudaGetDevice(&current);
  CHECK(current == 0);
  CHECK(y.to(kCpu).data<float>()[3] == 2);
  cuda::emulation::set_machine(1, CUDART_VERSION);
}
#endif

TEST_CASE("out of memory: one error with asked, in use, peak and free; the process goes on") {
  if (!test::has_cuda()) return;
  const Tensor held = Tensor::full({1000}, 3, DType::f32, kCuda);
  const std::string message =
      error_of(ErrorKind::device, [] { Tensor::empty({i64{1} << 44}, DType::f32, kCuda); });
  CHECK(contains(message, "cuda:0 cannot provide 70368744177664 bytes"));
  CHECK(contains(message, "in use"));
  CHECK(contains(message, "peak"));
  CHECK(contains(message, "free on the GPU"));
  CHECK(contains(message, "smaller batch"));
  CHECK(held.to(kCpu).data<float>()[999] == 3);
  CHECK(Tensor::full({10}, 4, DType::f32, kCuda).to(kCpu).data<float>()[9] == 4);
}

#if MLD_CUDA_EMULATED
TEST_CASE("out of memory: what the default pool keeps is at the disposal of a step's own") {
  default_pool(kCuda)->drop_cache();
  const cuda::DeviceInfo now = cuda::device_info(0);
  cuda::emulation::set_memory_limit(now.total_bytes - now.free_bytes + 30'000'000);
  Tensor::empty({5'000'000}, DType::f32, kCuda);  // 20 MB that stay in the cache
  {
    const PoolScope scope(std::make_shared<Pool>(kCuda));
    CHECK(Tensor::full({6'000'000}, 2, DType::f32, kCuda).to(kCpu).data<float>()[5'999'999] == 2);
    CHECK_THROWS_AS(Tensor::empty({9'000'000}, DType::f32, kCuda), OutOfMemory);
  }
  cuda::emulation::set_memory_limit(0);
}

TEST_CASE("a machine without a GPU or driver, or with an old driver: one sentence says so") {
  struct Case {
    int devices, driver;
    const char* text;
  };
  for (const Case& c :
       {Case{0, CUDART_VERSION, "no NVIDIA GPU was found"}, Case{0, 0, "no NVIDIA driver is installed"},
        Case{1, 12040, "the NVIDIA driver supports CUDA 12.4, this program was built with"}}) {
    cuda::emulation::set_machine(c.devices, c.driver);
    CHECK(cuda::device_count() == 0);
    CHECK(contains(why_no_cuda(), c.text));
    CHECK(choose_device("auto") == kCpu);
    const std::string message = error_of(ErrorKind::device, [] { choose_device("cuda"); });
    CHECK(contains(message, c.text));
    CHECK(message.find('\n') == std::string::npos);
  }
  cuda::emulation::set_machine(1, CUDART_VERSION);
  CHECK(why_no_cuda().empty());
}

TEST_CASE(
    "out of memory: what is cached goes back before anything fails, and what fails leaves nothing behind") {
  constexpr i64 kMiB = i64{1} << 20;
  const auto take = [](i64 mib) { return Tensor::empty({mib * kMiB}, DType::u8, kCuda); };
  active_pool(kCuda)->drop_cache();
  const cuda::DeviceInfo now = cuda::device_info(0);
  cuda::emulation::set_memory_limit(now.total_bytes - now.free_bytes + static_cast<std::size_t>(8 * kMiB));
  take(6);  // goes to the cache
  {
    const Tensor all = take(8);
    const PoolStats before = active_pool(kCuda)->stats();
    const std::string message = error_of(ErrorKind::device, [&] { take(2); });
    CHECK(contains(message, "cannot provide 2097152 bytes"));
    CHECK(contains(message, "free on the GPU 0"));
    const PoolStats after = active_pool(kCuda)->stats();
    CHECK(after.bytes_in_use == before.bytes_in_use);
    CHECK(after.bytes_held == before.bytes_held);
  }
  CHECK(take(2).numel() == 2 * kMiB);
  cuda::emulation::set_memory_limit(0);
}
#endif

TEST_CASE("random numbers: uniforms have the cpu's bits, normals are a few ulp away") {
  if (!test::has_cuda()) return;
  const DrawKey key{.seed = 0x123456789abcdefu, .step = 77, .site = 5};
  const Tensor here = Tensor::empty({37, 101}), there = Tensor::empty({37, 101}, DType::f32, kCuda);
  fill_uniform(here, key);
  fill_uniform(there, key);
  CHECK(test::same_bits(here, there));
  fill_normal(here, key);
  fill_normal(there, key);
  const Tensor back = there.to(kCpu);
  for (i64 i = 0; i < here.numel(); ++i) {
    // 4 ulp of the radius: near a zero of the cosine the value is small and its ulp smaller.
    const float limit = 4 * 0x1p-23f * std::max(1.0f, std::fabs(here.data<float>()[i]));
    CHECK(std::fabs(here.data<float>()[i] - back.data<float>()[i]) <= limit);
  }
}

#endif

}  // namespace
}  // namespace mld
