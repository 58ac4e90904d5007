#include "mld/run/stage_record.h"

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/base/error.h"
#include "engine/io/files.h"

namespace mld {
namespace {

constexpr const char* kData = "data";
constexpr const char* kOtherData = "other_data";
constexpr const char* kBeside = "beside";
constexpr const char* kSchedules = "earlier_schedules";
constexpr const char* kParts = "parts";

std::set<std::string> parse_list(const std::string& text) {
  std::set<std::string> list;
  std::istringstream stream(text);
  for (std::string one; std::getline(stream, one, ',');) list.insert(one);
  return list;
}

std::string known(const std::string& fingerprint) { return fingerprint.empty() ? kUnknownData : fingerprint; }

std::string list_text(const std::set<std::string>& list) {
  std::string text;
  for (const std::string& one : list) text += (text.empty() ? "" : ",") + one;
  return text;
}

}  // namespace

Metadata StageRecord::entries() const {
  Metadata entries;
  if (!data.empty()) entries[kData] = data;
  if (!other_data.empty()) entries[kOtherData] = list_text(other_data);
  if (!beside.empty()) entries[kBeside] = list_text(beside);
  if (!parts.empty()) entries[kParts] = nlohmann::json(parts).dump();
  if (!earlier_schedules.empty()) {
    auto list = nlohmann::json::array();
    for (const auto& [until, length] : earlier_schedules)
      list.push_back({{"until", until}, {"length", length}});
    entries[kSchedules] = list.dump();
  }
  return entries;
}

StageRecord stage_record(const std::filesystem::path& file, const nn::FileNotes& notes) {
  const auto entry = [&](const char* key) {
    const auto found = notes.extra.find(key);
    return found == notes.extra.end() ? std::string() : found->second;
  };
  StageRecord record{.file = file,
                     .stage = notes.extra.contains("dataset") ? "an exported model" : entry("stage"),
                     .config = notes.config,
                     .resumable = notes.training.has_value(),
                     .data = entry(kData),
                     .other_data = parse_list(entry(kOtherData)),
                     .beside = parse_list(entry(kBeside))};
  if (notes.training) record.steps = notes.training->step + 1;
  record.finished = entry("finished") != "0";
  record.steps_per_epoch = std::strtoll(entry("steps_per_epoch").c_str(), nullptr, 10);
  record.seconds = std::strtod(entry("seconds").c_str(), nullptr);
  if (!notes.content.empty()) record.content = notes.content.front();
  try {
    if (const std::string text = entry(kParts); !text.empty())
      nlohmann::json::parse(text).get_to(record.parts);
    if (const std::string text = entry(kSchedules); !text.empty())
      for (const auto& part : nlohmann::json::parse(text))
        record.earlier_schedules.push_back(
            {part.at("until").get<std::int64_t>(), part.at("length").get<std::int64_t>()});
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorKind::model, file.string(), ": its metadata are damaged: ", error.what());
  }
  return record;
}

std::optional<StageRecord> read_stage_record(const std::filesystem::path& file) {
  if (!path_exists(file)) return {};
  return stage_record(file, nn::read_notes(file));
}

void check_part(const StageRecord& score, const std::string& name, const std::string& content,
                const std::filesystem::path& file) {
  const auto recorded = score.parts.find(name);
  if (recorded == score.parts.end()) return;
  MLD_CHECK_AS(ErrorKind::model, recorded->second == content, file.string(), ": is not the ", name, " that ",
               score.file.string(), " was made with (content ", content, ", expected ", recorded->second,
               "); put the right file back, or ",
               name.starts_with("classifier.")
                   ? "remove this one and train it with --resume --stage classifier"
                   : "train the score network anew with --resume --retrain-score");
}

bool fits_data(const StageRecord& record, const std::string& fingerprint) {
  return record.data.empty() || fingerprint.empty() || record.data == fingerprint ||
         record.beside.contains(fingerprint);
}

void let_in(StageRecord& record, const std::string& fingerprint) {
  if (record.data.empty() || record.data != fingerprint) record.beside.insert(known(fingerprint));
}

std::set<std::string> other_data(const StageRecord& record, const std::string& fingerprint) {
  std::set<std::string> others = record.other_data;
  // Without both fingerprints nothing is compared: data are others only if they were let in as such.
  const bool both = !record.data.empty() && !fingerprint.empty();
  if (both ? record.data != fingerprint : record.beside.contains(known(fingerprint)))
    others.insert(known(record.data));
  others.erase(fingerprint);
  return others;
}

std::vector<std::string> remarks(const StageRecord& record, const std::string& stage,
                                 const std::string& fingerprint) {
  std::vector<std::string> list;
  for (const auto& [until, length] : record.earlier_schedules)
    list.push_back(
        cat(stage, ": up to step ", until, " its learning rate followed the cosine of ", length, " steps"));
  if (const auto others = other_data(record, fingerprint); !others.empty())
    list.push_back(cat(stage, ": in a run on data of fingerprint ", known(fingerprint),
                       ", it or what it rests on was trained on others (--other-data): ", list_text(others)));
  return list;
}

std::string remarks_text(const std::vector<std::string>& remarks) { return nlohmann::json(remarks).dump(); }

std::vector<std::string> remarks_of_text(const std::string& text) {
  std::vector<std::string> list;
  const auto lines = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  for (const auto& line : lines)
    if (line.is_string()) list.push_back(line);
  return list;
}

}  // namespace mld
