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
  const std::filesystem::path path = id.file(run);
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

std::vector<RunPart> open_parts(const RunFiles& run, const Config& config, const std::string& fingerprint) {
  const std::vector<ReusedFile> reused = recorded_files(run);
  std::vector<RunPart> parts;
  const auto add = [&](const StageId& id) {
    if (auto part = open_part(run, id, config, reused)) parts.push_back(std::move(*part));
  };
  for (const ModalityConfig& m : config.modalities) {
    add({StageKind::autoencoder, m.name});
    add({StageKind::classifier, m.name});
  }
  add({StageKind::score, {}});
  const bool whole = !parts.empty() && parts.back().id.kind == StageKind::score;
  const StageRecord score = whole ? parts.back().record : StageRecord();
  for (const RunPart& part : parts) {
    check_part(score, part.id.part(), part.record.content, part.record.file);
    // A part that the score network was made with belongs to the run if that does.
    MLD_CHECK_AS(ErrorKind::model,
                 fits_data(part.record, fingerprint) || score.parts.contains(part.id.part()),
                 part.record.file.string(), ": was trained on data of fingerprint ", part.record.data, ", ",
                 run.dataset().string(), " describes data of fingerprint ", fingerprint,
                 "; put the files of one run together (--resume --other-data lets others in)");
  }
  for (const ModalityConfig& m : config.modalities)
    MLD_CHECK_AS(ErrorKind::model, !whole || path_exists(run.autoencoder(m.name)),
                 run.autoencoder(m.name).string(), ": is missing, and ", score.file.string(),
                 " was trained on its latents; put it back");
  return parts;
}

}  // namespace mld
