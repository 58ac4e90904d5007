// What an evaluation can measure: one list of metrics, from which the names that --metrics takes, what is
// run, the table for a terminal and the sections of a report follow. A metric is one object, in a file of its
// own; what it finds is a member of Evaluation.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mld/evaluate/evaluation.h"
#include "mld/evaluate/presentation.h"
#include "mld/methods/method.h"

namespace mld {

class EvaluationContext;
class Measure;

struct Metric {
  // Samples it looks at, of all rows: none, or none but its own; generated jointly; and given each set too.
  enum class Samples : std::uint8_t { none, joint, every };

  std::string_view name;
  bool by_default = false;
  // What it needs.
  Samples samples = Samples::none;
  bool latents = false;                              // latents of the modalities, as draws and codes
  std::string (*refusal)(const Answers&) = nullptr;  // why else a method cannot have it; empty: it can
  // Starts to measure (context.h).
  std::unique_ptr<Measure> (*start)(EvaluationContext&) = nullptr;
  // Its rows: of the table for a terminal, with their headings, and the sections of a report.
  std::string (*table)(const Evaluation&) = nullptr;
  std::vector<shown::Section> (*sections)(const Evaluation&) = nullptr;
};

// In the order in which they are named and measured, and in that in which they are printed.
std::span<const Metric* const> metrics();
std::span<const Metric* const> printed_metrics();

struct MetricChoice {
  std::vector<const Metric*> metrics;  // in their order
  bool all = false;                    // what a model cannot have is noted then, not refused

  MetricChoice();  // those by default
  std::vector<std::string> names() const;
};
// Names separated by commas, or "all"; ErrorKind::usage names an unknown one.
MetricChoice parse_metrics(const std::string& names);
std::string default_metrics();  // "coherence,quality"
// Why a method cannot have a metric; empty: it can.
std::string refusal(const Metric& metric, const Answers& answers);
// ErrorKind::usage for a metric that it cannot have.
void check_metrics(const MetricChoice& choice, const Answers& answers);

}  // namespace mld
