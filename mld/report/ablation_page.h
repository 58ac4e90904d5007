// An ablation as one HTML file: the table of its cells, and where the varied setting is a number, curves of
// coherence and of the distances from real samples over it.
#pragma once

#include <span>
#include <string>

#include "mld/study/ablation.h"

namespace mld::report {

// `key`: the setting. The cells' evaluations are read; ErrorKind::data where one is missing or broken.
std::string ablation_page(const std::string& key, std::span<const AblationCell> cells);

}  // namespace mld::report
