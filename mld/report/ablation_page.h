// An ablation as one HTML file: the table of its cells, where the varied setting is a number, curves of
// coherence and of the distances from real samples over it, and samples of the first seed's runs side by side.
#pragma once

#include <span>
#include <string>

#include "mld/report/report.h"
#include "mld/study/ablation.h"

namespace mld::report {

struct AblationPage {
  std::string key;         // the setting
  std::string title = {};  // empty: "Ablation of KEY"
  bool paper = false;      // beside the published rows, where there are any
  Device device = kCpu;
};

// The cells' evaluations are read; ErrorKind::data where one is missing or broken. Runs that are no longer there
// have no samples on it, and where samples cannot be drawn it says why.
std::string ablation_page(const AblationPage& page, std::span<const AblationCell> cells,
                          const ReportProgress& progress = {});

}  // namespace mld::report
