// The sampler on exact Gaussian scores. With a linear score the output is an affine function of the noise
// draws, so its mean is the output without noise and its variance the sum of the squared responses to a unit
// impulse in each draw. Row k of the batch receives the impulse of draw k, the last row none: moments without
// any Monte Carlo error, to be compared with the table of docs/method.md section 15.
#include "mld/diffusion/sampler.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/ops/ops.h"
#include "mld/diffusion/schedule.h"
#include "mld/diffusion/sde.h"
#include "tests/devices.h"

using mld::Tensor;

namespace {

class ImpulseNoise : public mld::NoiseSource {
 public:
  void normal(const Tensor& out, std::uint32_t, const Tensor&, const Tensor&) override {
    out.zero();
    const std::int64_t dim = out.shape()[1];
    for (std::int64_t d = 0; d < dim; ++d, ++next_) out.data<double>()[next_ * dim + d] = 1;
  }
  std::int64_t drawn() const { return next_; }

 private:
  std::int64_t next_ = 0;
};

mld::SamplerOptions walk(mld::SamplerMethod method, std::int64_t steps, std::int64_t jump,
                         std::int64_t resample, double churn = 1) {
  return {.method = method, .steps = steps, .jump = jump, .resample = resample, .churn = churn};
}
mld::SamplerOptions em(std::int64_t steps, std::int64_t jump, std::int64_t resample) {
  return walk(mld::SamplerMethod::em, steps, jump, resample);
}

struct Moments {
  double mean, variance;
};

// Moments of coordinate 0 of D, the others given as 1. `gain` and `offset`: n = gain(level) r_0 +
// offset(level).
template <class Gain>
Moments moments(const mld::SamplerOptions& options, std::int64_t dim, Gain score_of,
                bool noised_given = false) {
  const mld::SamplerPlan plan = mld::make_plan(options, noised_given);
  std::int64_t draws = 1;
  for (const mld::Transition& step : plan.transitions) draws += step.noisy + (step.evaluates && noised_given);
  const std::int64_t rows = draws * dim + 1;
  Tensor z = Tensor::full({rows, dim}, 1.0, mld::DType::f64);
  Tensor given = Tensor::full({dim}, 1, mld::DType::u8);
  given.data<std::uint8_t>()[0] = 0;
  Tensor ids = Tensor::zeros({rows}, mld::DType::i32);
  ImpulseNoise noise;
  const auto score = [&](const Tensor& r, const Tensor& level) {
    Tensor n = Tensor::zeros(r.shape(), mld::DType::f64);
    const double t = plan.times[static_cast<std::size_t>(level.item())], sigma = mld::VpSde::std_dev(t);
    for (std::int64_t b = 0; b < rows; ++b)
      n.data<double>()[b * dim] = sigma * score_of(r.data<double>() + b * dim, mld::VpSde::mean(t), sigma);
    return n;
  };
  const Tensor out = mld::sample(score, z, given, ids, noise, plan);
  REQUIRE(noise.drawn() == rows - 1);
  const double mean = out.data<double>()[(rows - 1) * dim];
  double variance = 0;
  for (std::int64_t b = 0; b + 1 < rows; ++b) variance += std::pow(out.data<double>()[b * dim] - mean, 2);
  return {mean, variance};
}

}  // namespace

TEST_CASE("sampler: unconditional Gaussians, linear and jump schedules") {
  struct Row {
    double variance, linear, jump, fine;
  };
  for (const Row& row : {Row{1, 1.004901, 1.000648, 1.001280}, Row{0.25, 0.250721, 0.239669, 0.250233},
                         Row{0.01, 0.009555, 0.009307, 0.009937}}) {
    const auto score = [&](const double* r, double a, double s) {
      return -r[0] / (a * a * row.variance + s * s);
    };
    const auto at = [&](int n, int r) { return moments(em(n, 10, r), 1, score); };
    CHECK(std::abs(at(250, 1).variance - row.linear) < 1e-6);
    CHECK(std::abs(at(250, 10).variance - row.jump) < 1e-6);
    CHECK(std::abs(at(1000, 1).variance - row.fine) < 1e-6);
    CHECK(std::abs(at(250, 10).mean) < 1e-12);
  }
}

TEST_CASE("sampler: conditional of a correlated pair, other coordinate given") {
  struct Row {
    double rho, mean, variance, jump_mean, jump_variance;
  };
  for (const Row& row : {Row{0.8, 0.802032, 0.361360, 0.812648, 0.348332},
                         Row{0.95, 0.951777, 0.097394, 0.955972, 0.092247}}) {
    const auto score = [&](const double* r, double a, double s) {
      return -(r[0] - row.rho * a * r[1]) / (a * a * (1 - row.rho * row.rho) + s * s);
    };
    const Moments linear = moments(em(250, 10, 1), 2, score);
    CHECK(std::abs(linear.mean - row.mean) < 1e-6);
    CHECK(std::abs(linear.variance - row.variance) < 1e-6);
    const Moments jump = moments(em(250, 10, 10), 2, score);
    CHECK(std::abs(jump.mean - row.jump_mean) < 1e-6);
    CHECK(std::abs(jump.variance - row.jump_variance) < 1e-6);
  }
}

TEST_CASE("sampler: in-painting has the bias of docs/method.md section 15") {
  struct Row {
    double rho, mean, variance;
  };
  // The first component of the joint score, the other coordinate as noisy as the first.
  const auto score_of = [](double rho) {
    return [rho](const double* r, double a, double) {
      const double aa = a * a * rho;
      return -(r[0] - aa * r[1]) / (1 - aa * aa);
    };
  };
  for (const Row& row : {Row{0.8, 0.501716, 0.497049}, Row{0.95, 0.726892, 0.188496}}) {
    const Moments linear = moments(em(250, 10, 1), 2, score_of(row.rho), true);
    CHECK(std::abs(linear.mean - row.mean) < 1e-6);
    CHECK(std::abs(linear.variance - row.variance) < 1e-6);
  }
  const Moments jump = moments(em(250, 10, 10), 2, score_of(0.8), true);
  CHECK(std::abs(jump.mean - 0.777131) < 1e-6);
  CHECK(std::abs(jump.variance - 0.363960) < 1e-6);
}

// On Gaussians the law of the exact solution is known. What remains of the error for many steps is of the
// start, N(0,1) instead of the data diffused to t = 1, and of the last step, which goes from level 1 to 0
// at once.
TEST_CASE("sampler: the fast methods converge to the exact moments with second order") {
  using mld::SamplerMethod;
  struct Row {
    SamplerMethod method;
    double churn;
  };
  for (const auto& [method, churn] :
       {Row{SamplerMethod::dpm, 1}, Row{SamplerMethod::heun, 1}, Row{SamplerMethod::dpm_sde, 1},
        Row{SamplerMethod::dpm_sde, 0.5}, Row{SamplerMethod::dpm_sde, 5}})
    for (const double rho : {0.6, 0.95}) {
      CAPTURE(static_cast<int>(method));
      CAPTURE(churn);
      CAPTURE(rho);
      const auto score = [&](const double* r, double a, double s) {
        return -(r[0] - rho * a * r[1]) / (a * a * (1 - rho * rho) + s * s);
      };
      const auto at = [&](int steps) { return moments(walk(method, steps, 1, 1, churn), 2, score); };
      const auto between = [](const Moments& x, const Moments& y) {
        return std::max(std::abs(x.mean - y.mean), std::abs(x.variance - y.variance));
      };
      const Moments limit = at(1600);
      CHECK(between(limit, {rho, 1 - rho * rho}) < 0.004);
      CHECK(between(at(80), limit) / between(at(160), limit) > 3);
    }
}

TEST_CASE("sampler: churn changes no law, mends what a start from elsewhere did, and none is the ODE") {
  using mld::SamplerMethod;
  const auto score = [](const double* r, double a, double s) { return -r[0] / (a * a * 0.25 + s * s); };
  const auto variance = [&](int steps, double churn) {
    return moments(walk(SamplerMethod::dpm_sde, steps, 1, 1, churn), 1, score).variance;
  };
  for (const double churn : {0.0, 0.3, 3.0, 6.0}) CHECK(std::abs(variance(1000, churn) - 0.25) < 1e-3);
  for (const mld::Transition& step : mld::make_plan(walk(SamplerMethod::dpm_sde, 20, 1, 1, 0)).transitions)
    CHECK_FALSE(step.noisy);
  // A score whose high levels say variance 1: what they leave behind is forgotten the sooner, the more churn.
  const auto wrong_above = [](const double* r, double a, double s) {
    return -r[0] / (a * a * (s / a > 1 ? 1 : 0.25) + s * s);
  };
  const auto off = [&](double churn) {
    return std::abs(moments(walk(SamplerMethod::dpm_sde, 1000, 1, 1, churn), 1, wrong_above).variance - 0.25);
  };
  CHECK(off(1) < 0.5 * off(0));
  CHECK(off(3) < 0.5 * off(1));
  CHECK_THROWS_AS(mld::make_plan({.churn = -1}), mld::Error);
}

TEST_CASE("sampler: few steps of much churn keep the variance of the latents") {
  // Of a standard normal exactly but for the last step; with the weight of small steps it would be 3 to 5 %
  // off. Narrower latents, as within a class, lose some.
  const auto variance = [](double of_data, int steps, double churn) {
    const auto score = [&](const double* r, double a, double s) { return -r[0] / (a * a * of_data + s * s); };
    return moments(walk(mld::SamplerMethod::dpm_sde, steps, 1, 1, churn), 1, score).variance;
  };
  const double last_step = 1 / (1 + std::pow(mld::SamplerPlan::kFirstRatio, 2));
  for (const auto& [steps, churn] : {std::pair{50, 20.0}, {20, 10.0}, {30, 3.0}, {50, 1.0}}) {
    CAPTURE(steps);
    CAPTURE(churn);
    CHECK(variance(1, steps, churn) == doctest::Approx(last_step).epsilon(1e-9));
    for (const auto& [of_data, least] : {std::pair{0.25, 0.87}, {0.01, 0.72}}) {
      const double share = variance(of_data, steps, churn) / of_data;
      CHECK(share > least);
      CHECK(share < 1);
    }
  }
}

TEST_CASE("sampler: levels of dpm_sde are dense where noise hides some, not all, of the latents") {
  const mld::SamplerPlan plan = mld::make_plan(walk(mld::SamplerMethod::dpm_sde, 50, 1, 1));
  std::vector<double> ratios;
  for (const double t : plan.times) ratios.push_back(std::sqrt(std::expm1(mld::VpSde::integral(t))));
  CHECK(plan.times.front() == 0);
  CHECK(plan.times.back() == 1);
  CHECK(ratios[1] == doctest::Approx(mld::SamplerPlan::kFirstRatio).epsilon(1e-9));
  for (std::size_t k = 1; k + 1 < ratios.size(); ++k) {
    const double step = std::log(ratios[k + 1] / ratios[k]);
    if (ratios[k + 1] < 0.5) CHECK(step == doctest::Approx(0.1).epsilon(2e-2));
    CHECK(step >= 0.0995);
    if (k > 1) CHECK(ratios[k + 1] - ratios[k] > ratios[k] - ratios[k - 1]);
  }
  CHECK(std::count_if(ratios.begin(), ratios.end(), [](double s) { return s > 4; }) < 5);
}

TEST_CASE("sampler: jumps of the fast methods follow the exact forward process") {
  // Without an error of the score or the steps a jump changes no law.
  const auto score = [](const double* r, double, double) { return -r[0]; };
  for (const auto method : {mld::SamplerMethod::dpm, mld::SamplerMethod::dpm_sde, mld::SamplerMethod::heun}) {
    CAPTURE(static_cast<int>(method));
    const Moments m = moments(walk(method, 200, 5, 3), 1, score);
    CHECK(m.variance == doctest::Approx(1).epsilon(1e-2));
  }
}

TEST_CASE("sampler: network calls of a plan") {
  using mld::SamplerMethod;
  const auto calls = [](SamplerMethod method, mld::Schedule s) {
    return mld::make_plan(walk(method, s.levels, s.jump, s.resample)).network_calls();
  };
  CHECK(calls(SamplerMethod::em, {250, 10, 10}) == 2410);
  CHECK(calls(SamplerMethod::dpm, {20, 1, 1}) == 20);
  CHECK(calls(SamplerMethod::heun, {20, 1, 1}) == 39);
  CHECK(calls(SamplerMethod::dpm, {1, 1, 1}) == 1);
  CHECK(calls(SamplerMethod::dpm_sde, {20, 10, 3}) == 40);
  CHECK(mld::parse_choice<SamplerMethod>("x", "dpm_sde") == SamplerMethod::dpm_sde);
  CHECK_THROWS_WITH_AS(mld::parse_choice<SamplerMethod>("sampler method", "ddim"),
                       "sampler method 'ddim'; expected em, dpm, dpm_sde or heun", mld::Error);
}

TEST_CASE("sampler: exact re-noising keeps a standard normal where the score is exact") {
  const auto score = [](const double* r, double, double) { return -r[0]; };  // variance 1 at every level
  mld::SamplerOptions exact = em(250, 10, 10);
  exact.renoise = mld::Renoise::exact;
  const Moments m = moments(exact, 1, score);
  CHECK(m.variance == doctest::Approx(1).epsilon(5e-3));
}

TEST_CASE("sampler: given coordinates come back bit for bit, and a run can be cancelled") {
  Tensor z = Tensor::from(std::vector<float>{0.1f, -3.25f, 7.0f, 1e-30f, 2.0f, -0.3f}, {2, 3});
  Tensor given = Tensor::from(std::vector<std::uint8_t>{1, 0, 1}, {3});
  Tensor ids = Tensor::from(std::vector<std::int32_t>{4, 9}, {2});
  mld::PhiloxNoise noise(7);
  const mld::SamplerPlan plan = mld::make_plan(em(20, 5, 2));
  const auto score = [](const Tensor& r, const Tensor&) { return r.clone(); };
  const Tensor out = mld::sample(score, z, given, ids, noise, plan);
  for (int b = 0; b < 2; ++b) {
    CHECK(out.data<float>()[b * 3 + 0] == z.data<float>()[b * 3 + 0]);
    CHECK(out.data<float>()[b * 3 + 2] == z.data<float>()[b * 3 + 2]);
    CHECK(out.data<float>()[b * 3 + 1] != z.data<float>()[b * 3 + 1]);
  }
  // A sampler outlives the callable that it was made with.
  mld::Sampler sampler(
      [offset = Tensor::zeros({2, 3})](const Tensor& r, const Tensor&) { return mld::add(r, offset).value; },
      noise, plan, {2, 3}, mld::DType::f32, mld::kCpu);
  CHECK(sampler(z, given, ids).data<float>()[1] == out.data<float>()[1]);
  int calls = 0;
  CHECK_THROWS_AS(
      mld::sample(score, z, given, ids, noise, plan, [&](std::int64_t, std::int64_t) { return ++calls < 3; }),
      mld::Cancelled);
  CHECK(calls == 3);
}

TEST_CASE("sampler: recorded transitions draw what eager ones draw, batch after batch, on every device") {
  const Tensor given = Tensor::from(std::vector<std::uint8_t>{1, 0, 0, 0}, {4});
  const auto draw = [&](mld::Device device, const mld::SamplerPlan& plan) {
    std::vector<float> factors;
    for (int k = 0; k <= 20; ++k) factors.push_back(-0.05f * static_cast<float>(k));
    const mld::Var table(Tensor::from(factors, {21, 1}, device));
    const mld::ScoreFunction score = [&](const Tensor& r, const Tensor& level) {
      return mld::mul(r, mld::gather_rows(table, level)).value;
    };
    mld::PhiloxNoise noise(7);
    mld::Sampler sampler(score, noise, plan, {6, 4}, mld::DType::f32, device);
    std::vector<std::vector<float>> batches;
    for (int batch = 0; batch < 3; ++batch) {
      const Tensor z = Tensor::full({6, 4}, 0.5 + batch, mld::DType::f32, device);
      const Tensor rows = Tensor::from(std::vector<std::int32_t>{batch, 11, 3, 8, 5, 2}, {6}, device);
      const Tensor out = sampler(z, given.to(device), rows).to(mld::kCpu);
      batches.emplace_back(out.span<float>().begin(), out.span<float>().end());
    }
    return batches;
  };
  using mld::SamplerMethod;
  for (const auto& [options, noised_given] : {std::pair{em(20, 5, 3), false},
                                              {em(20, 5, 3), true},
                                              {walk(SamplerMethod::dpm, 20, 5, 3), false},
                                              {walk(SamplerMethod::dpm_sde, 20, 1, 1, 3), false},
                                              {walk(SamplerMethod::heun, 20, 5, 2), true}}) {
    CAPTURE(static_cast<int>(options.method));
    const mld::SamplerPlan plan = mld::make_plan(options, noised_given);
    const auto want = draw(mld::kCpu, plan);
    CHECK(want[0] != want[1]);
    for (const mld::Device device : mld::test::queued_devices()) {
      const auto got = draw(device, plan);
      if (device == mld::kSim) CHECK(got == want);
      for (std::size_t batch = 0; batch < want.size(); ++batch)
        for (std::size_t i = 0; i < want[batch].size(); ++i)
          CHECK(got[batch][i] ==
                doctest::Approx(want[batch][i]).epsilon(1e-4));  // normals agree to a few ulp
    }
  }
}
