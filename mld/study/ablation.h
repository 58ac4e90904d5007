// An ablation: one setting of a configuration varied over a list of values, each with a list of seeds. Every
// cell is a run that is trained and evaluated like any other; stage 1 is trained once and shared if all cells
// agree on it, and cells that differ in the sampler alone share a run. What is finished stays finished: a cell
// whose evaluation is there is not computed again, and an interrupted one goes on where it was, so that the
// evaluations alone, a few KB each, can be kept and built upon.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "mld/evaluate/evaluate.h"
#include "mld/study/tables/table.h"
#include "mld/train/train.h"

namespace mld {

struct AblationCell {
  std::string value;
  std::uint64_t seed = 0;
  std::filesystem::path evaluation;  // file
  std::filesystem::path run = {};    // where it is or was; evaluations may be kept without
};

struct AblationRequest {
  std::string key;  // "score.d"
  std::vector<std::string> values;
  std::vector<std::uint64_t> seeds = {0};
  // The configuration that is varied, with these settings ("score.d=0.1") on top.
  std::function<Config(const std::vector<std::string>& settings)> configure;
  std::filesystem::path out;           // runs: OUT/VALUE-seedN (VALUE the first that shares it), OUT/stage1
  std::filesystem::path results = {};  // evaluations: VALUE-seedN.json; empty: OUT/results
  std::filesystem::path reuse = {};    // run whose stage 1 is taken over; empty: one is trained
  EvaluationOptions evaluation;        // but for the sampling, which is the run's own,
  std::function<SampleSettings(SampleSettings)> sampling = {};  // changed by this, if set
  Device device = kCpu;
  bool keep_going = false;  // a cell that fails is noted, and the others are made
};

struct AblationFailure {
  std::string value;
  std::uint64_t seed = 0;
  ErrorKind kind = ErrorKind::internal;
  std::string message;
};

struct AblationResult {
  std::vector<AblationCell> cells;  // whose evaluation is there; in order of seeds, then values
  std::vector<AblationFailure> failures;
  bool stopped = false;  // the hooks asked to; all that was done is saved
};

struct AblationHooks {
  TrainHooks train;
  EvaluationProgress evaluation;
  std::function<void(const std::string& line)> note;
};

// "score.d=0.1,0.3" as key and values; commas within brackets do not part ("score.mults=[1],[1,1]").
// ErrorKind::usage for a text of another form, or a value that is there twice.
std::pair<std::string, std::vector<std::string>> parse_variation(const std::string& text);

// Makes the cells in order of seeds, then values: after the first seed there is a table. Before anything is
// trained: ErrorKind::usage for a setting that does not exist, values that no table could tell apart, more
// samples than the split has, or a metric that a model cannot have; ErrorKind::busy for an evaluation in the way that was made with another configuration,
// classifier recipe, N, rows, split, data, sets of given modalities, schedule or seed of samples, or without
// a metric that is asked for; ErrorKind::io for folders that cannot be written.
AblationResult ablate(const AblationRequest& request, const AblationHooks& hooks);

// Its cells side by side (compare.h), with `paper` beside the published rows, where there are any; with a key of
// the sampler, of several samplers.
std::vector<tables::Table> ablation_tables(const std::string& key, std::span<const AblationCell> cells,
                                           bool paper = false);

}  // namespace mld
