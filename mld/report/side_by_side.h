// Samples of several runs below one another: drawn by the same seed from the same real samples, so that models
// are seen where a table has their numbers.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "mld/report/report.h"

namespace mld::report {

struct Contender {
  std::string name;           // "MLD-Uni"
  std::filesystem::path run;  // a run directory
};

// As HTML: for every set of given modalities that a report shows, what is given and a strip for each run. Runs
// that do not generate yet, or whose modalities are not those of the first, are left out; without any the text
// is empty. Given ones are of the store that the first run was trained on; where that is gone, only joint
// samples are shown.
std::string side_by_side(std::span<const Contender> contenders, Device device,
                         const ReportProgress& progress = {});

}  // namespace mld::report
