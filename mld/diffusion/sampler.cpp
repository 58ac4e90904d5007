#include "mld/diffusion/sampler.h"

#include <utility>
#include <vector>

#include "engine/loops/drivers.h"
#include "mld/diffusion/sde.h"

namespace mld {
namespace {

// Numbers of a transition as the kernels read them.
enum Coefficient {
  kKeep,
  kPush,
  kSpread,
  kCarry,
  kSaveKeep,
  kSavePush,
  kGivenMean,
  kGivenStd,
  kCoefficients
};

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
    for (int i = 0; i < kCoefficients; ++i) current[i] = coefficients[kCoefficients * at + i];
  }
};

template <class T>
struct HoldGiven {  // one row: the given coordinates at the noise level of the call
  T* r;
  const T *z, *eta;
  const std::uint8_t* given;
  const double* coefficients;
  std::int64_t dim;
  template <class Team>
  MLD_HD void operator()(std::int64_t row, const Team& team) const {
    const T mean = static_cast<T>(coefficients[kGivenMean]), std = static_cast<T>(coefficients[kGivenStd]);
    T* const x = r + row * dim;
    const T *known = z + row * dim, *noise = eta + row * dim;
    team.each(dim, [=, fixed = given](std::int64_t d) {
      if (fixed[d]) x[d] = VpSde::diffused(mean, known[d], std, noise[d]);
    });
  }
};

template <class T>
struct Advance {  // one row of a transition; given coordinates are z after it
  T *r, *memory;  // memory, n and zeta may be null
  const T *n, *zeta, *z;
  const std::uint8_t* given;
  const double* coefficients;
  std::int64_t dim;
  template <class Team>
  MLD_HD void operator()(std::int64_t row, const Team& team) const {
    const std::int64_t first = row * dim;
    const T keep = static_cast<T>(coefficients[kKeep]), push = static_cast<T>(coefficients[kPush]),
            spread = static_cast<T>(coefficients[kSpread]);
    // Indices instead of row pointers, and what only the memory needs read where it is needed: a GPU's
    // registers would not hold it all.
    team.each(dim, [=, c = coefficients, x = r, m = memory, step = n, noise = zeta, known = z,
                    fixed = given](std::int64_t d) {
      const std::int64_t i = first + d;
      T value = keep * x[i];
      if (step) value += push * step[i];
      if (noise) value += spread * noise[i];
      if (m) {
        value += static_cast<T>(c[kCarry]) * m[i];
        if (step) m[i] = static_cast<T>(c[kSaveKeep]) * x[i] + static_cast<T>(c[kSavePush]) * step[i];
      }
      x[i] = fixed[d] ? known[i] : value;
    });
  }
};

// Transition 0 is the start: r becomes noise. The others follow the plan.
constexpr Transition kStart{.noisy = true, .spread = 1};

constexpr int kProgressEvery = 16;  // network calls between waits for a device, so that progress is true

}  // namespace

Sampler::Sampler(ScoreFunction score, NoiseSource& noise, const SamplerPlan& plan, const Shape& shape,
                 DType dtype, Device device, GuidedScore guided)
    : score_(std::move(score)),
      guided_(std::move(guided)),
      noise_(noise),
      plan_(plan),
      place_(Tensor::empty({1}, DType::i32, device)),
      level_(Tensor::empty({1}, DType::i32, device)),
      current_(Tensor::empty({kCoefficients}, DType::f64, device)),
      r_(Tensor::empty(shape, dtype, device)),
      zeta_(Tensor::empty(shape, dtype, device)),
      z_(Tensor::empty(shape, dtype, device)),
      given_(Tensor::empty({shape[1]}, DType::u8, device)),
      rows_(Tensor::empty({shape[0]}, DType::i32, device)),
      recordable_(noise.recordable()) {
  MLD_CHECK(plan_.guided == 0 || guided_.score, "sample: a guided plan without a guided score");
  if (plan_.remembers) memory_ = Tensor::empty(shape, dtype, device);
  std::vector<std::int32_t> levels;
  std::vector<double> coefficients;
  const auto add = [&](const Transition& c) {
    levels.push_back(c.level);
    coefficients.insert(coefficients.end(), {c.keep, c.push, c.spread, c.carry, c.save_keep, c.save_push,
                                             c.given_mean, c.given_std});
  };
  add(kStart);
  for (const Transition& c : plan_.transitions) add(c);
  const auto transitions = static_cast<std::int64_t>(levels.size());
  levels_ = Tensor::from(levels, {transitions}, device);
  coefficients_ = Tensor::from(coefficients, {transitions, kCoefficients}, device);
}

void Sampler::transition(const Sort& sort, std::uint32_t site) {
  const Device device = r_.device();
  const std::int64_t rows = r_.shape()[0], dim = r_.shape()[1];
  for_each(device, 1,
           NextPlace{place_.ptr<std::int32_t>(), level_.ptr<std::int32_t>(), current_.ptr<double>(),
                     levels_.ptr<std::int32_t>(), coefficients_.ptr<double>()});
  if (sort.evaluates && plan_.noised_given) {
    noise_.normal(zeta_, kSiteGiven, place_, rows_);
    dispatch_float(r_.dtype(), "sample", [&]<class T>() {
      for_each_row(device, rows, dim,
                   HoldGiven<T>{r_.ptr<T>(), z_.ptr<T>(), zeta_.ptr<T>(), given_.ptr<std::uint8_t>(),
                                current_.ptr<double>(), dim});
    });
  }
  const ScoreFunction& score = sort.guided ? guided_.score : score_;
  const Tensor n = sort.evaluates ? score(r_, level_) : Tensor();
  if (sort.noisy) noise_.normal(zeta_, site, place_, rows_);
  dispatch_float(r_.dtype(), "sample", [&]<class T>() {
    for_each_row(device, rows, dim,
                 Advance<T>{r_.ptr<T>(), memory_.defined() ? memory_.ptr<T>() : nullptr,
                            n.defined() ? n.ptr<T>() : nullptr, sort.noisy ? zeta_.ptr<T>() : nullptr,
                            z_.ptr<T>(), given_.ptr<std::uint8_t>(), current_.ptr<double>(), dim});
  });
}

void Sampler::run(const Transition& step) {
  const Sort sort{step.evaluates, step.noisy, step.guided};
  if (!recordable_) return transition(sort);
  std::unique_ptr<CapturedStep>& recorded = recordings_[sort.index()];
  if (!recorded) recorded = std::make_unique<CapturedStep>(r_.device(), [this, sort] { transition(sort); });
  (*recorded)();
}

Tensor Sampler::operator()(const Tensor& z, const Tensor& given, const Tensor& rows,
                           const SamplerProgress& progress) {
  z_.copy_from(z);
  given_.copy_from(given);
  rows_.copy_from(rows);
  r_.zero();
  if (memory_.defined()) memory_.zero();
  place_.copy_from(Tensor::full({1}, -1, DType::i32, place_.device()));
  transition({.noisy = true}, kSiteInitial);
  const std::int64_t total = plan_.network_calls(guided_.references);
  std::int64_t done = 0, evaluated = 0;
  for (const Transition& step : plan_.transitions) {
    run(step);
    if (!step.evaluates || !progress) continue;
    done += step.guided ? 1 + guided_.references : 1;
    if (++evaluated % kProgressEvery == 0) synchronize(r_.device());
    if (!progress(done, total)) throw Cancelled{};
  }
  return r_.clone();
}

Tensor sample(const ScoreFunction& score, const Tensor& z, const Tensor& given, const Tensor& rows,
              NoiseSource& noise, const SamplerPlan& plan, const SamplerProgress& progress) {
  MLD_CHECK(z.shape().rank() == 2 && given.shape() == Shape({z.shape()[1]}) &&
                rows.shape() == Shape({z.shape()[0]}),
            "sample: z ", z.shape(), ", given ", given.shape(), ", rows ", rows.shape(),
            "; expected [B,D], [D], [B]");
  return Sampler(score, noise, plan, z.shape(), z.dtype(), z.device())(z, given, rows, progress);
}

}  // namespace mld
