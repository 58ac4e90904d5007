#include "mld/diffusion/sampler_plan.h"

#include <algorithm>
#include <cmath>

#include "engine/base/error.h"
#include "mld/diffusion/schedule.h"
#include "mld/diffusion/sde.h"

namespace mld {
namespace {

double ratio(double t) { return std::sqrt(std::expm1(VpSde::integral(t))); }  // sigma/a
double time_of_ratio(double s) { return VpSde::time_of_integral(std::log1p(s * s)); }

// Monotone functions of s = sigma/a and their inverses; levels are evenly spaced in them.
struct Karras {
  static constexpr double kRho = 7;
  static double of(double s) { return std::pow(s, 1 / kRho); }
  static double inverse(double x) { return std::pow(x, kRho); }
};
struct LogUpToBlind {
  static constexpr double kBlind = SamplerPlan::kBlindRatio;
  static double of(double s) { return std::log(s / std::hypot(1, s / kBlind)); }
  static double inverse(double x) { return 1 / std::sqrt(std::exp(-2 * x) - 1 / (kBlind * kBlind)); }
};

template <class Spacing>
void add_levels(std::vector<double>& times, int levels, double first) {
  const double low = Spacing::of(first), high = Spacing::of(ratio(1));
  for (int k = 1; k < levels; ++k)
    times.push_back(time_of_ratio(Spacing::inverse(low + (high - low) * (k - 1) / (levels - 1))));
  times.push_back(1);
}

std::vector<double> level_times(SamplerMethod method, int levels) {
  std::vector<double> times{0};
  if (method == SamplerMethod::em)
    for (int k = 1; k <= levels; ++k) times.push_back(static_cast<double>(k) / levels);
  else if (method == SamplerMethod::dpm_sde)
    add_levels<LogUpToBlind>(times, levels, SamplerPlan::kFirstRatio);
  else
    add_levels<Karras>(times, levels, ratio(SamplerPlan::kFirstTime));
  return times;
}

// Euler-Maruyama with the coefficients of the upper level; no noise on the last step.
Transition em_step(int level, int levels) {
  const double t = static_cast<double>(level) / levels, dt = 1.0 / levels, beta = VpSde::beta(t);
  Transition step{.level = level, .evaluates = true, .noisy = level > 1};
  step.keep = 1 + 0.5 * beta * dt;
  step.push = beta * dt / VpSde::std_dev(t);
  step.spread = step.noisy ? std::sqrt(beta * dt) : 0;
  return step;
}

// Second moments of the state r and of D_before, for latents that are standard normal: r stays so at every
// level, and D is a r.
struct NormalLaw {
  double state = 1, both = 0, before = 0;
};

// With D = (r + sigma n) / a, the network's guess of the data, and h the step in log(a/sigma):
//   r <- (sigma'/sigma) e^-ch r + a' (1 - e^-(1+c)h) D' + sigma' sqrt(1 - e^-2ch) zeta,  c = churn (ODE: 0),
// where D' = D + w (D - D_before), and D' = D for the first step and the last. Small steps ask for
// w = h / (2 h_before). With churn that lets the variance drift (at churn 20 and 50 levels to 0.85 of a
// standard normal's near sigma = a): w is then the weight that keeps the variance, within a bound, for which
// it dips to 0.90 and is back at the last levels. For small steps the two weights agree.
Transition dpm_step(int level, double t, double u, double h_before, double churn, NormalLaw& law) {
  // Where the latents hardly show, D hardly changes and w would be huge.
  constexpr double kMostOverSmallSteps = 1.5;
  const double a = VpSde::mean(t), sigma = VpSde::std_dev(t), a_next = VpSde::mean(u);
  Transition step{.level = level, .evaluates = true, .save_keep = 1 / a, .save_push = sigma / a};
  if (u == 0) {
    step.keep = 1 / a;
    step.push = sigma / a;
    return step;
  }
  const double h = std::log(ratio(t) / ratio(u)), sigma_next = VpSde::std_dev(u);
  const double kept = sigma_next / sigma * std::exp(-churn * h);
  const double gain = a_next * -std::expm1(-(1 + churn) * h);
  step.noisy = churn > 0;
  step.spread = sigma_next * std::sqrt(-std::expm1(-2 * churn * h));

  const double plain = kept + gain * a;  // r <- plain r + w gain (D - D_before) + spread zeta
  const double change = a * law.state - law.both;
  double w = h_before > 0 ? h / (2 * h_before) : 0;
  if (churn > 0 && h_before > 0) {
    const double square = gain * gain * (a * change - a * law.both + law.before);
    const double linear = gain * plain * change;
    const double missing = 1 - plain * plain * law.state - step.spread * step.spread;
    const double root = std::sqrt(std::max(0.0, linear * linear + square * missing));
    w = std::clamp((root - linear) / square, 0.0, kMostOverSmallSteps * w);
  }
  step.keep = kept + gain * (1 + w) / a;
  step.push = gain * (1 + w) * sigma / a;
  step.carry = -gain * w;

  const double of_state = plain + w * gain * a, of_before = -w * gain;
  law = {of_state * of_state * law.state + 2 * of_state * of_before * law.both +
             of_before * of_before * law.before + step.spread * step.spread,
         a * (of_state * law.state + of_before * law.both), a * a * law.state};
  return step;
}

// In x = r/a against s = sigma/a the ODE is dx/ds = -n.
void add_heun_step(std::vector<Transition>& out, int level, double t, double u) {
  const double scale = VpSde::mean(u) / VpSde::mean(t);
  const double step = VpSde::mean(u) * ((u > 0 ? ratio(u) : 0) - ratio(t));
  out.push_back({.level = level,
                 .evaluates = true,
                 .keep = scale,
                 .push = -step,
                 .save_keep = scale,
                 .save_push = -step / 2});
  if (u > 0) out.push_back({.level = level - 1, .evaluates = true, .push = -step / 2, .carry = 1});
}

Transition way_back(const SamplerOptions& options, int level, double t, double u) {
  Transition step{.level = level, .noisy = true};
  if (options.method == SamplerMethod::em && options.renoise == Renoise::euler) {
    const double dt = 1.0 / static_cast<double>(options.steps), beta = VpSde::beta(t);
    step.keep = 1 - 0.5 * beta * dt;
    step.spread = std::sqrt(beta * dt);
  } else {
    const double b = VpSde::integral(u) - VpSde::integral(t);
    step.keep = std::exp(-0.5 * b);
    step.spread = std::sqrt(-std::expm1(-b));
  }
  return step;
}

void check_ranges(const SamplerOptions& options) {
  config::visit_fields(options, [](const char* name, const auto& value, const auto& limits, const char*) {
    if constexpr (std::is_arithmetic_v<std::remove_cvref_t<decltype(value)>>) {
      const auto number = static_cast<double>(value);
      MLD_CHECK_AS(ErrorKind::usage, number >= limits.lowest && number <= limits.highest, "sampler ", name,
                   " ", value, "; expected ", limits.lowest, " to ", limits.highest);
    }
  });
}

}  // namespace

SamplerPlan make_plan(const SamplerOptions& options, bool noised_given) {
  const std::vector<int> walk = Schedule{options.steps, options.jump, options.resample}.walk();
  check_ranges(options);
  const auto levels = static_cast<int>(options.steps);
  SamplerPlan plan;
  plan.times = level_times(options.method, levels);
  plan.noised_given = noised_given;
  const auto time = [&](int level) { return plan.times[static_cast<std::size_t>(level)]; };
  double h_before = 0;  // 0: the memory is of another stretch
  NormalLaw law;
  for (std::size_t i = 0; i + 1 < walk.size(); ++i) {
    const int level = walk[i], next = walk[i + 1];
    const double t = time(level), u = time(next);
    if (next > level) {
      const Transition& step = plan.transitions.emplace_back(way_back(options, level, t, u));
      h_before = 0;
      law.state = step.keep * step.keep * law.state + step.spread * step.spread;
    } else if (options.method == SamplerMethod::em) {
      plan.transitions.push_back(em_step(level, levels));
    } else if (options.method == SamplerMethod::heun) {
      add_heun_step(plan.transitions, level, t, u);
    } else {
      const double churn = options.method == SamplerMethod::dpm_sde ? options.churn : 0;
      plan.transitions.push_back(dpm_step(level, t, u, h_before, churn, law));
      h_before = u > 0 ? std::log(ratio(t) / ratio(u)) : 0;
    }
  }
  for (Transition& step : plan.transitions) {
    const double s = ratio(time(step.level));
    step.guided =
        step.evaluates && options.guidance != 1 && s >= options.guidance_low && s <= options.guidance_high;
    plan.evaluations += step.evaluates;
    plan.guided += step.guided;
    plan.remembers |= step.carry != 0;
    if (!noised_given) continue;
    step.given_mean = VpSde::mean(time(step.level));
    step.given_std = step.level > 1 ? VpSde::std_dev(time(step.level)) : 0;
  }
  return plan;
}

}  // namespace mld
