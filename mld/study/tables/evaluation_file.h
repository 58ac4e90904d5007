// What `mldctl eval` leaves in RUN/evaluation.json, as far as tables are made of it, and the cells of a table
// read out of it, each with everything that must be alike for two such numbers to be comparable.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mld/diffusion/subsets.h"
#include "mld/study/tables/layout.h"

namespace mld::tables {

struct EvaluationFile {
  struct Coherence {
    Subset given = 0;
    int target = 0;
    double value = 0;
  };
  struct Quality {
    Subset given = 0;
    int target = 0;
    std::string metric;  // "FMD", "FID", "FAD", "CFD"
    double value = 0;
    std::optional<double> kid;
    std::int64_t real = 0, distinct = 0, made = 0;  // samples on either side; distinct ones of the real
    std::string extractor, hash;                    // of the features
  };

  struct ClipScore {
    Subset given = 0;
    double value = 0;
    std::int64_t n = 0;
    std::string hash;
  };

  std::string source;  // as the user named it
  // The run.
  std::string kind, preset, dataset, config_hash;  // the hash does not cover the seed
  std::optional<std::string> classifier_recipe;    // hash; older files have none
  std::map<std::string, std::string> settings;     // beyond the preset, by key, as JSON
  std::uint64_t seed = 0;
  double d = 0;
  // How it was evaluated.
  std::string split;
  std::int64_t samples = 0;
  bool drawn = false;                          // rows drawn by class; else the first of the split
  bool says_rows = false;                      // older files do not: theirs are the first
  std::string fingerprint;                     // of the data; older files have none
  std::optional<bool> trained_on;              // whether these are the data that were trained on
  std::vector<std::string> given_sets;         // sets of names that were given; empty: all
  std::vector<std::string> metrics;            // measured
  std::optional<std::uint64_t> sampling_seed;  // where samples were generated
  std::string schedule, weights;               // "em 250x10x10", "ema"; empty where nothing was generated
  std::int64_t network_calls = 0;
  std::vector<std::string> modalities;
  std::map<std::string, std::string> classifiers;  // hash by modality

  // Numbers of no samples at all, which older files have as 0, are left out.
  std::optional<double> joint;
  std::vector<Coherence> conditional, self;  // self: of decode(encode(x))
  std::map<std::int64_t, double> leave_one_out;
  std::vector<Quality> quality;  // given == target: of decode(encode(x))
  std::vector<ClipScore> clip_score;
};

// Reads the file, or evaluation.json of the run directory `path`. Whatever is wrong with it is an
// ErrorKind::data error that names the file and the key.
EvaluationFile read_evaluation(const std::filesystem::path& path);

// In Reading::made, the data's fingerprint: files that have none can be compared with any.
inline constexpr const char* kDataKey = "data";

// A number of a table: coherence in %, the others as they are.
struct Reading {
  double value = 0;
  // "classifier of sound" -> "1a2b3c4d", "N" -> "1000", ...: alike for all numbers that one column may hold.
  std::map<std::string, std::string> made;
};
std::optional<Reading> read_cell(const EvaluationFile& file, const LayoutColumn& column);

}  // namespace mld::tables
