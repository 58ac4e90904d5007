// The tables and figures of the paper that take training: each an ablation, of the model's kind or of d, with a
// recipe for its data set. What is not here is read off runs that are there (Fig. 5: the metric `robustness`) or
// is no experiment (Tables 4, 8, 9). `models` is such a table for data of one's own.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mld {

struct Experiment {
  std::string_view names;      // "table1 table10 table11": one experiment is behind several tables
  std::string_view preset;     // whose recipe is taken where none is asked for; "": what suits the data
  std::string_view variation;  // "model.kind=mld,uni,inpaint" (parse_variation)
  // Beyond the preset, "KEY=VALUE KEY=VALUE": what rows need to compare, so no guidance where variants stand, which
  // cannot be trained with it.
  std::string_view settings;
};

std::span<const Experiment> experiments();

std::vector<std::string> settings_of(const Experiment& experiment);

// ErrorKind::usage for a name that is none, with those that are.
const Experiment& find_experiment(const std::string& name);

}  // namespace mld
