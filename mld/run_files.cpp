#include "mld/run_files.h"

#include "engine/io/files.h"
#include "engine/io/lock_file.h"
#include "nn/checkpoint.h"

namespace mld {
namespace {

// What is no regular file fails like one whose content is wrong, with kind `wrong`.
std::string read_part(const RunFiles& files, const std::filesystem::path& part, ErrorKind wrong) {
  MLD_CHECK_AS(ErrorKind::model, path_exists(part), files.folder.string(), ": is not a run; ",
               part.filename().string(), " is missing");
  return read_file(part, wrong);
}

}  // namespace

std::string read_text(const std::filesystem::path& path) { return read_file(path, ErrorKind::io); }

Config read_run_config(const RunFiles& files) {
  return parse_config(read_part(files, files.config(), ErrorKind::usage), files.config().string());
}

data::Description read_run_dataset(const RunFiles& files) {
  return data::parse_description(read_part(files, files.dataset(), ErrorKind::data),
                                 files.dataset().string());
}

StageRecord load_finished(const std::filesystem::path& checkpoint, nn::ParameterStore& store) {
  MLD_CHECK_AS(ErrorKind::model, path_exists(checkpoint), checkpoint.string(),
               ": missing; train this stage first");
  const nn::StoredModel model{"", &store};
  StageRecord record = stage_record(checkpoint, nn::load_weights(checkpoint, std::span(&model, 1)));
  if (record.finished) return record;
  const std::string trainer = LockFile::owner(checkpoint.parent_path());
  MLD_CHECK_AS(ErrorKind::model, trainer.empty(), checkpoint.string(), ": this stage is being trained, by ",
               trainer, "; wait until it has finished");
  fail(ErrorKind::model, checkpoint.string(), ": this stage was stopped before its end, at step ",
       record.steps, "; continue it with --resume, or end it there with --resume --stop-here");
}

}  // namespace mld
