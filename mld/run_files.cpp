#include "mld/run_files.h"

#include "engine/io/files.h"
#include "nn/checkpoint.h"

namespace mld {
namespace {

std::string read_part(const RunFiles& files, const std::filesystem::path& part) {
  MLD_CHECK_AS(ErrorKind::model, path_exists(part), files.folder.string(), ": is not a run; ",
               part.filename().string(), " is missing");
  return read_text(part);
}

}  // namespace

std::string read_text(const std::filesystem::path& path) {
  return read_file(path, ErrorKind::io);
}

Config read_run_config(const RunFiles& files) {
  return parse_config(read_part(files, files.config()), files.config().string());
}

data::Description read_run_dataset(const RunFiles& files) {
  return data::parse_description(read_part(files, files.dataset()), files.dataset().string());
}

void load_finished(const std::filesystem::path& checkpoint, nn::ParameterStore& store) {
  MLD_CHECK_AS(ErrorKind::model, path_exists(checkpoint), checkpoint.string(),
               ": missing; train this stage first");
  const nn::StoredModel model{"", &store};
  const nn::FileNotes notes = nn::load_weights(checkpoint, std::span(&model, 1));
  const auto finished = notes.extra.find("finished");
  MLD_CHECK_AS(ErrorKind::model, finished == notes.extra.end() || finished->second == "1",
               checkpoint.string(), ": this stage was stopped before its end; continue it with --resume");
}

}  // namespace mld
