// The data that a run was trained on: where they are, and whether those at hand are the same.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "data/description.h"

namespace mld {

struct DataComparison {
  std::string difference;   // what tells them apart; empty: they are the same,
  bool by_content = false;  // known by their fingerprints, not only by what their descriptions say
};

// Names, folders and sources do not count where both have a fingerprint.
DataComparison compare_data(const data::Description& trained, const data::Description& store);
// As it is told to users: the fingerprint, or that there is none.
std::string data_name(const data::Description& description);

// The folder of a store that a configuration of the run in `run` (a folder, or an exported file) names. New
// runs name it absolutely. A relative name of older ones is looked for from the current folder, then from
// where the run lies. ErrorKind::data, naming --data, if it is not there.
std::filesystem::path find_store(const std::string& store, const std::filesystem::path& run);

std::optional<std::filesystem::path> locate_store(const std::string& store, const std::filesystem::path& run);

}  // namespace mld
