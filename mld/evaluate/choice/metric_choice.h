// What an evaluation measures, by name.
#pragma once

#include <string>
#include <vector>

#include "mld/methods/method.h"

namespace mld {

struct MetricChoice {
  bool coherence = true, quality = true;
  bool robustness = false, diversity = false, memorisation = false, information = false;
  bool all = false;  // what a model cannot have is noted then, not refused
};
// "coherence,quality,robustness,diversity,memorisation,mi" or "all"; ErrorKind::usage names an unknown one.
MetricChoice parse_metrics(const std::string& names);
std::vector<std::string> metric_names(const MetricChoice& metrics);  // of those chosen
// ErrorKind::usage for a metric that a method cannot have.
void check_metrics(const MetricChoice& metrics, const Answers& answers);

}  // namespace mld
