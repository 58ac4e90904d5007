// Group norm of vectors [N, C] (no axes between sample and channels), as the score network and layer norm use
// it: the channels of a group lie side by side and stay in the first-level cache, so that each sum is one
// more short pass. Maps with more rows per sample: map_norm.h; on a GPU: unit_norm.h.
#pragma once

#include <cstdint>

#include "engine/kernels/norm_formulas.h"
#include "engine/kernels/scratch.h"

namespace mld {

// Sum of term(0) .. term(n-1) in lanes that are joined as a tree. As driver::fold_lanes, but with the tree
// written out: groups are so short that its latency counts.
template <class T, class Term>
T lane_sum(std::int64_t n, const Term& term) {
  T lanes[16] = {};
  std::int64_t j = 0;
  for (; j + 16 <= n; j += 16)
    for (int l = 0; l < 16; ++l) lanes[l] += term(j + l);
  for (int l = 0; j < n; ++j, ++l) lanes[l] += term(j);
  T a[8], b[4], c[2];
  for (int l = 0; l < 8; ++l) a[l] = lanes[l] + lanes[l + 8];
  for (int l = 0; l < 4; ++l) b[l] = a[l] + a[l + 4];
  for (int l = 0; l < 2; ++l) c[l] = b[l] + b[l + 2];
  return c[0] + c[1];
}

// f(row): y = act(gamma xhat + beta) with xhat = (x - mean)/std of its group; mean and rstd are [N, G].
template <class T, class F>
struct RowNorm {
  std::int64_t groups, width;
  F f;
  T eps;
  const T *x, *gamma, *beta;
  T *y, *mean, *rstd;

  void operator()(std::int64_t row) const {
    for (std::int64_t g = 0; g < groups; ++g) {
      const std::int64_t at = (row * groups + g) * width;
      group(x + at, gamma + g * width, beta + g * width, y + at, mean + row * groups + g,
            rstd + row * groups + g);
    }
  }

  void group(const T* from, const T* gain, const T* shift, T* to, T* mean_out, T* rstd_out) const {
    const F act = f;
    const T size = static_cast<T>(width);
    const T m = lane_sum<T>(width, [=](std::int64_t j) { return from[j]; }) / size;
    const T squares = lane_sum<T>(width, [=](std::int64_t j) { return (from[j] - m) * (from[j] - m); });
    const T r = norm::rstd(squares / size, eps);
#pragma GCC ivdep
    for (std::int64_t j = 0; j < width; ++j)
      to[j] = act.value(norm::affine(norm::xhat(from[j], m, r), gain[j], shift[j]));
    *mean_out = m;
    *rstd_out = r;
  }
};

// The adjoint for one row.
template <class T, class F>
struct RowNormBackward {
  std::int64_t groups, width;
  F f;
  const T *x, *dy, *gamma, *beta, *mean, *rstd;
  T* dx;  // or null
  bool add;

  // dgamma, dbeta [C] take the contribution of row n.
  void operator()(std::int64_t n, T* dgamma, T* dbeta) const {
    const Scratch<T> scratch(1, width);
    for (std::int64_t g = 0; g < groups; ++g) {
      const std::int64_t at = (n * groups + g) * width;
      const T m = mean[n * groups + g], r = rstd[n * groups + g];
      T* const h = dx == nullptr || add ? scratch[0] : dx + at;
      parameters(x + at, dy + at, gamma + g * width, beta + g * width, m, r, dgamma + g * width,
                 dbeta + g * width, h);
      if (dx) input(x + at, h, m, r, dx + at);
    }
  }

  void parameters(const T* from, const T* up, const T* gain, const T* shift, T m, T r, T* dgamma, T* dbeta,
                  T* h) const {
    const F act = f;
#pragma GCC ivdep
    for (std::int64_t j = 0; j < width; ++j) {
      const T xhat = norm::xhat(from[j], m, r);
      const T dz = norm::dz(act, norm::affine(xhat, gain[j], shift[j]), up[j]);
      dgamma[j] += dz * xhat;
      dbeta[j] += dz;
      h[j] = dz * gain[j];
    }
  }

  void input(const T* from, const T* h, T m, T r, T* to) const {
    const T size = static_cast<T>(width);
    const T mean_h = lane_sum<T>(width, [=](std::int64_t j) { return h[j]; }) / size;
    const T mean_h_xhat =
        lane_sum<T>(width, [=](std::int64_t j) { return h[j] * norm::xhat(from[j], m, r); }) / size;
    const auto gradient = [=](std::int64_t j) {
      return norm::dx(r, h[j], norm::xhat(from[j], m, r), mean_h, mean_h_xhat);
    };
    if (add) {
#pragma GCC ivdep
      for (std::int64_t j = 0; j < width; ++j) to[j] += gradient(j);
    } else {
#pragma GCC ivdep
      for (std::int64_t j = 0; j < width; ++j) to[j] = gradient(j);
    }
  }
};

}  // namespace mld
