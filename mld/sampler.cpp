#include "mld/sampler.h"

#include <cmath>

#include "engine/core/drivers.h"
#include "mld/sde.h"

namespace mld {
namespace {

// Scalars of one transition, x <- keep x + push n + spread zeta.
struct Transition {
  double keep, push, spread;
};

// Level k -> k-1: Euler-Maruyama on the reverse SDE with the coefficients of level k; no noise on the last
// step.
Transition reverse_transition(const Schedule& schedule, int level) {
  const double t = schedule.time(level), dt = 1.0 / schedule.levels, beta = VpSde::beta(t);
  return {1 + 0.5 * beta * dt, beta * dt / VpSde::std_dev(t), level > 1 ? std::sqrt(beta * dt) : 0.0};
}

// Level k -> k+1: diffuses one step again.
Transition forward_transition(const Schedule& schedule, int level, Renoise kind) {
  const double t = schedule.time(level), dt = 1.0 / schedule.levels;
  if (kind == Renoise::exact) {
    const double b = VpSde::integral(schedule.time(level + 1)) - VpSde::integral(t);
    return {std::exp(-0.5 * b), 0.0, std::sqrt(-std::expm1(-b))};
  }
  const double beta = VpSde::beta(t);
  return {1 - 0.5 * beta * dt, 0.0, std::sqrt(beta * dt)};
}

template <class T>
struct Advance {  // one row of a transition; given coordinates stay at z
  T *r, *zeta;
  const T *n, *z;
  const std::uint8_t* given;
  std::int64_t dim;
  T keep, push, spread;
  template <class Team>
  MLD_HD void operator()(std::int64_t row, const Team& team) const {
    const std::int64_t first = row * dim;
    team.each(dim, [f = *this, first](std::int64_t d) {
      const std::int64_t i = first + d;
      T x = f.keep * f.r[i];
      if (f.n) x += f.push * f.n[i];
      if (f.zeta) x += f.spread * f.zeta[i];
      f.r[i] = f.given[d] ? f.z[i] : x;
    });
  }
};

void advance(const Tensor& r, const Tensor& n, const Tensor& zeta, const Tensor& z, const Tensor& given,
             Transition c) {
  dispatch_float(r.dtype(), "sample", [&]<class T>() {
    const Advance<T> f{r.ptr<T>(),
                       zeta.defined() ? zeta.ptr<T>() : nullptr,
                       n.defined() ? n.ptr<T>() : nullptr,
                       z.ptr<T>(),
                       given.ptr<std::uint8_t>(),
                       r.shape()[1],
                       static_cast<T>(c.keep),
                       static_cast<T>(c.push),
                       static_cast<T>(c.spread)};
    for_each_row(r.device(), r.shape()[0], r.shape()[1], f);
  });
}

}  // namespace

Tensor sample(const ScoreFunction& score, const Tensor& z, const Tensor& given, const Tensor& rows,
              NoiseSource& noise, const SamplerOptions& options, const SamplerProgress& progress) {
  MLD_CHECK(z.shape().rank() == 2 && given.shape() == Shape({z.shape()[1]}) &&
                rows.shape() == Shape({z.shape()[0]}),
            "sample: z ", z.shape(), ", given ", given.shape(), ", rows ", rows.shape(),
            "; expected [B,D], [D], [B]");
  const std::vector<int> walk = options.schedule.walk();
  const std::int64_t total = count(walk).reverse;
  const Tensor r = Tensor::empty(z.shape(), z.dtype(), z.device());
  const Tensor zeta = Tensor::empty(z.shape(), z.dtype(), z.device());
  noise.normal(zeta, kSiteInitial, 0, rows);
  r.zero();
  advance(r, {}, zeta, z, given, {0, 0, 1});

  std::int64_t done = 0;
  for (std::size_t i = 0; i + 1 < walk.size(); ++i) {
    const int level = walk[i];
    const bool reverse = walk[i + 1] < level;
    const Transition c = reverse ? reverse_transition(options.schedule, level)
                                 : forward_transition(options.schedule, level, options.renoise);
    const Tensor n = reverse ? score(r, level) : Tensor();
    if (c.spread > 0) noise.normal(zeta, kSiteTransition, static_cast<std::uint32_t>(i), rows);
    advance(r, n, c.spread > 0 ? zeta : Tensor(), z, given, c);
    if (reverse && progress && !progress(++done, total)) throw Cancelled{};
  }
  return r;
}

}  // namespace mld
