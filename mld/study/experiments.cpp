#include "mld/study/experiments.h"

#include <iterator>
#include <sstream>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/names.h"
#include "engine/io/file_error.h"

namespace mld {
namespace {

constexpr std::string_view kModels = "model.kind=mvae,mmvae,mopoe,nexus,mvtcae,mld";
constexpr std::string_view kAll = "model.kind=mvae,mmvae,mopoe,nexus,mvtcae,mld,uni,inpaint";
constexpr std::string_view kVariants = "model.kind=mld,uni,inpaint";
constexpr std::string_view kUnguided = "score.guidance=1 score.marginals=0";

constexpr Experiment kExperiments[] = {
    {"table1 table10 table11", "mnist-svhn-fast", kModels, ""},
    {"table2 table3 table12 table13", "mhd-free", kModels, ""},
    {"table5", "mnist-svhn-fast", kVariants, kUnguided},
    {"table6 table7", "mhd-free", kVariants, kUnguided},
    {"table14 table15 figure18 figure19", "polymnist-fast", kAll, kUnguided},
    {"figure11", "mnist-svhn-fast", "score.d=0.1,0.3,0.5,0.7,0.9", kUnguided},
    {"table16", "birds", kAll, kUnguided},
    {"models", "", kAll, ""},
};

}  // namespace

std::span<const Experiment> experiments() { return kExperiments; }

std::vector<std::string> settings_of(const Experiment& experiment) {
  std::istringstream words{std::string(experiment.settings)};
  return {std::istream_iterator<std::string>(words), {}};
}

const Experiment& find_experiment(const std::string& name) {
  std::vector<std::string> all;
  for (const Experiment& e : kExperiments) {
    std::istringstream names{std::string(e.names)};
    for (std::string known; names >> known;) {
      if (known == name) return e;
      all.push_back(known);
    }
  }
  const std::string guess = nearest(name, all);
  fail(ErrorKind::usage, "experiment: ", quote(name), " is none of ", join(all),
       guess.empty() ? "" : cat("; did you mean ", guess, "?"));
}

}  // namespace mld
