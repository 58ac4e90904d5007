// Convolutions on the cuda device: by either caller, by the one that is chosen, and by the other where cuDNN
// refuses. Without a cuda device nothing here runs.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/engine/cuda_test.h"
#include "tests/engine/kernel_operands.h"
#include "tests/engine/op_test.h"
#include "tests/engine/preset_layers.h"
#include "tests/expect_error.h"
#if MLD_CUDA
#include "engine/base/precision.h"
#include "engine/cuda/stream.h"
#include "engine/kernels/conv_naive.h"
#include "engine/kernels/cuda/conv.h"
#include "engine/kernels/cuda/conv_cudnn.h"
#include "engine/kernels/cuda/conv_gemm.h"
#if MLD_CUDA_EMULATED
#include "cuda_emulation.h"
#endif

namespace mld {
namespace {

using i64 = std::int64_t;
using test::contains;
using test::error_of;

// One of the two callers, on all three kernels.
// `tolerance` 0: sums of integers are exact. Winograd and FFT algorithms round even on integers.
template <class Forward, class Data, class Weights>
void check_convolution(const ConvDims& s, double tolerance, const Forward& forward, const Data& data,
                       const Weights& weights) {
  CAPTURE(s.h);
  CAPTURE(s.in);
  CAPTURE(s.out);
  CAPTURE(s.kh);
  const auto same = [&](const Tensor& got, const test::Floats& expected) {
    if (tolerance == 0)
      CHECK(test::download(got) == expected);
    else
      test::check_near(got, Tensor::from(expected, {static_cast<i64>(expected.size())}), tolerance);
  };
  const i64 xs = s.n * s.h * s.w * s.in, ws = s.out * s.kh * s.kw * s.in,
            ys = s.n * s.out_h() * s.out_w() * s.out;
  const test::Floats x = test::integers(xs, 1), w = test::integers(ws, 2), dy = test::integers(ys, 3),
                     bias_out = test::integers(s.out, 4), bias_in = test::integers(s.in, 5);
  const Tensor dx = test::upload(x), dw = test::upload(w), ddy = test::upload(dy),
               dbo = test::upload(bias_out), dbi = test::upload(bias_in);
  test::Floats want(static_cast<std::size_t>(ys));
  const Tensor y = Tensor::full({ys}, 99, DType::f32, kCuda);
  forward(dx.ptr<float>(), dw.ptr<float>(), dbo.ptr<float>(), y.ptr<float>());
  naive::conv_forward<float>(s, x.data(), w.data(), bias_out.data(), {}, want.data());
  same(y, want);
  for (const bool add : {false, true}) {
    CAPTURE(add);
    want = x;
    const Tensor gx = test::upload(x);
    data(ddy.ptr<float>(), dw.ptr<float>(), add ? nullptr : dbi.ptr<float>(), add, gx.ptr<float>());
    naive::conv_backward_data<float>(s, dy.data(), w.data(), add ? nullptr : bias_in.data(), {}, add,
                                     want.data());
    same(gx, want);
    want = w;
    const Tensor gw = test::upload(w);
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
  for (const ConvDims& s : convolutions()) check_chosen_convolution(s, MLD_CUDA_EMULATED ? 0 : 1e-4);
}

#if MLD_CUDA_EMULATED
TEST_CASE(
    "convolutions that cuDNN promises and refuses: done by products, with and without adding, said once") {
  ConvDims s{2, 6, 9, 3, 4, 3, 3, 1, 1, 1, 1};
  check_chosen_convolution(s, 0);
  test::Notes notes;
  s.n = 3;
  cuda::emulation::set_dnn_refuses(3000);
  check_chosen_convolution(s, 0);  // never done
  s.n = 2;
  check_chosen_convolution(s, 0);  // done before
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
}

TEST_CASE("convolutions without patches are products, and never asked of cuDNN") {
  cuda::emulation::set_dnn_refuses(5000);
  check_chosen_convolution({2, 5, 7, 3, 4, 1, 1, 1, 1, 0, 0}, 0);
  check_chosen_convolution({2, 5, 7, 3, 4, 5, 7, 1, 1, 0, 0}, 0);
  cuda::emulation::set_dnn_refuses(0);
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
    const Tensor dx = test::upload(x), dw = test::upload(w), ddy = test::upload(dy);
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
                         MLD_CUDA_EMULATED      ? 0
                         : p == Precision::fp32 ? 1e-4
                                                : 1e-2);
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

}  // namespace
}  // namespace mld
#endif
