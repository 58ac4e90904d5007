// Evaluation of a trained model on a store. Nothing in the result depends on chunks or threads, and apart
// from latents nothing grows with the number of samples: items are read, generated and measured chunk by
// chunk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "data/store/store.h"
#include "mld/evaluate/evaluation.h"
#include "mld/evaluate/metrics.h"
#include "mld/evaluate/record.h"
#include "mld/run/model.h"

namespace mld {

struct EvaluationOptions {
  std::string split = "test";
  std::int64_t samples = 0;  // rows of the split, as draw_rows chooses them; 0: the first pairing
  SampleSettings sampling = {};
  MetricChoice metrics = {};
  std::string given_sets = {};         // that samples are generated from, as parse_given_sets has them
  bool generate = true;                // false: classifiers and autoencoders only
  std::filesystem::path weights = {};  // folder of the metric networks; empty: that of MLD_WEIGHTS, if any
};

// (what is being done, done, total); returning false cancels with Cancelled.
using EvaluationProgress =
    std::function<bool(const std::string& what, std::int64_t done, std::int64_t total)>;

// The split of that name. ErrorKind::usage if it is not there or has no samples, with those that are.
const data::Split& evaluated_split(const data::Store& store, const std::string& name);
// N: the rows of the split that an evaluation with these options uses.
std::int64_t samples_used(const data::Split& split, const EvaluationOptions& options);

// ErrorKind::usage for a split without samples, sets of modalities that there are not, and metrics that the
// model cannot have.
Evaluation evaluate(const Model& model, const data::Store& store, const EvaluationOptions& options,
                    const EvaluationProgress& progress = {});

}  // namespace mld
