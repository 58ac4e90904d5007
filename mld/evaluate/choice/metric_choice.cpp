#include "mld/evaluate/choice/metric_choice.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "engine/base/names.h"

namespace mld {
namespace {

struct Metric {
  std::string_view name;
  bool MetricChoice::*chosen;
};
constexpr std::array<Metric, 6> kMetrics{{{"coherence", &MetricChoice::coherence},
                                          {"quality", &MetricChoice::quality},
                                          {"robustness", &MetricChoice::robustness},
                                          {"diversity", &MetricChoice::diversity},
                                          {"memorisation", &MetricChoice::memorisation},
                                          {"mi", &MetricChoice::information}}};

}  // namespace

MetricChoice parse_metrics(const std::string& names) {
  MetricChoice chosen{.coherence = false, .quality = false};
  for (std::size_t first = 0; first <= names.size();) {
    const std::size_t end = std::min(names.find(',', first), names.size());
    const std::string name = names.substr(first, end - first);
    first = end + 1;
    const auto metric = std::ranges::find(kMetrics, name, &Metric::name);
    MLD_CHECK_AS(ErrorKind::usage, metric != kMetrics.end() || name == "all", "metrics: '", name,
                 "' is not one of ", join(metric_names({true, true, true, true, true, true})), ", all");
    if (name == "all") chosen.all = true;
    for (const Metric& m : kMetrics)
      if (name == "all" || name == m.name) chosen.*m.chosen = true;
  }
  return chosen;
}

std::vector<std::string> metric_names(const MetricChoice& metrics) {
  std::vector<std::string> names;
  for (const Metric& m : kMetrics)
    if (metrics.*m.chosen) names.emplace_back(m.name);
  return names;
}

void check_metrics(const MetricChoice& metrics, const Answers& answers) {
  MLD_CHECK_AS(ErrorKind::usage, !metrics.information || metrics.all || answers.no_information.empty(),
               "metrics: mi, mutual information: ", answers.no_information, "; use kind mld or uni");
}

}  // namespace mld
