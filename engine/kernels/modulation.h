// Adaptive layer norm: rows functors and reducers of modulated_layer_norm and gated_add (engine/ops/norm.h), for every
// backend. A modulation has a row for each sample or one for all (`shared`), on top of a learned vector [C].
#pragma once

#include <cstdint>

#include "engine/kernels/norm_formulas.h"
#include "engine/loops/team.h"

namespace mld {

// A modulation [R,C] read with the learned vector it is added to.
template <class T>
struct Modulation {
  const T *learned, *row;
  std::int64_t columns;
  bool shared;
  MLD_HD T operator()(std::int64_t n, std::int64_t c) const {
    return learned[c] + row[shared ? c : n * columns + c];
  }
};

// Where a gradient goes, or null; added to what is there if so marked.
template <class T>
struct GradientPlace {
  T* to = nullptr;
  bool add = false;
  MLD_HD void put(std::int64_t i, T value) const {
    if (to) to[i] = add ? to[i] + value : value;
  }
};

// y = gain xhat + shift, with x read once for each of the sums: a row stays in the first-level cache.
template <class T>
struct ModulatedNorm {
  T eps;
  const T* x;
  Modulation<T> gain, shift;
  T *y, *mean, *rstd;

  template <class Team>
  MLD_HD void operator()(std::int64_t n, const Team& team) const {
    const std::int64_t columns = gain.columns;
    const T* const from = x + n * columns;
    const T size = static_cast<T>(columns);
    const T centre = team.fold(
                         columns, T(0), [=](std::int64_t c) { return from[c]; }, Plus{}) /
                     size;
    const auto deviation = [=](std::int64_t c) {
      const T d = from[c] - centre;
      return norm::Pair<T>{d, d * d};
    };
    const norm::Moments<T> m =
        norm::moments(centre, team.fold(columns, norm::Pair<T>{T(0), T(0)}, deviation, Plus{}), size);
    const T r = norm::rstd(m.variance, eps);
    const Modulation<T> g = gain, b = shift;
    T* const to = y + n * columns;
    team.each(columns, [=](std::int64_t c) {
      to[c] = norm::affine(norm::xhat(from[c], m.mean, r), g(n, c), b(n, c));
    });
    team.once([&] {
      mean[n] = m.mean;
      rstd[n] = r;
    });
  }
};

// The adjoint of a row: dx, and of a modulation with a row for each sample its row.
template <class T>
struct ModulatedNormBackward {
  const T *x, *dy, *mean, *rstd;
  Modulation<T> gain;
  GradientPlace<T> dx, dscale, dshift;

  template <class Team>
  MLD_HD void operator()(std::int64_t n, const Team& team) const {
    const std::int64_t columns = gain.columns, first = n * columns;
    const T *const from = x + first, *const up = dy + first;
    const T m = mean[n], r = rstd[n], size = static_cast<T>(columns);
    const Modulation<T> g = gain;
    const auto terms = [=](std::int64_t c) {
      const T h = up[c] * g(n, c);
      return norm::Pair<T>{h, h * norm::xhat(from[c], m, r)};
    };
    const norm::Pair<T> sums = team.fold(columns, norm::Pair<T>{T(0), T(0)}, terms, Plus{});
    const T mean_h = sums.a / size, mean_h_xhat = sums.b / size;
    // In two loops: a GPU's registers would not hold all of it.
    team.each(columns, [=, to = dx](std::int64_t c) {
      const T xhat = norm::xhat(from[c], m, r);
      to.put(first + c, norm::dx(r, up[c] * g(n, c), xhat, mean_h, mean_h_xhat));
    });
    team.each(columns, [=, to_scale = dscale, to_shift = dshift](std::int64_t c) {
      to_scale.put(first + c, up[c] * norm::xhat(from[c], m, r));
      to_shift.put(first + c, up[c]);
    });
  }
};

// Sums over the rows: of dy xhat for what scales, of dy for what shifts.
template <class T>
struct ModulatedNormSums {
  const T *x, *dy, *mean, *rstd;
  std::int64_t columns;
  GradientPlace<T> gamma, beta, scale, shift;
  using Acc = norm::Pair<T>;
  MLD_HD Acc zero() const { return {T(0), T(0)}; }
  MLD_HD Acc load(std::int64_t c, std::int64_t n) const {
    const T up = dy[n * columns + c];
    return {up, up * norm::xhat(x[n * columns + c], mean[n], rstd[n])};
  }
  MLD_HD Acc join(Acc p, Acc q) const { return p + q; }
  MLD_HD void store(std::int64_t c, Acc sums) const {
    gamma.put(c, sums.b);
    scale.put(c, sums.b);
    beta.put(c, sums.a);
    shift.put(c, sums.a);
  }
};

// out = h + gate y.
template <class T>
struct GatedAdd {
  const T *h, *y;
  Modulation<T> gate;
  T* out;

  template <class Team>
  MLD_HD void operator()(std::int64_t n, const Team& team) const {
    const std::int64_t first = n * gate.columns;
    const T *const kept = h + first, *const gated = y + first;
    T* const to = out + first;
    const Modulation<T> g = gate;
    team.each(g.columns, [=](std::int64_t c) { to[c] = kept[c] + g(n, c) * gated[c]; });
  }
};

// The adjoint of a row but for h, whose gradient is dout itself.
template <class T>
struct GatedAddBackward {
  const T *y, *dout;
  Modulation<T> gate;
  GradientPlace<T> dy, drow;

  template <class Team>
  MLD_HD void operator()(std::int64_t n, const Team& team) const {
    const std::int64_t first = n * gate.columns;
    const T *const gated = y + first, *const up = dout + first;
    const Modulation<T> g = gate;
    const GradientPlace<T> to_y = dy, to_row = drow;
    team.each(g.columns, [=](std::int64_t c) {
      to_row.put(first + c, up[c] * gated[c]);
      to_y.put(first + c, up[c] * g(n, c));
    });
  }
};

// Sums over the rows of dout y.
template <class T>
struct GateSums {
  const T *y, *dout;
  std::int64_t columns;
  GradientPlace<T> learned, shared;
  using Acc = T;
  MLD_HD T zero() const { return T(0); }
  MLD_HD T load(std::int64_t c, std::int64_t n) const { return dout[n * columns + c] * y[n * columns + c]; }
  MLD_HD T join(T a, T b) const { return a + b; }
  MLD_HD void store(std::int64_t c, T sum) const {
    learned.put(c, sum);
    shared.put(c, sum);
  }
};

}  // namespace mld
