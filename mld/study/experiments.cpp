#include "mld/study/experiments.h"

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

constexpr Experiment kExperiments[] = {
    {"table1 table10 table11", "mnist-svhn-fast", kModels},
    {"table2 table3 table12 table13", "mhd", kModels},
    {"table5", "mnist-svhn", kVariants},
    {"table6 table7", "mhd", kVariants},
    {"table14 table15 figure18 figure19", "polymnist", kAll},
    {"figure11", "mnist-svhn", "score.d=0.1,0.3,0.5,0.7,0.9"},
    {"models", "", kAll},
};

}  // namespace

std::span<const Experiment> experiments() { return kExperiments; }

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
