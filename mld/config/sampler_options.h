// The options of the sampler: one struct in the configuration, the plan (mld/diffusion/sampler_plan.h), the flags
// of the command line and the records of results, which all follow from the tables below. A new option is a
// member, a line in a table or two, and what the plan makes of it.
#pragma once

#include <cstdint>
#include <optional>

#include "mld/config/choices.h"
#include "mld/config/fields.h"

namespace mld {

constexpr int kMaxLevels = 100'000;  // of steps and jump
constexpr int kMaxResample = 1000;
constexpr double kMaxChurn = 1000;
constexpr double kMaxGuidance = 100, kMaxRatio = 1e6;

template <class T>
using Plain = T;
template <template <class> class Of, class T>
constexpr Of<T> initially(T value) {
  if constexpr (std::is_same_v<Of<T>, T>)
    return value;
  else
    return {};
}

// By default the best of docs/benchmarks.md; the meanings stand in the table below.
template <template <class> class Of>
struct SamplerFields {
  Of<SamplerMethod> method = initially<Of>(SamplerMethod::dpm_sde);
  Of<std::int64_t> steps = initially<Of>(std::int64_t{20});    // N
  Of<std::int64_t> jump = initially<Of>(std::int64_t{10});     // j
  Of<std::int64_t> resample = initially<Of>(std::int64_t{1});  // r
  Of<Renoise> renoise = initially<Of>(Renoise::euler);
  Of<double> churn = initially<Of>(10.0);
  Of<double> guidance = initially<Of>(1.0);  // w
  Of<double> guidance_low = initially<Of>(0.3);
  Of<double> guidance_high = initially<Of>(5.0);
  bool operator==(const SamplerFields&) const = default;
};
using SamplerOptions = SamplerFields<Plain>;
using SamplerChange = SamplerFields<std::optional>;  // what a user asks for on top of options

// The paper's.
inline constexpr SamplerOptions kPaperSampler{
    .method = SamplerMethod::em, .steps = 250, .jump = 10, .resample = 10, .churn = 1};

// Jumps longer than the schedule are ErrorKind::usage if jump or resample were asked for; those of the options are
// left out (resample 1), as the walk does.
SamplerOptions changed(SamplerOptions options, const SamplerChange& change);

// An option beyond the schedule that all methods walk.
template <class T>
struct SamplerDetail {
  std::optional<SamplerMethod> method;  // the one that reads it; none: all do
  // What a record stands for that does not name the option: what the method did before there was the option, for
  // ever. Records leave it out there, and so do names.
  T neutral;
  bool read = true;     // by the method, under the other options
  bool always = false;  // records name it neutral or not
};

// Calls v(name, member, detail) for each of them.
void visit_details(auto& o, auto&& v) {
  v("renoise", o.renoise, SamplerDetail<Renoise>{SamplerMethod::em, Renoise::euler, o.resample > 1});
  v("churn", o.churn, SamplerDetail<double>{.method = SamplerMethod::dpm_sde, .neutral = 1, .always = true});
  const bool guided = o.guidance != 1;
  v("guidance", o.guidance, SamplerDetail<double>{.method = {}, .neutral = 1});
  v("guidance_low", o.guidance_low, SamplerDetail<double>{.method = {}, .neutral = 0.3, .read = guided});
  v("guidance_high", o.guidance_high, SamplerDetail<double>{.method = {}, .neutral = 5, .read = guided});
}

namespace config {

template <template <class> class Of>
struct Fields<SamplerFields<Of>> {
  static void visit(auto& c, auto&& v) {
    v("method", c.method, kAny,
      "Euler-Maruyama (the paper), DPM-Solver++(2M), its stochastic form, or Heun (two network calls a "
      "level)");
    v("steps", c.steps, Limits{1, kMaxLevels}, "levels N of the reverse diffusion");
    v("jump", c.jump, Limits{1, kMaxLevels},
      "levels that resampling jumps back, at most steps; none if resample is 1");
    v("resample", c.resample, Limits{1, kMaxResample},
      "times that each stretch of jump levels is walked; 1: the linear schedule");
    v("renoise", c.renoise, kAny,
      "em: jumps back follow the discretised or the exact forward process, other methods the exact one");
    v("churn", c.churn, Limits{0, kMaxChurn},
      "dpm_sde: noise of the reverse SDE; 1 the plain one, 0 the ODE, more adds Langevin steps at every "
      "level");
    v("guidance", c.guidance, Limits{0, kMaxGuidance}.added(1),
      "weight of what modalities say of one another, over what is drawn knowing nothing; 1: as learnt. Costs "
      "network calls, and needs score.marginals or model.kind=uni");
    v("guidance_low", c.guidance_low, Limits{0, kMaxRatio}.added(0.3),
      "noise level sigma/a from which on it weighs");
    v("guidance_high", c.guidance_high, Limits{0, kMaxRatio}.added(5.0), "noise level up to which it weighs");
  }
};

}  // namespace config
}  // namespace mld
