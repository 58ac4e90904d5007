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

// First work of a transition: the next place of the walk, its level and its scalars.
struct NextPlace {
  std::int32_t *place, *level;
  double* current;
  const std::int32_t* levels;
  const double* coefficients;
  MLD_HD void operator()(std::int64_t) const {
    const std::int32_t at = *place + 1;
    *place = at;
    *level = levels[at];
    for (int i = 0; i < 3; ++i) current[i] = coefficients[3 * at + i];
  }
};

template <class T>
struct Advance {  // one row of a transition; given coordinates stay at z
  T* r;
  const T *n, *zeta, *z;  // n and zeta may be null
  const std::uint8_t* given;
  const double* coefficients;
  std::int64_t dim;
  template <class Team>
  MLD_HD void operator()(std::int64_t row, const Team& team) const {
    const std::int64_t first = row * dim;
    const T keep = static_cast<T>(coefficients[0]), push = static_cast<T>(coefficients[1]),
            spread = static_cast<T>(coefficients[2]);
    T* const x = r + first;
    const T *step = n ? n + first : nullptr, *noise = zeta ? zeta + first : nullptr, *known = z + first;
    team.each(dim, [=, fixed = given](std::int64_t d) {
      T value = keep * x[d];
      if (step) value += push * step[d];
      if (noise) value += spread * noise[d];
      x[d] = fixed[d] ? known[d] : value;
    });
  }
};

// Transition 0 is the start: r becomes noise. The others follow the walk.
constexpr Transition kStart{0, 0, 1};

constexpr int kProgressEvery =
    16;  // reverse transitions between waits for a device, so that progress is true

}  // namespace

Sampler::Sampler(const ScoreFunction& score, NoiseSource& noise, const SamplerOptions& options,
                 const Shape& shape, DType dtype, Device device)
    : score_(score),
      noise_(noise),
      walk_(options.schedule.walk()),
      reverse_count_(count(walk_).reverse),
      place_(Tensor::empty({1}, DType::i32, device)),
      level_(Tensor::empty({1}, DType::i32, device)),
      current_(Tensor::empty({3}, DType::f64, device)),
      r_(Tensor::empty(shape, dtype, device)),
      zeta_(Tensor::empty(shape, dtype, device)),
      z_(Tensor::empty(shape, dtype, device)),
      given_(Tensor::empty({shape[1]}, DType::u8, device)),
      rows_(Tensor::empty({shape[0]}, DType::i32, device)),
      reverse_(device, [this] { transition(Kind::reverse); }),
      forward_(device, [this] { transition(Kind::forward); }),
      recordable_(noise.recordable()) {
  std::vector<std::int32_t> levels{walk_.front()};
  std::vector<double> coefficients{kStart.keep, kStart.push, kStart.spread};
  for (std::size_t i = 0; i + 1 < walk_.size(); ++i) {
    const Transition c = walk_[i + 1] < walk_[i]
                             ? reverse_transition(options.schedule, walk_[i])
                             : forward_transition(options.schedule, walk_[i], options.renoise);
    levels.push_back(walk_[i]);
    coefficients.insert(coefficients.end(), {c.keep, c.push, c.spread});
  }
  const auto transitions = static_cast<std::int64_t>(levels.size());
  levels_ = Tensor::from(levels, {transitions}, device);
  coefficients_ = Tensor::from(coefficients, {transitions, 3}, device);
}

void Sampler::transition(Kind kind) {
  const Device device = r_.device();
  for_each(device, 1,
           NextPlace{place_.ptr<std::int32_t>(), level_.ptr<std::int32_t>(), current_.ptr<double>(),
                     levels_.ptr<std::int32_t>(), coefficients_.ptr<double>()});
  const bool reverse = kind == Kind::reverse || kind == Kind::last;
  const Tensor n = reverse ? score_(r_, level_) : Tensor();
  if (kind != Kind::last)
    noise_.normal(zeta_, kind == Kind::start ? kSiteInitial : kSiteTransition, place_, rows_);
  dispatch_float(r_.dtype(), "sample", [&]<class T>() {
    const Advance<T> f{
        r_.ptr<T>(),  n.defined() ? n.ptr<T>() : nullptr, kind != Kind::last ? zeta_.ptr<T>() : nullptr,
        z_.ptr<T>(),  given_.ptr<std::uint8_t>(),         current_.ptr<double>(),
        r_.shape()[1]};
    for_each_row(device, r_.shape()[0], r_.shape()[1], f);
  });
}

Tensor Sampler::operator()(const Tensor& z, const Tensor& given, const Tensor& rows,
                           const SamplerProgress& progress) {
  z_.copy_from(z);
  given_.copy_from(given);
  rows_.copy_from(rows);
  r_.zero();
  place_.copy_from(Tensor::full({1}, -1, DType::i32, place_.device()));
  transition(Kind::start);
  std::int64_t done = 0;
  for (std::size_t i = 0; i + 1 < walk_.size(); ++i) {
    const bool reverse = walk_[i + 1] < walk_[i];
    if (walk_[i + 1] == 0)
      transition(Kind::last);
    else if (!recordable_)
      transition(reverse ? Kind::reverse : Kind::forward);
    else
      reverse ? reverse_() : forward_();
    if (!reverse || !progress) continue;
    if (++done % kProgressEvery == 0) synchronize(r_.device());
    if (!progress(done, reverse_count_)) throw Cancelled{};
  }
  return r_.clone();
}

Tensor sample(const ScoreFunction& score, const Tensor& z, const Tensor& given, const Tensor& rows,
              NoiseSource& noise, const SamplerOptions& options, const SamplerProgress& progress) {
  MLD_CHECK(z.shape().rank() == 2 && given.shape() == Shape({z.shape()[1]}) &&
                rows.shape() == Shape({z.shape()[0]}),
            "sample: z ", z.shape(), ", given ", given.shape(), ", rows ", rows.shape(),
            "; expected [B,D], [D], [B]");
  return Sampler(score, noise, options, z.shape(), z.dtype(), z.device())(z, given, rows, progress);
}

}  // namespace mld
