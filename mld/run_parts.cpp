#include "mld/run_parts.h"

#include <set>
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
  std::set<std::string> seen;  // fingerprints of data
  const auto add = [&](const StageId& id) {
    auto part = open_part(run, id, config, reused);
    if (!part) return;
    add_seen(part->record, seen);
    parts.push_back(std::move(*part));
  };
  for (const ModalityConfig& m : config.modalities) {
    add({StageKind::autoencoder, m.name});
    add({StageKind::classifier, m.name});
  }
  add({StageKind::score, {}});
  if (parts.empty() || parts.back().id.kind != StageKind::score) return parts;
  const StageRecord& score = parts.back().record;
  for (const RunPart& part : std::span(parts).first(parts.size() - 1))
    check_part(score, part.id.part(), part.record.content, part.record.file);
  check_data(score, seen, fingerprint, run.dataset());
  return parts;
}

}  // namespace mld
