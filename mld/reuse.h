// Autoencoders and classifiers that a run takes over from another. What was taken is recorded in reused.json
// before it is copied, so that a killed start is completed by --resume with the same files.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/store.h"
#include "mld/config.h"
#include "mld/run_files.h"

namespace mld {

struct ReusedFile {
  std::filesystem::path source, target;
  std::string recipe;   // hash of the settings
  std::string content;  // nn::content_hash; empty: recorded before there was one
  std::string data;     // fingerprint of the data it was trained on; empty: not known
};

// The files of run `from` that fit the run in `into`, with everything checked: ErrorKind::model if the run is
// of other settings, of other data (unless `other_data`), unfinished or damaged, or its networks do not fit.
// Writes nothing.
std::vector<ReusedFile> reusable_files(const std::filesystem::path& from, const RunFiles& into,
                                       const Config& config, const data::Store& store, bool other_data,
                                       const std::function<void(const std::string&)>& note);

// Those that reused.json of a run names; none without such a file.
std::vector<ReusedFile> recorded_files(const RunFiles& run);
std::string to_json(const std::vector<ReusedFile>& files);

// ErrorKind::busy if the run holds another file in the place of one of these.
void check_targets(const std::vector<ReusedFile>& files);

}  // namespace mld
