// What a training does to a run that exists: which stages have steps left under the budgets asked for, and
// whether what is there fits together. Everything is decided before anything is changed.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "mld/run/budget.h"
#include "mld/run/reused_files.h"
#include "mld/run/run_files.h"
#include "mld/run/stage_settings.h"

namespace mld {

struct StagePlan {
  StageId id = {};
  bool chosen = true;  // this call is to train it
  std::int64_t steps_per_epoch = 1;
  std::optional<StageRecord> record = {};  // of its checkpoint, if there is one
  bool other_data = false;                 // which was trained on other data than those at hand
  Continuation next = {.work = true, .note = {}, .earlier_schedules = {}};

  bool trains() const { return chosen && next.work; }
};

struct PlanOptions {
  bool stop_here = false, retrain_score = false;
  bool other_data = false;
  std::string fingerprint = {};         // of the data to train on,
  std::filesystem::path store = {};     // which lie there
  std::vector<ReusedFile> reused = {};  // what the run took over from others
};

// Completes `stages` (in the order in which they are trained, the score network last) from the checkpoints in
// the run, and, with stop_here, changes the budgets in `config` to what was done. `before`: the run's own
// configuration. ErrorKind::usage for a budget or an option that cannot be, ErrorKind::busy for a checkpoint
// of other data that was not let in, ErrorKind::model for one of other settings, another seed or another
// stage, or that does not belong to the score network.
void plan_run(std::vector<StagePlan>& stages, const RunFiles& run, Config& config, const Config& before,
              const PlanOptions& options);

// Readies the files of a run for a plan, so that no reader takes an old result for that of the new networks:
// evaluations step aside, stages that are trained on count as unfinished, a score network that is trained
// anew goes. Can be killed at any point and repeated.
void prepare_run(const std::vector<StagePlan>& stages, const RunFiles& run, const PlanOptions& options,
                 const std::function<void(const std::string&)>& note);

}  // namespace mld
