// What only the cuda device has: its drivers at sizes that split, products and convolutions against plain
// loops, precisions, running out of memory, and its random numbers. Without a cuda device nothing here runs.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "engine/core/drivers.h"
#include "engine/cuda/runtime.h"
#include "engine/ops/conv_naive.h"
#include "engine/ops/gemm_naive.h"
#include "engine/ops/linear.h"
#include "engine/ops/random.h"
#include "engine/runtime/devices.h"
#include "engine/runtime/notes.h"
#include "engine/runtime/precision.h"
#include "op_test.h"
#include "tests/engine/kernel_operands.h"
#include "tests/engine/preset_layers.h"
#include "tests/expect_error.h"
#if MLD_CUDA
#include "engine/cuda/conv.h"
#include "engine/cuda/conv_cudnn.h"
#include "engine/cuda/conv_gemm.h"
#include "engine/cuda/gemm.h"
#include "engine/cuda/stream.h"
#endif

namespace mld {
namespace {

using i64 = std::int64_t;
using mld_test::contains;
using mld_test::error_of;

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

test::Floats download(const Tensor& t) {
  const Tensor host = t.to(kCpu);
  return {host.span<float>().begin(), host.span<float>().end()};
}

Tensor upload(const test::Floats& v) { return Tensor::from(v, {static_cast<i64>(v.size())}, kCuda); }

TEST_CASE("drivers: every element once, at sizes that fill no block, one part and many") {
  if (!test::has_cuda()) return;
  for (const i64 outs : {1, 3, 70})
    for (const i64 extent : {0, 1, 31, 513, 8192, 8193, 40'000}) {
      CAPTURE(outs);
      CAPTURE(extent);
      const test::Floats v = test::integers(outs * extent, 7);
      const Tensor x = upload(v), sums = Tensor::full({outs}, 99, DType::f32, kCuda),
                   counts = Tensor::full({outs}, 99, DType::i32, kCuda);
      reduce(kCuda, outs, extent,
             SumAndCount{x.ptr<float>(), extent, sums.ptr<float>(), counts.ptr<std::int32_t>()});
      const test::Floats got = download(sums);
      for (i64 o = 0; o < outs; ++o) {
        double want = 0;
        for (i64 j = 0; j < extent; ++j)
          want += static_cast<double>(v[static_cast<std::size_t>(o * extent + j)]);
        CHECK(static_cast<double>(got[static_cast<std::size_t>(o)]) == want);
        CHECK(counts.to(kCpu).data<std::int32_t>()[o] == extent);
      }
    }
  for (const i64 batch : {1, 2})
    for (const i64 rows : {0, 1, 128, 129, 1000})
      for (const i64 columns : {1, 31, 33, 70}) {
        CAPTURE(batch);
        CAPTURE(rows);
        CAPTURE(columns);
        const test::Floats v = test::integers(batch * rows * columns, 8);
        const Tensor x = upload(v), out = Tensor::full({batch * columns}, 99, DType::f32, kCuda);
        reduce_columns(kCuda, batch, rows, columns,
                       ColumnTotals{x.ptr<float>(), rows, columns, out.ptr<float>()});
        test::Floats want(static_cast<std::size_t>(batch * columns));
        for (std::size_t i = 0; i < v.size(); ++i)
          want[i / static_cast<std::size_t>(rows * columns) * static_cast<std::size_t>(columns) +
               i % static_cast<std::size_t>(columns)] += v[i];
        CHECK(download(out) == want);
      }
  for (const i64 rows : {1, 9, 300})
    for (const i64 columns : {1, 40, 512, 513, 2000}) {
      CAPTURE(rows);
      CAPTURE(columns);
      const test::Floats v = test::integers(rows * columns, 9);
      const Tensor x = upload(v), work = upload(v), out = Tensor::full({rows}, 99, DType::f32, kCuda);
      for_each_row(kCuda, rows, columns,
                   RowTotal{x.ptr<float>(), columns, work.ptr<float>(), out.ptr<float>()});
      const test::Floats got = download(out);
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
      const Tensor da = upload(a), db = upload(b), dbias = upload(bias), dc = upload(want);
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
      CHECK(download(dc) == want);
    }
}

// One of the two callers, on all three kernels.
// `tolerance` 0: sums of integers are exact. Winograd and FFT algorithms round even on integers.
template <class Forward, class Data, class Weights>
void check_convolution(const ConvDims& s, double tolerance, const Forward& forward, const Data& data,
                       const Weights& weights) {
  const auto same = [&](const Tensor& got, const test::Floats& expected) {
    if (tolerance == 0)
      CHECK(download(got) == expected);
    else
      test::check_near(got, Tensor::from(expected, {static_cast<i64>(expected.size())}), tolerance);
  };
  const i64 xs = s.n * s.h * s.w * s.in, ws = s.out * s.kh * s.kw * s.in,
            ys = s.n * s.out_h() * s.out_w() * s.out;
  const test::Floats x = test::integers(xs, 1), w = test::integers(ws, 2), dy = test::integers(ys, 3),
                     bias_out = test::integers(s.out, 4), bias_in = test::integers(s.in, 5);
  const Tensor dx = upload(x), dw = upload(w), ddy = upload(dy), dbo = upload(bias_out),
               dbi = upload(bias_in);
  test::Floats want(static_cast<std::size_t>(ys));
  const Tensor y = Tensor::full({ys}, 99, DType::f32, kCuda);
  forward(dx.ptr<float>(), dw.ptr<float>(), dbo.ptr<float>(), y.ptr<float>());
  naive::conv_forward<float>(s, x.data(), w.data(), bias_out.data(), {}, want.data());
  same(y, want);
  for (const bool add : {false, true}) {
    CAPTURE(add);
    want = x;
    const Tensor gx = upload(x);
    data(ddy.ptr<float>(), dw.ptr<float>(), add ? nullptr : dbi.ptr<float>(), add, gx.ptr<float>());
    naive::conv_backward_data<float>(s, dy.data(), w.data(), add ? nullptr : bias_in.data(), {}, add,
                                     want.data());
    same(gx, want);
    want = w;
    const Tensor gw = upload(w);
    weights(dx.ptr<float>(), ddy.ptr<float>(), add, gw.ptr<float>());
    naive::conv_backward_weights<float>(s, x.data(), dy.data(), add, want.data());
    same(gw, want);
  }
}

std::vector<ConvDims> convolutions() {
  std::vector<ConvDims> all(std::begin(test::kPresetLayers), std::end(test::kPresetLayers));
  all.push_back({2, 5, 7, 3, 4, 3, 2, 2, 3, 1, 1});  // odd everything, uneven strides
  all.push_back({2, 9, 1, 5, 2, 4, 1, 3, 1, 2, 0});
  all.push_back({3, 6, 5, 2, 3, 6, 5, 1, 1, 0, 0});  // full extent
  return all;
}

TEST_CASE("convolutions by patches and products: the layers of the presets and odd ones, exactly") {
  if (!test::has_cuda()) return;
  for (const ConvDims& s : convolutions()) {
    CAPTURE(s.h);
    CAPTURE(s.in);
    CAPTURE(s.out);
    CAPTURE(s.kh);
    check_convolution(
        s, 0,
        [&](const float* x, const float* w, const float* bias, float* y) {
          cuda::by_gemm::conv_forward<float>(kCuda, s, x, w, bias, y);
        },
        [&](const float* dy, const float* w, const float* bias, bool add, float* dx) {
          cuda::by_gemm::conv_backward_data<float>(kCuda, s, dy, w, bias, add, dx);
        },
        [&](const float* x, const float* dy, bool add, float* dw) {
          cuda::by_gemm::conv_backward_weights<float>(kCuda, s, x, dy, add, dw);
        });
  }
}

void check_chosen_convolution(const ConvDims& s, double tolerance) {
  check_convolution(
      s, tolerance,
      [&](const float* x, const float* w, const float* bias, float* y) {
        cuda::conv_forward<float>(kCuda, s, x, w, bias, y);
      },
      [&](const float* dy, const float* w, const float* bias, bool add, float* dx) {
        cuda::conv_backward_data<float>(kCuda, s, dy, w, bias, add, dx);
      },
      [&](const float* x, const float* dy, bool add, float* dw) {
        cuda::conv_backward_weights<float>(kCuda, s, x, dy, add, dw);
      });
}

TEST_CASE("convolutions by the caller that was chosen: the same") {
  if (!test::has_cuda()) return;
  for (const ConvDims& s : convolutions()) {
    CAPTURE(s.h);
    CAPTURE(s.in);
    CAPTURE(s.out);
    CAPTURE(s.kh);
    check_chosen_convolution(s, 1e-4);
  }
}

// Notes of the engine while it lives.
struct Notes {
  std::vector<std::string> lines;
  Notes() {
    set_note_handler([this](const std::string& line) { lines.push_back(line); });
  }
  ~Notes() { set_note_handler({}); }
  Notes(const Notes&) = delete;
  Notes& operator=(const Notes&) = delete;
};

#if MLD_CUDA_EMULATED
TEST_CASE(
    "convolutions that cuDNN promises and refuses: done by products, with and without adding, said once") {
  cuda::emulation::set_later_is_faster(true);  // cuDNN's would be taken
  ConvDims s{2, 6, 9, 3, 4, 3, 3, 1, 1, 1, 1};
  check_chosen_convolution(s, 0);
  Notes notes;
  s.n = 3;
  cuda::emulation::set_dnn_refuses(3000);
  check_chosen_convolution(s, 0);  // never chosen
  s.n = 2;
  check_chosen_convolution(s, 0);  // chosen before
  const std::size_t said = notes.lines.size();
  CHECK(said == 6);
  CHECK(contains(notes.lines[0],
                 "cuDNN 9.12.0 does not do a convolution that it offers (forward, 3x6x9x3 to 4"));
  CHECK(contains(notes.lines[0], "CUDNN_STATUS_NOT_SUPPORTED"));
  check_chosen_convolution(s, 0);
  CHECK(notes.lines.size() == said);
  // A failure at work is none to go on after.
  s.n = 4;
  cuda::emulation::set_dnn_refuses(5000);
  CHECK(contains(error_of(ErrorKind::device, [&] { check_chosen_convolution(s, 0); }),
                 "CUDNN_STATUS_EXECUTION_FAILED"));
  cuda::emulation::set_dnn_refuses(0);
  cuda::emulation::set_later_is_faster(false);
}
#endif

TEST_CASE("convolutions by cuDNN: where it takes the shape, the same") {
  if (!test::has_cuda()) return;
  int taken = 0;
  for (const ConvDims& s : convolutions()) {
    using cuda::ConvKind;
    CAPTURE(s.h);
    CAPTURE(s.in);
    CAPTURE(s.out);
    CAPTURE(s.kh);
    const auto supported = [&](ConvKind kind) { return cuda::by_cudnn::supported(kCuda, kind, s); };
    const i64 xs = s.n * s.h * s.w * s.in, ws = s.out * s.kh * s.kw * s.in,
              ys = s.n * s.out_h() * s.out_w() * s.out;
    const test::Floats x = test::integers(xs, 1), w = test::integers(ws, 2), dy = test::integers(ys, 3);
    const Tensor dx = upload(x), dw = upload(w), ddy = upload(dy);
    const auto check = [&](ConvKind kind, const Tensor& first, const Tensor& second, const Tensor& out,
                           const test::Floats& want, const char* name) {
      if (!supported(kind)) {
        MESSAGE("no deterministic cuDNN algorithm: " << name << " of " << s.h << "x" << s.w << "x" << s.in
                                                     << " -> " << s.out);
        return;
      }
      ++taken;
      // Of each arithmetic the variant that was ranked, with its own math type and memory.
      for (const Precision p : {Precision::fp32, Precision::tf32}) {
        set_precision(p);
        if (!supported(kind)) continue;
        CHECK(cuda::by_cudnn::run(kCuda, kind, s, first.ptr<float>(), second.ptr<float>(), out.ptr<float>())
                  .empty());
        // Winograd and FFT algorithms round even on integers, to 11 bits in TF32.
        test::check_near(out, Tensor::from(want, {static_cast<i64>(want.size())}),
                         p == Precision::fp32 ? 1e-4 : 1e-2);
      }
      set_precision(Precision::fp32);
    };
    test::Floats y(static_cast<std::size_t>(ys)), gx(static_cast<std::size_t>(xs)),
        gw(static_cast<std::size_t>(ws));
    naive::conv_forward<float>(s, x.data(), w.data(), nullptr, {}, y.data());
    naive::conv_backward_data<float>(s, dy.data(), w.data(), nullptr, {}, false, gx.data());
    naive::conv_backward_weights<float>(s, x.data(), dy.data(), false, gw.data());
    check(ConvKind::forward, dx, dw, Tensor::full({ys}, 99, DType::f32, kCuda), y, "forward");
    check(ConvKind::data, ddy, dw, Tensor::full({xs}, 99, DType::f32, kCuda), gx, "backward data");
    check(ConvKind::weights, dx, ddy, Tensor::full({ws}, 99, DType::f32, kCuda), gw, "backward weights");
  }
  CHECK(taken > 0);
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
  const i64 m = 5, n = 6, k = 7;
  const test::Floats a = test::integers(m * k, 1), b = test::integers(k * n, 2), bias = test::integers(n, 3),
                     add = test::integers(m * n, 4);
  i64 kind = 0;  // every product of another shape is planned anew
  const auto check = [&](Precision arithmetic, const cuda::emulation::BlasRefuses& refuses,
                         const char* says) {
    Notes notes;
    ++kind;
    const i64 rows = m + kind;
    const test::Floats x = test::integers(rows * k, 1), onto = test::integers(rows * n, 4);
    const Tensor da = upload(x), db = upload(b), dbias = upload(bias), dadd = upload(onto);
    for (const bool apart : {true, false})
      for (int again = 0; again < 2; ++again) {
        const Tensor out = upload(onto);
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
        CHECK(download(out) == want);
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
