#include "engine/ops/conv.h"

#include <doctest/doctest.h>
#include <cmath>

#include "tests/engine/op_test.h"

namespace mld {
namespace {

using test::check_error;
using test::ramp;
using test::random;

const std::vector<double> kBias{0.5, -0.25};

}  // namespace

// F.conv2d(x.permute(0,3,1,2), w.permute(0,3,1,2), bias, stride=(2,1), padding=(1,1)).permute(0,2,3,1),
// PyTorch 2.15 (1.13 prints the same), in double.
TEST_CASE("conv2d: PyTorch's values, rectangular kernel") {
  test::check_golden(
      [](DType t) {
        return conv2d(ramp({1, 4, 3, 2}).to(t), ramp({2, 3, 2, 2}, 13).to(t), test::values(kBias).to(t),
                      {.kernel = {3, 2}, .stride = {2, 1}, .padding = {1, 1}})
            .value;
      },
      {1, 2, 4, 2},
      {1.6875, -0.3125, 4.625, -3.125, 0.625, -2.375, -1.75, 1, -3.125, 1, -2.75, 1.5625, 2.75, -1.625,
       3.3125, -1.25});
}

// F.conv_transpose2d(..., stride=(2,3), padding=(1,0), output_padding=(1,2)), weights [I,kh,kw,O] permuted
// likewise.
TEST_CASE("conv_transpose2d: PyTorch's values, output padding") {
  test::check_golden(
      [](DType t) {
        return conv_transpose2d(
                   ramp({1, 2, 3, 2}).to(t), ramp({2, 3, 2, 2}, 13).to(t), test::values(kBias).to(t),
                   {.kernel = {3, 2}, .stride = {2, 3}, .padding = {1, 0}, .output_padding = {1, 2}})
            .value;
      },
      {1, 4, 10, 2},
      {2,      -1.6875, 1.8125, -1.875,  0.5,   -0.25,  1.625, -1.875, 1.8125, -1.6875, 0.5,    -0.25,
       -0.125, 0.6875,  -0.25,  0.5625,  0.5,   -0.25,  0.5,   -0.25,  0.125,  -1.8125, 0.1875, -1.75,
       0.5,    -0.25,   3.5,    -2.875,  3.625, -2.75,  0.5,   -0.25,  0,      2.25,    -0.5,   1.75,
       0.5,    -0.25,   0.5,    -0.25,   -0.5,  0.5,    -0.25, 0.75,   0.5,    -0.25,   1.875,  -1.75,
       1.8125, -1.8125, 0.5,    -0.25,   0.125, 0.8125, -0.25, 0.4375, 0.5,    -0.25,   0.5,    -0.25,
       0,      1,       0.25,   1.25,    0.5,   -0.25,  1.75,  -1.875, 1.6875, -1.9375, 0.5,    -0.25,
       -0.625, 0.0625,  -1,     -0.3125, 0.5,   -0.25,  0.5,   -0.25});
}

TEST_CASE("convolutions: layers of the presets in float") {
  const auto layer = [](bool transposed, const Shape& x, std::int64_t out, const ConvShape& shape,
                        Activation act) {
    const std::int64_t in = x[3], kh = shape.kernel[0], kw = shape.kernel[1];
    const double scale = 1 / std::sqrt(static_cast<double>(in * kh * kw));
    CAPTURE(x.str());
    test::check_precision_and_bits(
        [=](const std::vector<Var>& v) {
          return transposed ? conv_transpose2d(v[0], v[1], v[2], shape, act)
                            : conv2d(v[0], v[1], v[2], shape, act);
        },
        {random(x, 1), random(transposed ? Shape{in, kh, kw, out} : Shape{out, kh, kw, in}, 2, -scale, scale),
         random({out}, 3)},
        5e-6);
  };
  const ConvShape half{.kernel = {4, 4}, .stride = {2, 2}, .padding = {1, 1}}, full{.kernel = {4, 4}};
  const ConvShape third{.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1}};
  const ConvShape twice{.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1}, .output_padding = {1, 1}};
  const ConvShape frames{.kernel = {4, 1}, .stride = {2, 1}, .padding = {1, 0}};
  // SVHN
  layer(false, {2, 32, 32, 3}, 32, half, {Act::relu});
  layer(false, {2, 8, 8, 64}, 128, half, {Act::relu});
  layer(false, {3, 4, 4, 128}, 64, full, {});
  layer(true, {3, 1, 1, 64}, 128, full, {Act::relu});
  layer(true, {2, 4, 4, 128}, 64, half, {Act::relu});
  layer(true, {2, 16, 16, 32}, 3, half, {Act::sigmoid});
  // MHD image and sound
  layer(false, {2, 28, 28, 1}, 32, half, {Act::silu});
  layer(true, {2, 7, 7, 64}, 32, half, {Act::silu});
  layer(false, {2, 32, 128, 1}, 128, {.kernel = {1, 128}}, {Act::relu});
  layer(false, {2, 16, 1, 128}, 64, frames, {Act::relu});
  layer(true, {2, 8, 1, 256}, 64, frames, {Act::relu});
  layer(true, {1, 32, 1, 128}, 1, {.kernel = {1, 128}}, {Act::sigmoid});
  // PolyMNIST
  layer(false, {2, 28, 28, 3}, 32, third, {Act::relu});
  layer(true, {2, 4, 4, 128}, 64, third, {Act::relu});
  layer(true, {2, 7, 7, 64}, 32, twice, {Act::relu});
  // 1x1, as in a residual shortcut
  layer(false, {1, 16, 16, 64}, 32, {}, {});
}

TEST_CASE("convolutions: a sample does not depend on its batch") {
  const ConvShape half{.kernel = {4, 4}, .stride = {2, 2}, .padding = {1, 1}};
  const Tensor w = random({24, 4, 4, 10}, 1).to(DType::f32), b = random({24}, 2).to(DType::f32);
  test::check_rows_independent([&](const Tensor& x) { return conv2d(x, w, b, half, {Act::relu}).value; },
                               random({64, 8, 6, 10}, 3).to(DType::f32));
  const Tensor wt = random({10, 4, 4, 24}, 4).to(DType::f32);
  test::check_rows_independent(
      [&](const Tensor& x) { return conv_transpose2d(x, wt, b, half, {Act::silu}).value; },
      random({64, 4, 3, 10}, 5).to(DType::f32));
}

TEST_CASE("convolutions: what does not fit is refused with the reason") {
  const Tensor x = random({2, 5, 5, 3}, 1), w = random({4, 3, 3, 3}, 2);
  const ConvShape k3{.kernel = {3, 3}};
  check_error([&] { conv2d(random({5, 5, 3}, 1), w, {}, k3); }, {"conv2d", "[5,5,3]", "[N,H,W,C]"});
  check_error(
      [&] {
        conv2d(x, random({4, 3, 3, 2}, 2), {}, k3);
      },
      {"conv2d", "[2,5,5,3]", "[4,3,3,2]", "[O,kh,kw,I]"});
  check_error([&] { conv2d(x, w, {}, {.kernel = {2, 3}}); }, {"conv2d", "kernel", "2x3"});
  check_error([&] { conv2d(x, w, random({3}, 3), k3); }, {"conv2d", "bias", "[4]"});
  check_error([&] { conv2d(x, w, {}, {.kernel = {3, 3}, .stride = {0, 1}}); }, {"conv2d", "stride"});
  check_error(
      [&] {
        conv2d(x, w, {}, {.kernel = {3, 3}, .stride = {2, 2}, .output_padding = {1, 1}});
      },
      {"conv2d", "output padding", "conv_transpose2d"});
  check_error(
      [&] {
        conv2d(random({2, 2, 5, 3}, 1), w, {}, k3);
      },
      {"conv2d", "[2,2,5,3]", "kernel is larger"});
  check_error([&] { conv2d(x.to(DType::f32), w, {}, k3); }, {"conv2d", "f32", "f64"});
  check_error(
      [&] {
        conv_transpose2d(x, random({4, 3, 3, 3}, 2), {}, k3);
      },
      {"conv_transpose2d", "[I,kh,kw,O]", "3 channels"});
  check_error(
      [&] {
        conv_transpose2d(x, random({3, 3, 3, 4}, 2), {}, {.kernel = {3, 3}, .output_padding = {1, 0}});
      },
      {"conv_transpose2d", "output padding", "smaller than the stride"});
  check_error(
      [&] {
        conv_transpose2d(random({1, 1, 1, 3}, 1), random({3, 3, 3, 4}, 2), {},
                         {.kernel = {3, 3}, .padding = {2, 2}});
      },
      {"conv_transpose2d", "nothing is left"});
}

}  // namespace mld
