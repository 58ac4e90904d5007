// Options of the sampler that `sample` and `eval` share; what is not given stays as the run was configured.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>

#include "mld/model.h"

namespace mld::tools {

struct SamplerFlags {
  std::optional<int> steps, jump, resample;
  std::optional<std::uint64_t> seed;
  std::optional<std::int64_t> chunk;

  void add_to(CLI::App& app) {
    app.add_option("--steps", steps, "Noise levels N")->check(CLI::PositiveNumber);
    app.add_option("--jump", jump, "Levels a jump goes back")->check(CLI::PositiveNumber);
    app.add_option("--resample", resample, "Times each stretch is walked; 1: no jumps")
        ->check(CLI::PositiveNumber);
    app.add_option("--seed", seed, "Seed of the samples");
    app.add_option("--chunk", chunk, "Samples generated together (does not change them)")
        ->check(CLI::PositiveNumber);
  }

  SampleSettings apply(SampleSettings settings) const {
    Schedule& schedule = settings.sampler.schedule;
    schedule.levels = steps.value_or(schedule.levels);
    schedule.jump = jump.value_or(schedule.jump);
    schedule.resample = resample.value_or(schedule.resample);
    settings.seed = seed.value_or(settings.seed);
    settings.chunk = chunk.value_or(settings.chunk);
    return settings;
  }
};

}  // namespace mld::tools
