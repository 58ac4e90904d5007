// reused.json of a run: which autoencoders and classifiers it took over from which other run. It is written
// before they are copied, so that a killed start is completed by --resume with the same files.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "mld/run/run_files.h"
#include "mld/run/stage_record.h"

namespace mld {

struct ReusedFile {
  std::filesystem::path source, target;
  std::string recipe;   // hash of the settings
  std::string content;  // nn::content_hash; empty: recorded before there was one
  std::string data;     // fingerprint of the data it was trained on; empty: not known
  bool others = false;  // they are not the new run's (--other-data)
};

// Those that reused.json of a run names; none without such a file.
std::vector<ReusedFile> recorded_files(const RunFiles& run);
std::string to_json(const std::vector<ReusedFile>& files);

// Whether a checkpoint is one of these, as it was taken over.
bool was_taken_over(const std::vector<ReusedFile>& files, const StageRecord& record);
// ErrorKind::busy if the run holds another file in the place of one of these.
void check_targets(const std::vector<ReusedFile>& files);

}  // namespace mld
