// Evaluation of a trained model on a store. Nothing in the result depends on chunks or threads, and apart
// from latents nothing grows with the number of samples: items are read, generated and measured chunk by
// chunk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "data/store.h"
#include "mld/evaluation.h"
#include "mld/model.h"

namespace mld {

struct MetricChoice {
  bool coherence = true, quality = true;
  bool robustness = false, diversity = false, memorisation = false, information = false;
  bool all = false;  // what a model cannot have is noted then, not refused
};
// "coherence,quality,robustness,diversity,memorisation,mi" or "all"; ErrorKind::usage names an unknown one.
MetricChoice parse_metrics(const std::string& names);
std::vector<std::string> metric_names(const MetricChoice& metrics);  // of those chosen
// ErrorKind::usage for a metric that models of this kind cannot have.
void check_metrics(const MetricChoice& metrics, ModelKind kind);

struct EvaluationOptions {
  std::string split = "test";
  // Rows of the split: the first pairing's, and beyond it further pairings of the same items. 0: the first
  // pairing.
  std::int64_t samples = 0;
  SampleSettings sampling = {};
  MetricChoice metrics = {};
  bool generate = true;                // false: classifiers and autoencoders only
  std::filesystem::path weights = {};  // folder of the metric networks; empty: that of MLD_WEIGHTS, if any
};

// (what is being done, done, total); returning false cancels with Cancelled.
using EvaluationProgress =
    std::function<bool(const std::string& what, std::int64_t done, std::int64_t total)>;

// N: the rows of the split that an evaluation with these options uses.
std::int64_t samples_used(const data::Split& split, const EvaluationOptions& options);

// `information` is mutual information and, for a `uni` model, the in-painting gap: only its network knows
// modalities at different times above 0. ErrorKind::data if the split has no samples, ErrorKind::usage for
// mutual information of an in-painting model.
Evaluation evaluate(const Model& model, const data::Store& store, const EvaluationOptions& options,
                    const EvaluationProgress& progress = {});

}  // namespace mld
