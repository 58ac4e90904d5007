// The data that a run was trained on: where they are, and whether those at hand are the same.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "data/store/description.h"
#include "data/store/store.h"
#include "engine/base/error.h"
#include "mld/run/run_files.h"

namespace mld {

struct DataComparison {
  std::string difference;   // what tells them apart; empty: they are the same,
  bool by_content = false;  // known by their fingerprints, not only by what their descriptions say
};

// Names, folders and sources do not count where both have a fingerprint.
DataComparison compare_data(const data::Description& trained, const data::Description& store);
// Whether a run was trained on other data than `store` holds. That is an error of this kind, which names the
// remedy, unless it is allowed; ErrorKind::data if the networks of `config` cannot work on such data. Where
// the two are alike but have no fingerprint to tell, a note says so.
struct OtherData {
  ErrorKind kind = ErrorKind::model;
  std::string remedy;
  bool allowed = false;
  std::function<void(const std::string&)> note;  // may be empty
};
bool trained_on_other_data(const RunFiles& run, const Config& config, const data::Store& store,
                           const OtherData& other);
// As it is told to users: the fingerprint, or that there is none.
std::string data_name(const data::Description& description);

// The folder of a store that a configuration of the run in `run` (a folder, or an exported file) names. New
// runs name it absolutely. A relative name of older ones is looked for from the current folder, then from
// where the run lies. ErrorKind::data, naming --data, if it is not there.
std::filesystem::path find_store(const std::string& store, const std::filesystem::path& run);

std::optional<std::filesystem::path> locate_store(const std::string& store, const std::filesystem::path& run);

}  // namespace mld
