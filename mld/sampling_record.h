// How samples were drawn, as it stands beside every number and in every file that comes of them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "engine/core/error.h"
#include "mld/sampler_plan.h"

namespace mld {

inline std::string method_name(SamplerMethod method) {
  return std::string(kSamplerMethodNames[static_cast<std::size_t>(method)]);
}

// "em 250x10x10"; without jumps "dpm 20".
inline std::string schedule_name(const SamplerOptions& options) {
  const Schedule& s = options.schedule;
  const std::string jumps = s.resample > 1 ? cat("x", s.jump, "x", s.resample) : "";
  return cat(method_name(options.method), " ", s.levels, jumps);
}

inline nlohmann::json schedule_record(const SamplerOptions& options) {
  const Schedule& s = options.schedule;
  return {{"method", method_name(options.method)},
          {"steps", s.levels},
          {"jump", s.jump},
          {"resample", s.resample}};
}

}  // namespace mld
