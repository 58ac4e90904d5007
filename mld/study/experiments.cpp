#include "mld/study/experiments.h"

#include <algorithm>
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

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> found;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    found.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return found;
}

}  // namespace

std::span<const Experiment> experiments() { return kExperiments; }

const Experiment& find_experiment(const std::string& name) {
  std::vector<std::string> all;
  for (const Experiment& e : kExperiments)
    for (const std::string& known : words(e.names)) {
      if (known == name) return e;
      all.push_back(known);
    }
  const std::string guess = nearest(name, all);
  fail(ErrorKind::usage, "experiment: ", quote(name), " is none of ", join(all),
       guess.empty() ? "" : cat("; did you mean ", guess, "?"));
}

}  // namespace mld
