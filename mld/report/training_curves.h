// Charts of the losses in a run's metrics.jsonl.
#pragma once

#include <filesystem>
#include <string>

namespace mld::report {

// One for each stage; empty if the file is not there. Lines that are no metrics are left out.
std::string training_curves(const std::filesystem::path& file);

}  // namespace mld::report
