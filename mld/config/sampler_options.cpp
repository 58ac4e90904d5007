#include "mld/config/sampler_options.h"

#include <string_view>

#include "engine/base/error.h"

namespace mld {

SamplerOptions changed(SamplerOptions options, const SamplerChange& change) {
  config::visit_fields(options, [&](std::string_view name, auto& member, const auto&, const char*) {
    using T = std::remove_reference_t<decltype(member)>;
    config::visit_fields(change, [&](std::string_view other, const auto& asked, const auto&, const char*) {
      if constexpr (std::is_same_v<decltype(asked), const std::optional<T>&>)
        if (other == name) member = asked.value_or(member);
    });
  });
  if (options.steps < 1 || options.jump <= options.steps) return options;  // make_plan judges the rest
  const bool asked = change.jump || change.resample.value_or(1) > 1;
  MLD_CHECK_AS(ErrorKind::usage, !asked, "sampler: jumps of ", options.jump, " levels do not fit ",
               options.steps, " steps; choose a jump of 1 to ", options.steps, ", or resample 1: no jumps");
  options.resample = 1;
  return options;
}

}  // namespace mld
