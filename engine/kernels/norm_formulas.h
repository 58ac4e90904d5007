// The formulas of the normalisations, shared by their routes on the CPU and on a GPU. With xhat = (x -
// mean)/std, z = gamma xhat + beta what enters the activation, dz its gradient and h = gamma dz:
//   dgamma = sum dz xhat,  dbeta = sum dz,  dx = 1/std (h - mean(h) - xhat mean(h xhat)),
// the means being over the values that share a mean and a std.
#pragma once

#include <cmath>
#include <cstdint>

#include "engine/base/hd.h"
#include "engine/core/tape.h"

namespace mld::norm {

template <class T>
struct Pair {
  T a, b;
  friend MLD_HD Pair operator+(Pair p, Pair q) { return {p.a + q.a, p.b + q.b}; }
};

template <class T>
struct Moments {
  T mean, variance;
};

// Of n values, from the sums of d = x - centre and of d^2. The first corrects the rounding of the
// centre, a mean, and of the variance (the corrected two-pass algorithm: Chan, Golub, LeVeque, Am. Stat.
// 37, 1983, eq. 1.7).
template <class T>
MLD_HD Moments<T> moments(T centre, Pair<T> sums, T n) {
  const T d = sums.a / n;
  return {centre + d, sums.b / n - d * d};
}

template <class T>
MLD_HD T rstd(T variance, T eps) {
  return T(1) / std::sqrt(variance + eps);
}

template <class T>
MLD_HD T xhat(T x, T mean, T rstd) {
  return (x - mean) * rstd;
}

template <class T>
MLD_HD T affine(T xhat, T gamma, T beta) {
  return xhat * gamma + beta;
}

template <class F, class T>
MLD_HD T dz(const F& activation, T z, T dy) {
  return dy * activation.derivative(z, activation.value(z));
}

template <class T>
MLD_HD T dx(T rstd, T h, T xhat, T mean_h, T mean_h_xhat) {
  return rstd * (h - (mean_h + xhat * mean_h_xhat));
}

// Where the gradients of gamma and beta go, [C] each, or null; added to what is there if so marked.
template <class T>
struct ParameterGradients {
  T *gamma, *beta;
  bool add_gamma, add_beta;
  // sums: of dz and of dz xhat.
  MLD_HD void store(std::int64_t c, Pair<T> sums) const {
    if (gamma) gamma[c] = add_gamma ? gamma[c] + sums.b : sums.b;
    if (beta) beta[c] = add_beta ? beta[c] + sums.a : sums.a;
  }
};

template <class T>
ParameterGradients<T> parameter_gradients(Slot gamma, Slot beta, std::int64_t columns, const Tensor& dy,
                                          Tape& tape) {
  const auto target = [&](Slot slot) {
    return slot.constant() ? Tape::Target{} : tape.target(slot, {columns}, dy.dtype(), dy.device());
  };
  const auto place = [](const Tape::Target& t) {
    return t.grad.defined() ? t.grad.template ptr<T>() : nullptr;
  };
  const Tape::Target to_gamma = target(gamma), to_beta = target(beta);
  return {place(to_gamma), place(to_beta), to_gamma.add, to_beta.add};
}

}  // namespace mld::norm
