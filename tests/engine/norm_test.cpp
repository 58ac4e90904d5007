#include "engine/ops/norm.h"

#include <doctest/doctest.h>
#include <cmath>
#include <limits>

#include "tests/engine/op_test.h"

namespace mld {
namespace {

using test::check_error;
using test::check_near;
using test::ramp;
using test::random;
using test::values;

Tensor plus_one(const Tensor& x) {
  const Tensor y = x.clone();
  for (double& v : y.span<double>()) v += 1;
  return y;
}

// xhat of a normalised row or column should have mean 0 and variance 1: exact values in long double.
struct Moments {
  double mean, variance;
};
Moments moments(const std::vector<double>& v) {
  long double sum = 0, squares = 0;
  for (const double x : v) sum += static_cast<long double>(x);
  const long double mean = sum / static_cast<long double>(v.size());
  for (const double x : v)
    squares += (static_cast<long double>(x) - mean) * (static_cast<long double>(x) - mean);
  return {static_cast<double>(mean), static_cast<double>(squares / static_cast<long double>(v.size()))};
}

}  // namespace

// rm, rv = tensor([.5,-1]), tensor([2,.5]); F.batch_norm(x, rm, rv, tensor([1.5,-.5]), tensor([.25,1]),
// True), then the same with False; PyTorch 2.15 (1.13 agrees), in double.
TEST_CASE("batch_norm: PyTorch's values and running statistics") {
  for (const DType t : {DType::f64, DType::f32}) {
    const Tensor x = ramp({2, 2, 3, 2}, 17).to(t), gamma = values({1.5, -0.5}).to(t),
                 beta = values({0.25, 1}).to(t);
    const Tensor mean = values({0.5, -1}).to(t), var = values({2, 0.5}).to(t);
    const double tolerance = t == DType::f64 ? 1e-9 : 1e-6;
    const Tensor y = batch_norm(x, gamma, beta, mean, var, true).value;
    check_near(y,
               values({-1.984697206,  1.052999703,  2.140897635,   1.370997924,  1.256841598,  1.688996145,
                       0.3727855607,  0.2050044484, -0.5112704766, 0.523002669,  -1.395326514, 0.8410008897,
                       2.730268327,   1.15899911,   1.84621229,    1.476997331,  0.9621562523, 1.794995552,
                       0.07810021496, 0.3110038553, -0.8059558224, 0.6290020759, -1.69001186,  0.9470002966}),
               tolerance);
    check_near(mean, values({0.4395833333, -0.9125}), tolerance);
    check_near(var, values({1.976657197, 0.6017045455}), tolerance);
    const Tensor kept_mean = mean.clone(), kept_var = var.clone();
    const Tensor z = batch_norm(x, gamma, beta, mean, var, false).value;
    check_near(
        z, values({-2.352796051,  0.572967792,   1.381360538,  1.05640048,     0.5811841261, 1.539833169,
                   -0.2189922859, -0.7161860433, -1.019168698, -0.2327533551,  -1.81934511,  0.2506793332,
                   1.914811479,   0.7341120215,  1.114635067,  1.21754471,     0.3144586554, 1.700977398,
                   -0.4857177566, -0.5550418139, -1.285894169, -0.07160912563, -2.086070581, 0.4118235626}),
        tolerance);
    CHECK(test::same_bits(mean, kept_mean));
    CHECK(test::same_bits(var, kept_var));
  }
}

// F.group_norm(x, 2, g, b) of a map; silu(F.group_norm(x, 3, g, b)) and gelu(F.layer_norm(x, (6,), g, b)) of
// rows; g = ramp(m=5) + 1, b = ramp(m=7).
TEST_CASE("group_norm and layer_norm: PyTorch's values") {
  test::check_golden(
      [](DType t) {
        return group_norm(ramp({2, 2, 2, 4}, 17).to(t), plus_one(ramp({4}, 5)).to(t), ramp({4}, 7).to(t), 2)
            .value;
      },
      {2, 2, 2, 4},
      {-1.455011992,  -0.7986215167, 0.9609644091,  -1.449939986,  -0.3853386247, -1.965537918, -0.905542219,
       0.2610244236,  -0.9687968252, 0.1738088174,  -2.772048847,  -0.6722288905, 0.1008765423, -0.9931075835,
       0.6498799711,  -1.605482205,  -0.6284462082, -2.451753085,  -1.037373687,  0.2558079059, -1.211904409,
       -0.3124063497, -3.007936115,  -0.729473308,  -0.1422310412, -1.479322751,  0.6047616692, -1.714754522,
       -0.7256892416, 0.6600239844,  -1.365800759,  0.09159437026});
  test::check_golden(
      [](DType t) {
        return group_norm(ramp({2, 6}, 17).to(t), plus_one(ramp({6}, 5)).to(t), ramp({6}, 7).to(t), 3, 1e-5,
                          {Act::silu})
            .value;
      },
      {2, 6},
      {-0.2783751529, 0.1405400521, 0.5093799799, -0.2736383848, 0.3112267058, -0.2783751634, -0.2783751529,
       0.1405400521, -0.2145372632, -2.448949605e-06, -0.2384065851, -0.1094571035});
  test::check_golden(
      [](DType t) {
        return layer_norm(ramp({2, 6}, 17).to(t), plus_one(ramp({6}, 5)).to(t), ramp({6}, 7).to(t), 1e-5,
                          {Act::gelu})
            .value;
      },
      {2, 6},
      {-0.1185937395, -0.1634539016, 1.470767542, -0.1522825454, 0.2942502093, -0.1310122097, -0.1693005625,
       0.6016400823, -0.04732035578, -0.06046206664, -0.01061265344, -0.1691581077});
}

TEST_CASE(
    "batch_norm: a batch that is not finite does not enter the running statistics, its other channels do") {
  for (const float bad :
       {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN(), 3e38f}) {
    CAPTURE(bad);
    const Tensor x = Tensor::from(std::vector<float>{1, bad, 3, 1, 5, -bad}, {3, 2});
    const Tensor one = Tensor::full({2}, 1), zero = Tensor::zeros({2});
    const Tensor mean = Tensor::full({2}, 0.5), var = Tensor::full({2}, 2);
    batch_norm(x, one, zero, mean, var, true);
    check_near(mean, values({0.9 * 0.5 + 0.1 * 3, 0.5}), 1e-7);
    check_near(var, values({0.9 * 2 + 0.1 * 4, 2}), 1e-7);
  }
}

TEST_CASE("normalisation: values far from zero keep their digits") {
  // Mean 1000, standard deviation about 0.6: a variance of float squares would have no correct digit.
  const std::int64_t rows = 3000, columns = 12;
  const Tensor x64 = random({rows, columns}, 1, 999, 1001), x = x64.to(DType::f32);
  const Tensor one = Tensor::full({columns}, 1), zero = Tensor::zeros({columns});
  const auto column = [&](const Tensor& t, std::int64_t c) {
    std::vector<double> v;
    for (std::int64_t r = 0; r < rows; ++r)
      v.push_back(static_cast<double>(t.data<float>()[r * columns + c]));
    return v;
  };
  const Tensor y = batch_norm(x, one, zero, {}, {}, true).value;
  for (std::int64_t c = 0; c < columns; ++c) {
    const Moments m = moments(column(x, c)), n = moments(column(y, c));
    CHECK(std::abs(n.mean) < 2e-4);  // the mean itself is rounded to 6e-5
    CHECK(n.variance == doctest::Approx(m.variance / (m.variance + 1e-5)).epsilon(1e-5));
  }
  const auto one_row = [&](const Tensor& normalised, std::int64_t c) {
    const float* p = normalised.data<float>();
    const Moments n = moments(std::vector<double>(p, p + c));
    CHECK(std::abs(n.mean) < 2e-4);
    CHECK(n.variance == doctest::Approx(1).epsilon(1e-4));
  };
  const Tensor wide = Tensor::full({6000}, 1), wide_zero = Tensor::zeros({6000});
  one_row(layer_norm(x.reshape({6, 6000}), wide, wide_zero).value, 6000);
  one_row(group_norm(x.reshape({1, rows, columns}), one, zero, 1).value, rows * columns);
}

TEST_CASE("normalisation: a constant input gives beta") {
  const Tensor x = Tensor::full({4, 6}, 0.7), gamma = Tensor::full({6}, 3), beta = Tensor::full({6}, -0.5);
  check_near(batch_norm(x, gamma, beta, {}, {}, true).value, Tensor::full({4, 6}, -0.5), 1e-4);
  check_near(group_norm(x, gamma, beta, 2).value, Tensor::full({4, 6}, -0.5), 1e-4);
  check_near(layer_norm(x, gamma, beta).value, Tensor::full({4, 6}, -0.5), 1e-4);
  const Tensor map = Tensor::full({2, 5, 6}, 0.7);
  check_near(group_norm(map, gamma, beta, 3).value, Tensor::full({2, 5, 6}, -0.5), 1e-4);
}

TEST_CASE("normalisation: layers of the presets in float") {
  const auto layer = [](const Shape& x, auto&& op) {
    CAPTURE(x.str());
    test::check_precision_and_bits([&](const std::vector<Var>& v) -> Var { return op(v[0], v[1], v[2]); },
                                   {random(x, 1), random({x[-1]}, 2, 0.5, 1.5), random({x[-1]}, 3)}, 1e-5);
  };
  for (const std::int64_t width : {512, 1024})
    layer({40, width},
          [](const Var& x, const Var& g, const Var& b) { return group_norm(x, g, b, 8, 1e-5, {Act::silu}); });
  layer({18, 3072},
        [](const Var& x, const Var& g, const Var& b) { return group_norm(x, g, b, 32, 1e-5, {Act::silu}); });
  layer({2, 16, 16, 64},
        [](const Var& x, const Var& g, const Var& b) { return group_norm(x, g, b, 32, 1e-6, {Act::silu}); });
  layer({2, 12, 12, 32},  // more values in a group than a warp of a GPU takes
        [](const Var& x, const Var& g, const Var& b) { return group_norm(x, g, b, 4, 1e-5, {Act::silu}); });
  layer({6, 1500}, [](const Var& x, const Var& g, const Var& b) { return layer_norm(x, g, b); });
  layer({12, 300},
        [](const Var& x, const Var& g, const Var& b) { return layer_norm(x, g, b, 1e-5, {Act::gelu}); });
  layer({64, 512}, [](const Var& x, const Var& g, const Var& b) {
    return batch_norm(x, g, b, {}, {}, true, 0.1, 1e-5, {Act::leaky_relu, 0.01f});
  });
  layer({8, 32, 1, 128}, [](const Var& x, const Var& g, const Var& b) {
    return batch_norm(x, g, b, {}, {}, true, 0.1, 1e-5, {Act::relu});
  });
  layer({8, 32, 1, 128}, [](const Var& x, const Var& g, const Var& b) {
    const Tensor mean = random({128}, 4).to(x.dtype()).to(x.device());
    const Tensor var = random({128}, 5, 0.5, 1.5).to(x.dtype()).to(x.device());
    return batch_norm(x, g, b, mean, var, false, 0.1, 1e-5, {Act::relu});
  });
}

TEST_CASE("normalisation: a sample does not depend on its batch") {
  const auto f32 = [](const Shape& s, std::uint64_t seed) {
    return random(s, seed, 0.2, 1.2).to(DType::f32);
  };
  const Tensor gamma = f32({48}, 1), beta = f32({48}, 2), mean = f32({48}, 3), var = f32({48}, 4);
  const Tensor rows = f32({64, 48}, 5), maps = f32({64, 3, 3, 48}, 6);
  for (const Tensor& x : {rows, maps}) {
    test::check_rows_independent(
        [&](const Tensor& v) { return group_norm(v, gamma, beta, 4, 1e-5, {Act::silu}).value; }, x);
    test::check_rows_independent(
        [&](const Tensor& v) { return layer_norm(v, gamma, beta, 1e-5, {Act::gelu}).value; }, x);
    test::check_rows_independent(
        [&](const Tensor& v) {
          return batch_norm(v, gamma, beta, mean, var, false, 0.1, 1e-5, {Act::silu}).value;
        },
        x);
  }
}

TEST_CASE("batch_norm: gradients of an inference pass do not change when the running statistics move on") {
  const Tensor x = random({5, 3}, 1), gamma = random({3}, 2), beta = random({3}, 3);
  const auto gradient = [&](bool move) {
    const Tensor mean = random({3}, 4), var = random({3}, 5, 0.5, 1);
    Tape tape;
    const Var in = tape.watch(x);
    const Var y = batch_norm(in, gamma, beta, mean, var, false);
    if (move) {
      mean.zero();
      var.zero();
    }
    tape.backward(y, random({5, 3}, 6));
    return tape.grad(in);
  };
  CHECK(test::same_bits(gradient(true), gradient(false)));
}

TEST_CASE("normalisation: what does not fit is refused with the reason") {
  const Tensor x = random({4, 6}, 1), v = random({6}, 2), w = random({5}, 3);
  check_error([&] { group_norm(x, v, v, 4); }, {"group_norm", "[4,6]", "6 channels", "4 equal groups"});
  check_error([&] { group_norm(x, v, v, 0); }, {"group_norm", "0 equal groups"});
  check_error([&] { group_norm(x, w, v, 2); }, {"group_norm", "gamma", "[5]", "[6]"});
  check_error([&] { group_norm(v, v, v, 2); }, {"group_norm", "[N,...,C]"});
  check_error([&] { layer_norm(x, v, w); }, {"layer_norm", "beta", "[5]", "[6]"});
  check_error([&] { layer_norm(x, v.to(DType::f32), v); }, {"layer_norm", "gamma", "f32"});
  check_error([&] { layer_norm(x, v, {}); }, {"layer_norm", "beta", "empty"});
  check_error([&] { batch_norm(x, v, v, w, v, true); }, {"batch_norm", "running_mean", "[5]"});
  check_error([&] { batch_norm(x, v, v, {}, {}, false); }, {"batch_norm", "running_mean", "empty"});
  check_error([&] { batch_norm(x, v, v, v, {}, true); }, {"batch_norm", "both"});
  check_error(
      [&] {
        batch_norm(random({1, 6}, 1), v, v, {}, {}, true);
      },
      {"batch_norm", "[1,6]", "single value"});
  check_error([&] { batch_norm(v, v, v, {}, {}, true); }, {"batch_norm", "[...,C]"});
}

}  // namespace mld
