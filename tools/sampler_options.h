// Options of the sampler that `sample` and `eval` share; what is not given stays as the run was configured.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>

#include "mld/diffusion/sampling_record.h"
#include "mld/run/model.h"
#include "tools/option_checks.h"

namespace mld::tools {

struct SamplerFlags {
  std::optional<std::string> method;
  std::optional<int> steps, jump, resample;
  std::optional<double> churn;
  std::optional<std::uint64_t> seed;
  std::optional<std::int64_t> chunk;
  bool paper = false;

  void add_to(CLI::App& app) {
    const auto add = [&](const char* name, auto& value, const char* meaning, const CLI::Validator& range) {
      app.add_option(name, value, std::string(meaning) + "; default: as the run was configured")
          ->type_name("N")
          ->check(range);
    };
    app.add_flag("--paper-schedule", paper,
                 "Start from the paper's: em, 250 levels, jumps of 10, walked 10 times, 2410 network calls");
    app.add_option("--method", method, "em, dpm, dpm_sde or heun; default: as the run was configured")
        ->type_name("NAME");
    add("--steps", steps, "Noise levels", between(1, kMaxLevels));
    add("--jump", jump, "Levels a jump goes back, at most --steps", between(1, kMaxLevels));
    add("--resample", resample, "Times each stretch is walked, 1: no jumps", between(1, kMaxResample));
    app.add_option("--churn", churn,
                   "Noise of dpm_sde's reverse SDE, 1: the plain one; default: as the run was configured")
        ->type_name("X");
    add("--chunk", chunk,
        "Samples generated together, which does not change them (on a GPU but for their last bits)",
        between(1, kMaxChunk));
    add_seed(app, seed, "Seed of the samples; default: that of the run");
  }

  SampleSettings apply(SampleSettings settings) const {
    if (paper) settings.sampler = {};
    if (method) settings.sampler.method = parse_method(*method);
    Schedule& schedule = settings.sampler.schedule;
    const auto asked = paper && !resample ? std::optional(schedule.resample) : resample;
    schedule = changed(schedule, {.levels = steps, .jump = jump, .resample = asked});
    MLD_CHECK_AS(ErrorKind::usage, !churn || settings.sampler.method == SamplerMethod::dpm_sde,
                 "--churn is of --method dpm_sde, not of ", name_of(settings.sampler.method));
    settings.sampler.churn = churn.value_or(settings.sampler.churn);
    settings.seed = seed.value_or(settings.seed);
    settings.chunk = chunk.value_or(settings.chunk);
    return settings;
  }
};

}  // namespace mld::tools
