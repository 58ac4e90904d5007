// How samples were drawn, as it stands beside every number and in every file that comes of them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "engine/base/error.h"
#include "mld/diffusion/sampler_plan.h"

namespace mld {

// Whether jumps go back by the forward SDE's exact kernel and not, as the paper's do, by its Euler steps.
inline bool renoises_exactly(const SamplerOptions& options) {
  return options.method == SamplerMethod::em && options.schedule.resample > 1 &&
         options.renoise == Renoise::exact;
}

// "em 250x10x10", "em 250x10x10 exact"; without jumps "dpm 20"; "dpm_sde 50 churn 3" where it is not 1.
inline std::string schedule_name(const SamplerOptions& options) {
  const Schedule& s = options.schedule;
  const std::string jumps = s.resample > 1 ? cat("x", s.jump, "x", s.resample) : "";
  const bool churns = options.method == SamplerMethod::dpm_sde && options.churn != 1;
  return cat(name_of(options.method), " ", s.levels, jumps, renoises_exactly(options) ? " exact" : "",
             churns ? cat(" churn ", options.churn) : "");
}

inline nlohmann::json schedule_record(const SamplerOptions& options) {
  const Schedule& s = options.schedule;
  nlohmann::json record{
      {"method", name_of(options.method)}, {"steps", s.levels}, {"jump", s.jump}, {"resample", s.resample}};
  if (options.method == SamplerMethod::dpm_sde) record["churn"] = options.churn;
  if (renoises_exactly(options)) record["renoise"] = "exact";
  return record;
}

}  // namespace mld
