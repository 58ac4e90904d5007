#include "mld/run/reused_files.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/io/files.h"

namespace mld {

namespace fs = std::filesystem;

std::vector<ReusedFile> recorded_files(const RunFiles& run) {
  std::vector<ReusedFile> files;
  if (!path_exists(run.reused())) return files;
  try {
    const auto record = nlohmann::json::parse(read_text(run.reused()));
    for (const auto& [name, entry] : record.items())
      files.push_back({entry.at("from").get<std::string>(), run.folder / fs::path(name).filename(),
                       entry.at("recipe").get<std::string>(), entry.value("content", ""),
                       entry.value("data", ""), entry.value("other_data", false)});
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorKind::model, run.reused().string(), ": is damaged: ", error.what());
  }
  return files;
}

std::string to_json(const std::vector<ReusedFile>& files) {
  nlohmann::json record = nlohmann::json::object();
  for (const ReusedFile& f : files) {
    auto& entry = record[f.target.filename().string()];
    entry = {{"from", fs::absolute(f.source).lexically_normal().string()}, {"recipe", f.recipe}};
    if (!f.content.empty()) entry["content"] = f.content;
    if (!f.data.empty()) entry["data"] = f.data;
    if (f.others) entry["other_data"] = true;
  }
  return record.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

bool was_taken_over(const std::vector<ReusedFile>& files, const StageRecord& record) {
  return std::ranges::any_of(files, [&](const ReusedFile& f) {
    return f.target.filename() == record.file.filename() &&
           (f.content.empty() || f.content == record.content);
  });
}

void check_targets(const std::vector<ReusedFile>& files) {
  for (const ReusedFile& f : files)
    if (const auto found = read_stage_record(f.target))
      MLD_CHECK_AS(ErrorKind::busy, f.content.empty() || found->content == f.content, f.target.string(),
                   ": is not the one of ", f.source.string(), " (content ", found->content, ", not ",
                   f.content, "); leave --reuse out or choose another folder");
}

}  // namespace mld
