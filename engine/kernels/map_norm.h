// Group norm of maps [N, S, C]: S rows of C channels a sample. A group's channels are a short piece of
// every row, so all loops run along whole rows, over vectors of one value per channel, and sums over a
// group are taken from those vectors: narrow groups cost no more than wide ones. row_norm.h serves S = 1,
// unit_norm.h a GPU.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/kernels/row_norm.h"
#include "engine/kernels/scratch.h"

namespace mld {

struct MapLayout {
  std::int64_t rows, columns, groups;  // S, C, G
  MLD_HD std::int64_t width() const { return columns / groups; }
  MLD_HD std::int64_t group_size() const { return rows * width(); }
  MLD_HD std::int64_t sample_size() const { return rows * columns; }
};

// Sum of v over the channels of group g.
template <class T>
T group_sum(const MapLayout& l, const T* v, std::int64_t g) {
  return lane_sum<T>(l.width(), [from = v + g * l.width()](std::int64_t j) { return from[j]; });
}

// to[c] = value(g) for the channels c of every group g; value(g) may look at what `to` has there.
template <class T, class F>
void spread(const MapLayout& l, T* to, const F& value) {
  const std::int64_t width = l.width();
  for (std::int64_t g = 0; g < l.groups; ++g) std::fill_n(to + g * width, width, value(g));
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
    T *means = mean + n * l.groups, *rstds = rstd + n * l.groups;
    for (std::int64_t g = 0; g < l.groups; ++g) {
      const norm::Moments<T> m =
          norm::moments(centre[g * l.width()], {group_sum(l, sum, g), group_sum(l, squares, g)},
                        static_cast<T>(l.group_size()));
      means[g] = m.mean;
      rstds[g] = norm::rstd(m.variance, eps);
    }
    spread(l, centre, [=](std::int64_t g) { return means[g]; });
    spread(l, scale, [=](std::int64_t g) { return rstds[g]; });
    for (std::int64_t s = 0; s < l.rows; ++s)
      row(from + s * l.columns, centre, scale, y + n * l.sample_size() + s * l.columns);
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
    spread(l, centre, [&](std::int64_t g) { return group_sum(l, sum, g) / static_cast<T>(l.group_size()); });
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

  void row(const T* from, const T* centre, const T* scale, T* to) const {
    const F act = f;
#pragma GCC ivdep
    for (std::int64_t c = 0; c < l.columns; ++c)
      to[c] = act.value(norm::affine(norm::xhat(from[c], centre[c], scale[c]), gamma[c], beta[c]));
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
    spread(l, centre, [from = mean + n * l.groups](std::int64_t g) { return from[g]; });
    spread(l, scale, [from = rstd + n * l.groups](std::int64_t g) { return from[g]; });
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
    const T size = static_cast<T>(l.group_size());
    spread(l, sum, [=, this](std::int64_t g) { return group_sum(l, sum, g) / size; });
    spread(l, sum_xhat, [=, this](std::int64_t g) { return group_sum(l, sum_xhat, g) / size; });
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
      const T xhat = norm::xhat(from[c], centre[c], scale[c]);
      const T d = norm::dz(act, norm::affine(xhat, gamma[c], beta[c]), up[c]);
      dz[c] = d;
      sum[c] += d;
      sum_xhat[c] += d * xhat;
    }
  }

  void input(const T* from, const T* centre, const T* scale, const T* dz, const T* mean_h,
             const T* mean_h_xhat, T* to) const {
    const auto gradient = [=, gain = gamma](std::int64_t c) {
      const T xhat = norm::xhat(from[c], centre[c], scale[c]);
      return norm::dx(scale[c], gain[c] * dz[c], xhat, mean_h[c], mean_h_xhat[c]);
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
