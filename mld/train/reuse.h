// What a run can take over from another: autoencoders and classifiers of the same settings and data.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/store/store.h"
#include "mld/config/config.h"
#include "mld/methods/method.h"
#include "mld/run/reused_files.h"

namespace mld {

// The files of run `from` that fit the run in `into`, with everything checked: ErrorKind::model if the run is
// of other settings, of other data (unless `other_data`), unfinished or damaged, or its networks do not fit.
// Writes nothing. `networks`: a method whose networks they must fit, which it builds.
std::vector<ReusedFile> reusable_files(const std::filesystem::path& from, const RunFiles& into,
                                       const Config& config, const data::Store& store, Method& networks,
                                       bool other_data, const std::function<void(const std::string&)>& note);

// Copies one of them into a run on data of this fingerprint; it must still be what was recorded
// (ErrorKind::model).
void take_over(const ReusedFile& file, const std::string& fingerprint);

}  // namespace mld
