#include "mld/train/run_plan.h"

#include <algorithm>

#include "engine/io/file_error.h"
#include "engine/io/files.h"
#include "engine/io/jsonl.h"

namespace mld {
namespace {

namespace fs = std::filesystem;

void plan_stage(StagePlan& plan, const RunFiles& run, Config& config, const Config& before,
                const PlanOptions& options, bool& stopped) {
  TrainConfig& now = *plan.id.settings(config);
  const Config made_with = check_settings(plan.id, *plan.record, config,
                                          {.source = run.config(),
                                           .budgets = Budgets::may_differ,
                                           .taken_over = was_taken_over(options.reused, *plan.record)});
  const TrainConfig& then = *plan.id.settings(made_with);
  const TrainConfig* named = plan.id.settings(before);
  const bool changed = named != nullptr && !same_budget(*named, now);
  MLD_CHECK_AS(
      ErrorKind::usage, plan.chosen || !changed, plan.id.key(),
      ": another budget for a stage that has begun and that this call does not train; choose it with "
      "--stage, or leave its budget as it is");
  if (!plan.chosen) return;
  if (!options.stop_here || plan.record->finished) {
    plan.next = continue_stage(plan.id.key(), *plan.record, then, now, plan.steps_per_epoch);
    return;
  }
  MLD_CHECK_AS(ErrorKind::usage, !changed, plan.id.key(), ": --stop-here ends it at the ", plan.record->steps,
               " steps made; leave its budget out");
  MLD_CHECK_AS(ErrorKind::usage, plan.record->steps > 0, plan.record->file.string(),
               ": no step is made yet, so there is nothing to stop at");
  now = stopped_here(*plan.record, then, plan.steps_per_epoch);
  plan.next = {.work = true,
               .note = cat("ends here, at step ", plan.record->steps,
                           plan.id.generates() ? "" : "; the stages after it get their budgets"),
               .earlier_schedules = plan.record->earlier_schedules};
  stopped = true;
}

// Whether the stage is part of a score network that was trained on the data at hand: it belongs here then.
bool named(const std::optional<StageRecord>& score, const StagePlan& plan, const PlanOptions& options) {
  if (!score || !fits_data(*score, options.fingerprint)) return false;
  const auto found = score->parts.find(plan.id.part());
  return found != score->parts.end() && found->second == plan.record->content;
}

// Whether the checkpoints there are and those to come belong together. `score_before`: the score network's,
// even if it is to be replaced.
void check_fits(std::vector<StagePlan>& stages, const RunFiles& run,
                const std::optional<StageRecord>& score_before, const PlanOptions& options) {
  const StagePlan& score = stages.back();
  for (StagePlan& plan : stages) {
    const fs::path file = run.checkpoint(plan.id);
    const bool comes = plan.record || plan.trains() ||
                       std::ranges::any_of(options.reused, [&](const auto& f) { return f.target == file; });
    MLD_CHECK_AS(ErrorKind::model, plan.id.kind != StageKind::autoencoder || comes || !score.trains(),
                 file.string(), ": missing; train the autoencoders first (--stage ae)");
    if (!plan.record) continue;
    MLD_CHECK_AS(ErrorKind::model, plan.record->resumable || !plan.trains(), file.string(),
                 ": holds weights but no state of a training, so it cannot be trained on; put the checkpoint "
                 "back");
    if (score.record) check_part(*score.record, plan.id.part(), plan.record->content, file);
    plan.other_data = !fits_data(*plan.record, options.fingerprint) && !named(score_before, plan, options);
    MLD_CHECK_AS(ErrorKind::busy, options.other_data || !plan.other_data, file.string(),
                 ": was trained on data of fingerprint ", plan.record->data, ", ", options.store.string(),
                 " holds those of fingerprint ", options.fingerprint,
                 "; put the run's own file back, name the right store with --data, or go on with these under "
                 "--other-data, which the record then says");
  }
  for (const StagePlan& plan : stages)
    MLD_CHECK_AS(ErrorKind::usage, plan.id.kind != StageKind::autoencoder || !score.record || !plan.trains(),
                 plan.id.name(), ": would be trained ", plan.record ? "on" : "anew",
                 plan.next.note.empty() ? "" : " (" + plan.next.note + ")", ", but ",
                 run.checkpoint(score.id).string(), " was trained on its latents; ",
                 plan.record ? "give the budget that it was trained with" : "put the right file back",
                 ", or train the score network anew afterwards with --retrain-score");
}

// None if it cannot be read: it may be damaged.
std::optional<StageRecord> score_to_replace(const fs::path& file) {
  try {
    return read_stage_record(file);
  } catch (const Error&) {
    return {};
  }
}

void set_aside(const fs::path& file, const std::function<void(const std::string&)>& note) {
  const fs::path as = of_networks_before(file);
  std::error_code error;
  fs::rename(file, as, error);
  if (error) fail_io(file, "rename", error.value());
  if (note) note(cat(file.string(), ": is of the networks before, now ", as.filename().string()));
}

}  // namespace

void plan_run(std::vector<StagePlan>& stages, const RunFiles& run, Config& config, const Config& before,
              const PlanOptions& options) {
  bool stopped = false;
  for (StagePlan& plan : stages) {
    if (plan.id.generates() && options.retrain_score) continue;
    plan.record = read_stage_record(run.checkpoint(plan.id));
    if (plan.record) plan_stage(plan, run, config, before, options, stopped);
  }
  MLD_CHECK_AS(ErrorKind::usage, stopped || !options.stop_here, run.folder.string(),
               ": --stop-here has no stage to end: every checkpoint there is of one that has finished");
  check_fits(
      stages, run,
      options.retrain_score ? score_to_replace(run.checkpoint(stages.back().id)) : stages.back().record,
      options);
}

void prepare_run(const std::vector<StagePlan>& stages, const RunFiles& run, const PlanOptions& options,
                 const std::function<void(const std::string&)>& note) {
  if (std::ranges::none_of(stages, &StagePlan::trains) && !options.retrain_score) return;
  for (const fs::path& file : result_files(run)) set_aside(file, note);
  const StageId& generator = stages.back().id;
  if (const fs::path file = run.checkpoint(generator); options.retrain_score && path_exists(file)) {
    std::error_code error;
    fs::remove(file, error);
    if (error) fail_io(file, "remove", error.value());
    truncate_jsonl_to_step(run.metrics(), 0, generator.name());
  }
  for (const StagePlan& plan : stages)
    if (plan.trains() && plan.next.reopened)
      nn::rewrite_notes(plan.record->file, [](Metadata& entries) { entries["finished"] = "0"; });
}

}  // namespace mld
