#include "mld/report/sampler_tables.h"

#include <algorithm>

#include "engine/base/error.h"
#include "mld/diffusion/sampling_record.h"
#include "mld/evaluate/record.h"
#include "mld/report/chart.h"
#include "mld/report/html.h"
#include "mld/report/json_parts.h"

namespace mld::report {
namespace {

// The sampler's name and that of its line in the charts; of what is no sampler of ours, the record itself.
struct Named {
  std::string sampler, line;
};
Named named(const json& result) {
  const data::Json record(part(result, "schedule"));
  try {
    data::JsonFields fields(record, "schedule");
    const SamplerOptions options = read_schedule(fields);
    return {schedule_name(options), method_name(options) + (options.resample > 1 ? " with jumps" : "")};
  } catch (const Error&) {
    return {text(result, "schedule"), text(result, "schedule")};
  }
}

// One quantity of all samplers against their network calls: a line for each method, apart with jumps.
std::string chart(const json& samplers, const std::string& title, const char* key, double unit) {
  LineChart out{.description = title + " against network calls",
                .x_label = "network calls a sample",
                .y_label = title,
                .series = {},
                .logarithmic_x = true,
                .marks = true};
  std::vector<json> sorted(samplers.begin(), samplers.end());
  std::ranges::stable_sort(sorted, {}, [](const json& s) { return real(s, "network_calls"); });
  for (const json& s : sorted) {
    const std::string name = named(s).line;
    auto it = std::ranges::find(out.series, name, &Series::name);
    if (it == out.series.end()) it = out.series.insert(it, Series{name, {}, {}});
    it->x.push_back(real(s, "network_calls"));
    it->y.push_back(unit * real(s, key));
  }
  return figure(title, line_chart(out));
}

std::string points(const json& difference) {
  if (!difference.is_object()) return "–";
  const auto one = [&](const char* key) {
    const double value = 100 * real(difference, key);
    return (value >= 0 ? "+" : "") + fixed(value, 1);
  };
  return cat(one("value"), " (", one("low95"), " … ", one("high95"), ")");
}

// The samplers without the numbers that rest on nothing, of which older files have some: conditional
// coherence where no sample has a label, a ratio of no distances.
json founded(const json& file) {
  bool labelled = false;
  const json outcomes = list(file, "reference_outcomes");
  for (std::size_t k = 1; k < outcomes.size(); ++k)  // the first is joint
    labelled = labelled || (outcomes[k].is_string() &&
                            outcomes[k].get<std::string>().find_first_not_of('-') != std::string::npos);
  json samplers = list(file, "samplers");
  for (json& s : samplers) {
    if (!s.is_object()) continue;
    if (!labelled && !outcomes.empty())
      for (const char* key : {"conditional", "conditional_difference"}) s.erase(key);
    if (s.contains("distances") && s["distances"].empty()) s.erase("distance_ratio");
  }
  return samplers;
}

}  // namespace

Evaluation how_measured(const std::string& contents, const std::string& where) {
  return shown_evaluation(part(json::parse(contents, nullptr, false), "how").dump(), where);
}

std::string sampler_tables(const std::string& contents, const std::string& where) {
  const json file = json::parse(contents, nullptr, false);
  const json samplers = founded(file);
  MLD_CHECK_AS(ErrorKind::data, !samplers.empty() && part(file, "how").is_object(), where,
               ": not a comparison of samplers; remove it or make it again with `mldctl bench-samplers`");
  const Evaluation how = how_measured(contents, where);
  for (const json& s : samplers)
    MLD_CHECK_AS(ErrorKind::data, real(s, "network_calls") >= 1, where, ": a sampler without network_calls");
  Table table("Samplers; differences to the first in points of coherence, with 95 % intervals",
              {{"Sampler"},
               {"Network calls", true},
               {"Joint, %", true},
               {"Difference", true},
               {"Conditional, %", true},
               {"Difference", true},
               {"Distance, ratio", true}});
  for (const json& s : samplers)
    table.row({named(s).sampler, text(s, "network_calls"), fixed(100 * real(s, "joint"), 1),
               points(part(s, "joint_difference")), fixed(100 * real(s, "conditional"), 1),
               points(part(s, "conditional_difference")), number(real(s, "distance_ratio"))});
  return "<div class=\"charts\">" + chart(samplers, "Joint coherence, %", "joint", 100) +
         chart(samplers, "Mean conditional coherence, %", "conditional", 100) +
         chart(samplers, "Fréchet distances over the reference's", "distance_ratio", 1) + "</div>\n" +
         table.str() +
         remark(
             cat("N = ", how.samples, " of split ", how.split, how.drawn ? ", drawn by class" : "", ", seed ",
                 how.seed.value_or(0),
                 "; the same conditions and noise streams for all. The distance is the geometric mean over "
                 "all generated cells."));
}

}  // namespace mld::report
