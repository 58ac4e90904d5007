// Variance-preserving SDE (docs/method.md section 4) in closed form: beta(t) = bmin + t (bmax - bmin), T = 1.
// Everything is a small pure function of t in double, used by training, sampling and evaluation alike.
#pragma once

#include <cmath>

#include "engine/base/hd.h"

namespace mld {

struct VpSde {
  static constexpr double kBetaMin = 0.1;
  static constexpr double kBetaMax = 20.0;

  MLD_HD static double beta(double t) { return kBetaMin + t * (kBetaMax - kBetaMin); }
  // B(t), the integral of beta from 0 to t, and its inverse.
  MLD_HD static double integral(double t) { return kBetaMin * t + 0.5 * (kBetaMax - kBetaMin) * t * t; }
  MLD_HD static double time_of_integral(double b) {
    constexpr double c = kBetaMax - kBetaMin;
    return (std::sqrt(kBetaMin * kBetaMin + 2 * c * b) - kBetaMin) / c;
  }
  MLD_HD static double mean(double t) { return std::exp(-0.5 * integral(t)); }             // a(t)
  MLD_HD static double std_dev(double t) { return std::sqrt(-std::expm1(-integral(t))); }  // sigma(t)
  MLD_HD static double diffusion(double t) { return std::sqrt(beta(t)); }                  // g(t)
  // A value z diffused to the time of a and sigma: the forward kernel in one formula.
  template <class T>
  MLD_HD static T diffused(T a, T z, T sigma, T noise) {
    return a * z + sigma * noise;
  }
};

}  // namespace mld
