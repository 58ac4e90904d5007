// How a training time is drawn from a uniform number (docs/method.md section 8).
//   uniform     t = t_min + (1 - t_min) u
//   importance  density proportional to g(t)^2 / sigma(t)^2, truncated below 1e-3: likelihood weighting
//   lognormal   log(sigma/a) normal, as in EDM: spends the steps where the denoising is decided
// Functions of scalars only, so that a captured step can draw on the device.
#pragma once

#include <cmath>
#include <cstdint>

#include "mld/config/config.h"
#include "mld/diffusion/sde.h"

namespace mld {

// Time density of the importance sampler with its normaliser, distribution function and the inverse of it.
struct ImportanceTime {
  static constexpr double kTruncation = 1e-3;
  MLD_HD static double log_expm1(double b) { return b > 30 ? b : std::log(std::expm1(b)); }
  MLD_HD static double lambda(double t) { return log_expm1(VpSde::integral(t)); }
  MLD_HD static double rate() {  // rho_eps
    const double s = VpSde::std_dev(kTruncation);
    return VpSde::beta(kTruncation) / (s * s);
  }
  MLD_HD static double normaliser() { return rate() * kTruncation + lambda(1) - lambda(kTruncation); }
  MLD_HD static double distribution(double t) {  // 0 <= t <= 1
    const double mass = t > kTruncation ? rate() * kTruncation + lambda(t) - lambda(kTruncation) : rate() * t;
    return mass / normaliser();
  }
  MLD_HD static double inverse(double u) {
    const double z = normaliser(), head = rate() * kTruncation;
    if (u * z <= head) return u * z / rate();
    const double y = z * u + lambda(kTruncation) - head;
    const double integral = y > 30 ? y + std::log1p(std::exp(-y)) : std::log1p(std::exp(y));
    return VpSde::time_of_integral(integral);
  }
};

struct TimeDistribution {
  TimeSampling kind = TimeSampling::uniform;
  double t_min = kEarliestTime;
  double log_mean = 0, log_std = 1;  // of log(sigma/a), lognormal only

  // u in [0,1); z a standard normal, read by lognormal only.
  MLD_HD double draw(double u, double z) const {
    switch (kind) {
      case TimeSampling::uniform:
        return (1 - t_min) * u + t_min;
      case TimeSampling::importance:
        return std::fmin(1.0, std::fmax(t_min, ImportanceTime::inverse(u)));
      case TimeSampling::lognormal: {
        const double ratio = std::exp(log_mean + log_std * z);  // sigma/a, and B = log(1 + (sigma/a)^2)
        return std::fmin(1.0, std::fmax(t_min, VpSde::time_of_integral(std::log1p(ratio * ratio))));
      }
    }
    return t_min;
  }
};

}  // namespace mld
