// Evaluations side by side: one row for the runs that differ in nothing but their seed, with mean and
// standard deviation over the seeds, laid out as the paper's tables of the data set, with the paper's rows
// beside on request.
//
// Two numbers of one column must have been measured alike: same classifier or feature extractor by hash, same
// number of samples, split and schedule. A coherence by another classifier is another quantity.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "mld/study/tables/table.h"

namespace mld {

struct CompareOptions {
  bool paper = false;     // with the published rows
  bool force = false;     // numbers that were not measured alike are marked instead of refused
  bool samplers = false;  // schedules may differ: they are what is compared
};

// `inputs`: run directories that were evaluated, or evaluation files. ErrorKind::data for a file that is
// missing or broken; ErrorKind::usage for numbers that do not compare, two runs of one seed and
// configuration, runs of several data sets, or published rows where the paper has none.
std::vector<tables::Table> compare(std::span<const std::filesystem::path> inputs,
                                   const CompareOptions& options = {});

// "MLD-Uni": a model.kind as the paper's tables have it.
std::string model_name(const std::string& kind);

}  // namespace mld
