// What the checkpoint of a stage says of its training besides the tensors: how far it is, with which
// settings, on which data, and which other files it rests on. The entries of a file's metadata that are named
// here are explained in docs/file-formats.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "nn/checkpoint.h"

namespace mld {

// A stretch of a training that followed the cosine of another length than the one that the
// configuration names.
struct EarlierSchedule {
  std::int64_t until = 0;  // step
  std::int64_t length = 0;
  bool operator==(const EarlierSchedule&) const = default;
};

struct StageRecord {
  std::filesystem::path file = {};
  std::string stage = {};            // "autoencoder/image"; empty: not recorded
  std::string config = {};           // verbatim; of the run as it was when the file was written
  std::int64_t steps = 0;            // made
  std::int64_t steps_per_epoch = 0;  // of the data trained on; 0: written before this was recorded
  bool finished = true;
  bool resumable = true;                  // holds the state of its training
  double seconds = 0;                     // spent; 0: not known, as without a budget of minutes
  std::string content = {};               // nn::content_hash
  std::string data = {};                  // fingerprint of the data trained on; empty: not known
  std::set<std::string> other_data = {};  // fingerprints of other data that it, or what it rests on, has seen
  std::set<std::string> beside = {};      // fingerprints of other data whose run it was let into
  std::vector<EarlierSchedule> earlier_schedules = {};
  // Of a score network: the content of what it rests on and is measured by, as "autoencoder.NAME" and
  // "classifier.NAME". Empty: written before there were such records.
  std::map<std::string, std::string> parts = {};

  Metadata entries() const;  // from data on, for the file's metadata
};

// In the place of a fingerprint: other data, which had none.
inline constexpr const char* kUnknownData = "unknown";

StageRecord stage_record(const std::filesystem::path& file, const nn::FileNotes& notes);
// Reads the file, all checksums verified; none if it is missing. ErrorKind::model if it is damaged.
std::optional<StageRecord> read_stage_record(const std::filesystem::path& file);

// ErrorKind::model, naming both files, if `file`, the part `name` with this content, is not the one that the
// score network was made with. Passes where that is not recorded.
void check_part(const StageRecord& score, const std::string& name, const std::string& content,
                const std::filesystem::path& file);

// Whether a checkpoint belongs into a run on data of this fingerprint: it was trained on them or let in
// beside them. What is not known passes.
bool fits_data(const StageRecord& record, const std::string& fingerprint);
// Marks a checkpoint as let into a run on data that are not its own (--other-data).
void let_in(StageRecord& record, const std::string& fingerprint);
// What a network that is trained on data of this fingerprint and rests on `record` has seen of other data.
std::set<std::string> other_data(const StageRecord& record, const std::string& fingerprint);

// What must be said of a stage beside its configuration, in a run on data of this fingerprint; empty if that
// tells all.
std::vector<std::string> remarks(const StageRecord& record, const std::string& stage,
                                 const std::string& fingerprint);
// Remarks as one entry of an exported file, and back; what is no such text holds none.
std::string remarks_text(const std::vector<std::string>& remarks);
std::vector<std::string> remarks_of_text(const std::string& text);

}  // namespace mld
