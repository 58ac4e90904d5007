#include "mld/run/run_parts.h"

#include <span>

#include "engine/io/files.h"
#include "engine/io/lock_file.h"
#include "nn/checkpoint.h"

namespace mld {
namespace {

void check_finished(const StageRecord& record) {
  if (record.finished) return;
  const std::string trainer = LockFile::owner(record.file.parent_path());
  MLD_CHECK_AS(ErrorKind::model, trainer.empty(), record.file.string(), ": this stage is being trained, by ",
               trainer, "; wait until it has finished");
  fail(ErrorKind::model, record.file.string(), ": this stage was stopped before its end, at step ",
       record.steps, "; continue it with --resume, or end it there with --resume --stop-here");
}

}  // namespace

void RunPart::load(nn::ParameterStore& store) const {
  const nn::StoredModel model{"", &store};
  nn::load_weights(file, std::span(&model, 1));
}

std::optional<RunPart> open_part(const RunFiles& run, const StageId& id, const Config& config,
                                 const std::vector<ReusedFile>& reused) {
  const std::filesystem::path path = run.checkpoint(id);
  if (!path_exists(path)) return {};
  SafetensorsFile file(path);
  StageRecord record = stage_record(path, nn::read_notes(file));
  check_finished(record);
  Config made_with =
      check_settings(id, record, config,
                     {.source = run.config(),
                      .budgets = record.steps_per_epoch > 0 ? Budgets::equal : Budgets::may_differ,
                      .taken_over = was_taken_over(reused, record)});
  return RunPart{id, std::move(file), std::move(record), std::move(made_with)};
}

std::vector<RunPart> open_parts(const RunFiles& run, const std::vector<StageId>& stages, const Config& config,
                                const std::string& fingerprint) {
  const std::vector<ReusedFile> reused = recorded_files(run);
  std::vector<RunPart> parts;
  for (const StageId& id : stages)
    if (auto part = open_part(run, id, config, reused)) parts.push_back(std::move(*part));
  const bool whole = !parts.empty() && parts.back().id.generates();
  const StageRecord generator = whole ? parts.back().record : StageRecord();
  for (const RunPart& part : parts) {
    check_part(generator, part.id.part(), part.record.content, part.record.file);
    // What the score network names is as much of this run as that.
    MLD_CHECK_AS(ErrorKind::model,
                 fits_data(part.record, fingerprint) || generator.parts.contains(part.id.part()),
                 part.record.file.string(), ": was trained on data of fingerprint ", part.record.data, ", ",
                 run.dataset().string(), " describes data of fingerprint ", fingerprint,
                 "; put the files of one run together (--resume --other-data lets others in)");
  }
  for (const StageId& id : stages)
    MLD_CHECK_AS(ErrorKind::model,
                 !whole || id.kind == StageKind::classifier || path_exists(run.checkpoint(id)),
                 run.checkpoint(id).string(), ": is missing, and ", generator.file.string(),
                 " was trained on its latents; put it back");
  return parts;
}

}  // namespace mld
