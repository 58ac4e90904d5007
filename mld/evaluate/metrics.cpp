#include "mld/evaluate/metrics.h"

#include <algorithm>
#include <array>

#include "engine/base/error.h"
#include "engine/base/names.h"

namespace mld {

extern const Metric kCoherence, kReconstruction, kQuality, kRobustness, kDiversity, kMemorisation,
    kInformation, kProbe, kLikelihood;

namespace {

constexpr std::array kMetrics{&kCoherence, &kReconstruction, &kProbe,       &kQuality,   &kRobustness,
                              &kDiversity, &kMemorisation,   &kInformation, &kLikelihood};
constexpr std::array kPrinted{&kReconstruction, &kProbe,       &kCoherence,  &kQuality,   &kDiversity,
                              &kMemorisation,   &kInformation, &kLikelihood, &kRobustness};
static_assert(kMetrics.size() == kPrinted.size());

}  // namespace

std::span<const Metric* const> metrics() { return kMetrics; }
std::span<const Metric* const> printed_metrics() { return kPrinted; }

MetricChoice::MetricChoice() {
  for (const Metric* m : kMetrics)
    if (m->by_default) metrics.push_back(m);
}

std::vector<std::string> MetricChoice::names() const {
  std::vector<std::string> list;
  for (const Metric* m : metrics) list.emplace_back(m->name);
  return list;
}

MetricChoice parse_metrics(const std::string& names) {
  MetricChoice every;
  every.all = true;
  every.metrics.assign(kMetrics.begin(), kMetrics.end());
  std::vector<std::string> known = every.names();
  known.emplace_back("all");
  std::vector<std::string> asked;
  for (std::size_t first = 0; first <= names.size();) {
    const std::size_t end = std::min(names.find(',', first), names.size());
    asked.push_back(names.substr(first, end - first));
    first = end + 1;
    MLD_CHECK_AS(ErrorKind::usage, std::ranges::find(known, asked.back()) != known.end(), "metrics: '",
                 asked.back(), "' is not one of ", join(known));
  }
  if (std::ranges::find(asked, "all") != asked.end()) return every;
  MetricChoice chosen = every;
  chosen.all = false;
  std::erase_if(chosen.metrics,
                [&](const Metric* m) { return std::ranges::find(asked, m->name) == asked.end(); });
  return chosen;
}

std::string default_metrics() {
  std::string text;
  for (const std::string& name : MetricChoice().names()) text += (text.empty() ? "" : ",") + name;
  return text;
}

std::string refusal(const Metric& metric, const Answers& answers) {
  if (metric.latents && !answers.latents) return "this kind of model has no latents of its modalities";
  return metric.refusal != nullptr ? metric.refusal(answers) : "";
}

void check_metrics(const MetricChoice& choice, const Answers& answers) {
  if (choice.all) return;
  for (const Metric* m : choice.metrics) {
    const std::string why = refusal(*m, answers);
    MLD_CHECK_AS(ErrorKind::usage, why.empty(), "metrics: ", m->name, ", ", why);
  }
}

}  // namespace mld
