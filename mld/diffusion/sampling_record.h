// How samples were drawn, as it stands beside every number and in every file that comes of them. Internal to mld/
// and tools/.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "data/store/json_fields.h"
#include "mld/config/sampler_options.h"

namespace mld {

// What tells samplers apart but their schedule: "em", "em exact", "dpm_sde churn 3"; churn where it is not 1.
std::string method_name(const SamplerOptions& options);
// The same with the schedule: "em 250x10x10", "em 250x10x10 exact", without jumps "dpm 20", "dpm_sde 50 churn 3".
std::string schedule_name(const SamplerOptions& options);

// Method, steps, jump and resample, and of the other options what the method reads.
nlohmann::json schedule_record(const SamplerOptions& options);
// The inverse. What the record does not name is as it was before there was the option. ErrorKind::data, naming the
// place, if it is no such record.
SamplerOptions read_schedule(data::JsonFields& record);

}  // namespace mld
