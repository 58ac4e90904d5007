// Group norm on a GPU: a team of threads for each unit, the channels of one group in the S rows of one
// sample. On the CPU row_norm.h and map_norm.h compute the same.
#pragma once

#include <cstdint>
#include <limits>

#include "engine/kernels/map_norm.h"
#include "engine/kernels/norm_formulas.h"
#include "engine/loops/team.h"

namespace mld {

// Rows and a unit's values are counted in 32 bits on the GPU: a division of 64 bits for each value would cost
// more than the arithmetic.
inline bool fits_units(const MapLayout& l, std::int64_t samples) {
  constexpr std::int64_t kMost = std::numeric_limits<std::uint32_t>::max();
  return l.sample_size() <= kMost && samples * l.rows <= kMost;
}

// The places in memory of a unit's S * width values.
struct UnitPlaces {
  std::uint32_t width;
  bool one_row;
  std::int64_t columns;
  std::int64_t first, channel;  // of value 0
  MLD_HD UnitPlaces(const MapLayout& l, std::int64_t unit)
      : width(static_cast<std::uint32_t>(l.width())), one_row(l.rows == 1), columns(l.columns) {
    channel = unit % l.groups * width;
    first = unit / l.groups * l.sample_size() + channel;
  }
  struct Place {
    std::int64_t element, channel;
  };
  MLD_HD Place operator()(std::int64_t j) const {
    if (one_row) return {first + j, channel + j};
    const std::uint32_t i = static_cast<std::uint32_t>(j), row = i / width, c = i - row * width;
    return {first + row * columns + c, channel + c};
  }
};

// f(unit, team) for the N * G units.
template <class T, class F>
struct UnitNorm {
  MapLayout l;
  F f;
  T eps;
  const T *x, *gamma, *beta;
  T *y, *mean, *rstd;  // mean and rstd: [N, G]

  template <class Team>
  MLD_HD void operator()(std::int64_t unit, const Team& team) const {
    const UnitPlaces place(l, unit);
    const std::int64_t count = l.group_size();
    const T size = static_cast<T>(count);
    const T centre = team.fold(
                         count, T(0), [&](std::int64_t j) { return x[place(j).element]; }, Plus{}) /
                     size;
    const auto deviation = [&](std::int64_t j) {
      const T d = x[place(j).element] - centre;
      return norm::Pair<T>{d, d * d};
    };
    const norm::Moments<T> m =
        norm::moments(centre, team.fold(count, norm::Pair<T>{T(0), T(0)}, deviation, Plus{}), size);
    const T r = norm::rstd(m.variance, eps);
    team.each(count, [&](std::int64_t j) {
      const auto at = place(j);
      y[at.element] =
          f.value(norm::affine(norm::xhat(x[at.element], m.mean, r), gamma[at.channel], beta[at.channel]));
    });
    team.once([&] {
      mean[unit] = m.mean;
      rstd[unit] = r;
    });
  }
};

// dx; h is computed twice rather than kept.
template <class T, class F>
struct UnitNormBackward {
  MapLayout l;
  F f;
  const T *x, *dy, *gamma, *beta, *mean, *rstd;
  T* dx;
  bool add;

  template <class Team>
  MLD_HD void operator()(std::int64_t unit, const Team& team) const {
    const UnitPlaces place(l, unit);
    const std::int64_t count = l.group_size();
    const T size = static_cast<T>(count), m = mean[unit], r = rstd[unit];
    struct Term {
      std::int64_t element;
      T h, xhat;
    };
    const auto term = [&](std::int64_t j) {
      const auto at = place(j);
      const T xhat = norm::xhat(x[at.element], m, r), gain = gamma[at.channel];
      return Term{at.element, gain * norm::dz(f, norm::affine(xhat, gain, beta[at.channel]), dy[at.element]),
                  xhat};
    };
    const norm::Pair<T> sums = team.fold(
        count, norm::Pair<T>{T(0), T(0)},
        [&](std::int64_t j) {
          const Term t = term(j);
          return norm::Pair<T>{t.h, t.h * t.xhat};
        },
        Plus{});
    const T mean_h = sums.a / size, mean_h_xhat = sums.b / size;
    team.each(count, [&](std::int64_t j) {
      const Term t = term(j);
      const T gradient = norm::dx(r, t.h, t.xhat, mean_h, mean_h_xhat);
      dx[t.element] = add ? dx[t.element] + gradient : gradient;
    });
  }
};

// Reducer over the N * S rows: dgamma and dbeta.
template <class T, class F>
struct UnitParameterSums {
  MapLayout l;
  F f;
  const T *x, *dy, *gamma, *beta, *mean, *rstd;
  norm::ParameterGradients<T> gradients;
  using Acc = norm::Pair<T>;
  MLD_HD Acc zero() const { return {T(0), T(0)}; }
  MLD_HD Acc load(std::int64_t c, std::int64_t row) const {
    const std::int64_t unit = sample(row) * l.groups + c / l.width();
    const T xhat = norm::xhat(x[row * l.columns + c], mean[unit], rstd[unit]);
    const T dz = norm::dz(f, norm::affine(xhat, gamma[c], beta[c]), dy[row * l.columns + c]);
    return {dz, dz * xhat};
  }
  MLD_HD std::int64_t sample(std::int64_t row) const {
    return l.rows == 1 ? row : static_cast<std::uint32_t>(row) / static_cast<std::uint32_t>(l.rows);
  }
  MLD_HD Acc join(Acc p, Acc q) const { return p + q; }
  MLD_HD void store(std::int64_t c, Acc sums) const { gradients.store(c, sums); }
};

}  // namespace mld
