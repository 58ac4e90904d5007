// The comparison of samplers in a run's samplers.json (mld/study/sampler_bench.h): quality
// against network calls.
#pragma once

#include <string>

#include "mld/evaluate/evaluation.h"

namespace mld::report {

// `where` names the file in errors: ErrorKind::data if `contents` is no such comparison.
std::string sampler_tables(const std::string& contents, const std::string& where);
// The evaluation of the first of its samplers, as far as the file has it.
Evaluation how_measured(const std::string& contents, const std::string& where);

}  // namespace mld::report
