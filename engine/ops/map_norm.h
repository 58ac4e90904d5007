// Group norm of maps [N, S, C]: S rows of C channels a sample. A group's channels are a short piece of every
// row, so all loops run along whole rows, over vectors of one value per channel, and sums over a group are
// taken from those vectors: narrow groups cost no more than wide ones. Formulas as in row_norm.h, which
// serves S = 1.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "engine/ops/row_norm.h"
#include "engine/ops/scratch.h"

namespace mld {

struct MapLayout {
  std::int64_t rows, columns, groups;  // S, C, G
  std::int64_t width() const { return columns / groups; }
  std::int64_t group_size() const { return rows * width(); }
  std::int64_t sample_size() const { return rows * columns; }
};

// to[c] = value(g, sum of v over the channels of g) for the channels c of every group g. `to` may be v.
template <class T, class F>
void spread_group_sums(const MapLayout& l, const T* v, T* to, const F& value) {
  for (std::int64_t g = 0; g < l.groups; ++g) {
    const std::int64_t first = g * l.width();
    const T sum = lane_sum<T>(l.width(), [from = v + first](std::int64_t j) { return from[j]; });
    std::fill(to + first, to + first + l.width(), value(g, sum));
  }
}

template <class T, class F>
struct MapNorm {
  MapLayout l;
  F f;
  T eps;
  const T *x, *gamma, *beta;
  T *y, *mean, *rstd;  // mean and rstd: [N, G]

  void operator()(std::int64_t n) const {
    const Scratch<T> scratch(4, l.columns);
    T *centre = scratch[0], *scale = scratch[1], *sum = scratch[2], *squares = scratch[3];
    const T* from = x + n * l.sample_size();
    statistics(from, centre, sum, squares);
    const T size = static_cast<T>(l.group_size());
    T *means = mean + n * l.groups, *rstds = rstd + n * l.groups;
    // The sum of d = x - mean corrects the rounding of the mean and of the variance (the corrected two-pass
    // algorithm: Chan, Golub, LeVeque, Am. Stat. 37, 1983, eq. 1.7).
    spread_group_sums(l, sum, sum, [&](std::int64_t, T d) { return d / size; });
    spread_group_sums(l, squares, scale, [&](std::int64_t g, T d2) {
      const T d = sum[g * l.width()];
      means[g] = centre[g * l.width()] + d;
      return rstds[g] = T(1) / std::sqrt(d2 / size - d * d + eps);
    });
    for (std::int64_t s = 0; s < l.rows; ++s)
      row(from + s * l.columns, centre, sum, scale, y + n * l.sample_size() + s * l.columns);
  }

  // Means per group, and sums of d = x - mean and of d^2 per channel.
  void statistics(const T* from, T* centre, T* sum, T* squares) const {
    std::fill(sum, sum + l.columns, T(0));
    std::fill(squares, squares + l.columns, T(0));
    for (std::int64_t s = 0; s < l.rows; ++s) {
      const T* row = from + s * l.columns;
#pragma GCC ivdep
      for (std::int64_t c = 0; c < l.columns; ++c) sum[c] += row[c];
    }
    spread_group_sums(l, sum, centre,
                      [&](std::int64_t, T total) { return total / static_cast<T>(l.group_size()); });
    std::fill(sum, sum + l.columns, T(0));
    for (std::int64_t s = 0; s < l.rows; ++s) {
      const T* row = from + s * l.columns;
#pragma GCC ivdep
      for (std::int64_t c = 0; c < l.columns; ++c) {
        const T d = row[c] - centre[c];
        sum[c] += d;
        squares[c] += d * d;
      }
    }
  }

  void row(const T* from, const T* centre, const T* correction, const T* scale, T* to) const {
    const F act = f;
#pragma GCC ivdep
    for (std::int64_t c = 0; c < l.columns; ++c)
      to[c] = act.value((from[c] - (centre[c] + correction[c])) * scale[c] * gamma[c] + beta[c]);
  }
};

template <class T, class F>
struct MapNormBackward {
  MapLayout l;
  F f;
  const T *x, *dy, *gamma, *beta, *mean, *rstd;
  T* dx;  // or null
  bool add;

  // dgamma, dbeta [C] take the contribution of sample n.
  void operator()(std::int64_t n, T* dgamma, T* dbeta) const {
    const Scratch<T> scratch(4 + (add ? l.rows : 1), l.columns);
    T *centre = scratch[0], *scale = scratch[1], *sum = scratch[2], *sum_xhat = scratch[3],
      *spare = scratch[4];
    for (std::int64_t g = 0; g < l.groups; ++g) {
      std::fill(centre + g * l.width(), centre + (g + 1) * l.width(), mean[n * l.groups + g]);
      std::fill(scale + g * l.width(), scale + (g + 1) * l.width(), rstd[n * l.groups + g]);
    }
    std::fill(sum, sum + l.columns, T(0));
    std::fill(sum_xhat, sum_xhat + l.columns, T(0));
    const std::int64_t origin = n * l.sample_size();
    // dz of every row is kept for the second pass: in dx, unless that holds another contribution.
    const auto dz = [&](std::int64_t s) {
      return dx == nullptr ? spare : (add ? spare : dx + origin) + s * l.columns;
    };
    for (std::int64_t s = 0; s < l.rows; ++s) {
      const std::int64_t at = origin + s * l.columns;
      parameters(x + at, dy + at, centre, scale, dz(s), sum, sum_xhat);
    }
#pragma GCC ivdep
    for (std::int64_t c = 0; c < l.columns; ++c) {
      dgamma[c] += sum_xhat[c];
      dbeta[c] += sum[c];
      sum[c] *= gamma[c];
      sum_xhat[c] *= gamma[c];
    }
    if (dx == nullptr) return;
    const auto mean_of = [size = static_cast<T>(l.group_size())](std::int64_t, T total) {
      return total / size;
    };
    spread_group_sums(l, sum, sum, mean_of);
    spread_group_sums(l, sum_xhat, sum_xhat, mean_of);
    for (std::int64_t s = 0; s < l.rows; ++s) {
      const std::int64_t at = origin + s * l.columns;
      input(x + at, centre, scale, dz(s), sum, sum_xhat, dx + at);
    }
  }

  void parameters(const T* from, const T* up, const T* centre, const T* scale, T* dz, T* sum,
                  T* sum_xhat) const {
    const F act = f;
#pragma GCC ivdep
    for (std::int64_t c = 0; c < l.columns; ++c) {
      const T xhat = (from[c] - centre[c]) * scale[c], z = xhat * gamma[c] + beta[c];
      const T d = up[c] * act.derivative(z, act.value(z));
      dz[c] = d;
      sum[c] += d;
      sum_xhat[c] += d * xhat;
    }
  }

  void input(const T* from, const T* centre, const T* scale, const T* dz, const T* mean_h,
             const T* mean_h_xhat, T* to) const {
    const auto gradient = [=, gain = gamma](std::int64_t c) {
      const T xhat = (from[c] - centre[c]) * scale[c];
      return scale[c] * (gain[c] * dz[c] - (mean_h[c] + xhat * mean_h_xhat[c]));
    };
    if (add) {
#pragma GCC ivdep
      for (std::int64_t c = 0; c < l.columns; ++c) to[c] += gradient(c);
    } else {
#pragma GCC ivdep
      for (std::int64_t c = 0; c < l.columns; ++c) to[c] = gradient(c);
    }
  }
};

}  // namespace mld
