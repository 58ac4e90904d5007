#include <doctest/doctest.h>
#include <cmath>
#include <limits>

#include "engine/ops/conv.h"
#include "tests/engine/op_test.h"

namespace mld {
namespace {

using test::check_error;
using test::ramp;
using test::random;

constexpr ConvShape kWindow{.kernel = {3, 2}, .stride = {2, 2}, .padding = {1, 1}};

}  // namespace

// F.max_pool2d and F.avg_pool2d(x, (3,2), (2,2), (1,1), count_include_pad=...) of PyTorch 2.15 (1.13 agrees).
TEST_CASE("pooling: PyTorch's values, padding counted and not") {
  const auto x = [](DType t) { return ramp({1, 4, 5, 1}, 17).to(t); };
  const Shape shape{1, 2, 3, 1};
  test::check_golden([&](DType t) { return max_pool2d(x(t), kWindow).value; }, shape,
                     {-1.75, 1.75, 1, -1.25, 2, 1.5});
  test::check_golden([&](DType t) { return avg_pool2d(x(t), kWindow, true).value; }, shape,
                     {-0.625, 0.5, 0, -0.75, 0.4166666667, 0.375});
  test::check_golden([&](DType t) { return avg_pool2d(x(t), kWindow, false).value; }, shape,
                     {-1.875, 0.75, 0, -1.5, 0.4166666667, 0.375});
}

// F.interpolate(x, size, mode=..., align_corners=False).
TEST_CASE("resize: PyTorch's values") {
  const auto small = [](DType t) { return ramp({1, 3, 2, 1}).to(t); };
  const auto large = [](DType t) { return ramp({1, 5, 4, 1}).to(t); };
  test::check_golden([&](DType t) { return resize_bilinear(small(t), 5, 4).value; }, {1, 5, 4, 1},
                     {-1.25,  -0.8125, 0.0625, 0.5,    -0.95, -0.5125, 0.3625, 0.8, -0.5, -0.0625,
                      0.8125, 1.25,    -0.05,  -0.025, 0.025, 0.05,    0.25,   0,   -0.5, -0.75});
  test::check_golden([&](DType t) { return resize_bilinear(large(t), 2, 3).value; }, {1, 2, 3, 1},
                     {-0.1770833333, 0.09375, 0.3645833333, 0.1354166667, 0.40625, 0.1041666667});
  test::check_golden([&](DType t) { return resize_nearest(small(t), 5, 4).value; }, {1, 5, 4, 1},
                     {-1.25, -1.25, 0.5,  0.5,  -1.25, -1.25, 0.5,  0.5,  -0.5,  -0.5,
                      1.25,  1.25,  -0.5, -0.5, 1.25,  1.25,  0.25, 0.25, -0.75, -0.75});
}

TEST_CASE("max_pool2d: a window of negative values is not won by the padding, a NaN is not hidden") {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  const auto pool = [](std::vector<float> v) {
    return max_pool2d(Tensor::from(v, {1, 2, 2, 1}), {.kernel = {3, 3}, .padding = {1, 1}})
        .value.data<float>()[0];
  };
  CHECK(pool({-5, -3, -4, -9}) == -3);
  CHECK(pool({-inf, -inf, -inf, -inf}) == -inf);
  CHECK(std::isnan(pool({1, nan, 3, 2})));
  CHECK(std::isnan(pool({nan, 1, 3, 2})));
}

TEST_CASE("max_pool2d: in a tie the first pixel takes the gradient") {
  const Tensor x = Tensor::full({1, 2, 2, 1}, 1.5);
  Tape tape;
  const Var in = tape.watch(x);
  tape.backward(max_pool2d(in, {.kernel = {2, 2}, .stride = {2, 2}}), Tensor::full({1, 1, 1, 1}, 2));
  test::check_near(tape.grad(in), test::values({2, 0, 0, 0}), 0);
}

TEST_CASE("resize: to the same size is the identity, a constant stays one, whole factors repeat pixels") {
  const Tensor x = random({2, 3, 4, 5}, 1).to(DType::f32);
  CHECK(test::same_bits(resize_nearest(x, 3, 4).value, x));
  CHECK(test::same_bits(resize_bilinear(x, 3, 4).value, x));
  const Tensor twice = resize_nearest(x, 6, 8).value;
  for (std::int64_t i = 0; i < 6; ++i)
    for (std::int64_t j = 0; j < 8; ++j)
      CHECK(twice.data<float>()[(i * 8 + j) * 5 + 2] == x.data<float>()[(i / 2 * 4 + j / 2) * 5 + 2]);
  test::check_near(resize_bilinear(Tensor::full({1, 3, 4, 2}, 0.7), 7, 9).value,
                   Tensor::full({1, 7, 9, 2}, 0.7), 1e-6);
}

TEST_CASE("pooling and resampling: presets in float") {
  const auto check = [](const Shape& x, const test::Program& program) {
    test::check_precision_and_bits(program, {random(x, 1)}, 2e-6);
  };
  check({2, 24, 24, 10}, [](const auto& v) {
    return max_pool2d(v[0], {.kernel = {2, 2}, .stride = {2, 2}});
  });
  check({2, 32, 32, 16}, [](const auto& v) {
    return avg_pool2d(v[0], {.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1}}, true);
  });
  check({2, 16, 16, 32}, [](const auto& v) { return resize_nearest(v[0], 32, 32); });
  check({2, 20, 30, 3}, [](const auto& v) { return resize_bilinear(v[0], 13, 41); });
}

TEST_CASE("pooling and resampling: what does not fit is refused with the reason") {
  const Tensor x = random({1, 4, 4, 2}, 1);
  check_error([&] { max_pool2d(random({4, 4, 2}, 1), kWindow); }, {"max_pool2d", "[4,4,2]", "[N,H,W,C]"});
  check_error(
      [&] {
        max_pool2d(x, {.kernel = {2, 2}, .padding = {2, 0}});
      },
      {"max_pool2d", "half the window"});
  check_error([&] { avg_pool2d(x, {.kernel = {2, 2}, .stride = {0, 1}}); }, {"avg_pool2d", "stride"});
  check_error(
      [&] {
        avg_pool2d(x, {.kernel = {5, 2}});
      },
      {"avg_pool2d", "[1,4,4,2]", "smaller than the window"});
  check_error(
      [&] {
        avg_pool2d(x, {.kernel = {2, 2}, .stride = {2, 2}, .output_padding = {1, 1}});
      },
      {"avg_pool2d", "output padding"});
  check_error([&] { resize_nearest(x, 0, 3); }, {"resize_nearest", "positive"});
  check_error([&] { resize_bilinear(x, 3, -1); }, {"resize_bilinear", "positive"});
  check_error([&] { resize_bilinear(x, std::int64_t{1} << 40, 3); }, {"resize_bilinear", "too large"});
  check_error(
      [&] {
        resize_nearest(Tensor::empty({1, 4, 4, 2}, DType::u8), 8, 8);
      },
      {"resize_nearest", "u8"});
}

}  // namespace mld
