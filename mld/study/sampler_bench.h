// Quality against network calls: the same samples drawn by many samplers, compared with the one of the paper.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "mld/evaluate/evaluate.h"

namespace mld {

// The paper's schedule of 2410 network calls (the reference, first), linear Euler-Maruyama, and the fast
// methods, at 9 to 250 calls; last, unless it is among them, the one that the model's configuration chooses.
std::vector<SamplerOptions> sampler_candidates(const SamplerOptions& own);

// Difference to the reference with its 95 % interval, from 1000 bootstrap draws of clusters of samples; both
// samplers' results of a sample are drawn together, and all samples of an item.
struct PairedDifference {
  double value = 0, low = 0, high = 0;
};

struct SamplerResult {
  SamplerOptions sampler;
  std::int64_t network_calls = 0;
  double joint = 0;  // coherence
  PairedDifference joint_difference;
  std::optional<double> conditional;  // the mean of the cells; none where no label says what is right
  PairedDifference conditional_difference;
  std::optional<double> distance_ratio;  // Frechet distances over the reference's, geometric mean of
  std::vector<double> distances;         // all generated cells; none of them without enough samples
  double seconds = 0;
};

// The mean over cells of the share that is right, of this sampler less that of the reference. Outcomes and
// clusters as in Evaluation.
PairedDifference paired_difference(const std::vector<std::vector<std::int8_t>>& outcomes,
                                   const std::vector<std::vector<std::int8_t>>& reference,
                                   std::span<const std::int64_t> clusters);

// What is kept of the reference's evaluation: how all were measured (as in evaluation.json), and what others
// are compared with.
struct BenchReference {
  std::string how;
  std::vector<std::vector<std::int8_t>> outcomes;  // as in Evaluation
  std::vector<double> distances;                   // Frechet, of the generated cells
};

struct SamplerBench {
  BenchReference reference;
  std::vector<SamplerResult> results;
};

// Evaluates coherence and quality with each sampler in turn; the first is the reference. `done` hears of each
// result, with all there are so far. Results that `before` has are taken from there, and none of them is
// dropped: ErrorKind::busy if it is of another model, other data or classifiers, other samples or another
// reference. One that was measured on the first rows of a split, of which today N are drawn, is taken as it
// is if it has all samplers, and not continued.
SamplerBench bench_samplers(const Model& model, const data::Store& store, EvaluationOptions options,
                            const std::vector<SamplerOptions>& samplers,
                            const EvaluationProgress& progress = {},
                            const std::function<void(const SamplerBench&, const SamplerResult&)>& done = {},
                            const SamplerBench& before = {});

std::string table_heading();
std::string table_line(const SamplerResult& result);
std::string to_json(const SamplerBench& bench);
// ErrorKind::data, naming `where`, for a text that to_json has not written.
SamplerBench parse_sampler_bench(const std::string& json, const std::string& where);

}  // namespace mld
