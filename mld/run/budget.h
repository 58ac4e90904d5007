// What becomes of a stage that has begun when its run is continued, perhaps with another budget. The record
// must stay true: a setting that is written was used.
#pragma once

#include <cstdint>
#include <string>

#include "mld/config/config.h"
#include "mld/run/stage_record.h"

namespace mld {

// Steps the budget allows; minutes are not counted. Throws ErrorKind::usage if there is no budget at all.
std::int64_t total_steps(const TrainConfig& train, std::int64_t steps_per_epoch);
// Length of a cosine in a stage of `total` steps.
std::int64_t schedule_length(const TrainConfig& train, std::int64_t total);

struct Continuation {
  bool work = false;      // steps are left to make
  bool reopened = false;  // of a stage that had finished
  std::string note = {};  // for the log; empty: the budget is what it was
  std::vector<EarlierSchedule> earlier_schedules = {};
};

// `was`: the settings that the checkpoint was made with; `now`: those asked for, which differ in the budget
// at most. `key` names them in messages: "score", "modalities.image.stage1". A larger budget trains on; a
// cosine is then that of `now`, at the step reached. The same holds where epochs have another length on other
// data, which leaves a finished stage as it is. ErrorKind::usage, with both numbers, for a budget that is
// less than what is done, or that would be written down but not used.
Continuation continue_stage(const std::string& key, const StageRecord& record, const TrainConfig& was,
                            const TrainConfig& now, std::int64_t steps_per_epoch);

// `was` as it is to be written for a stage that ends at the steps made, on data of so many steps an epoch.
TrainConfig stopped_here(const StageRecord& record, const TrainConfig& was, std::int64_t steps_per_epoch);

// Whether a key is a budget: how long, not what is trained.
bool is_budget_key(const std::string& key);
bool same_budget(const TrainConfig& a, const TrainConfig& b);
// The limits as they are given, of which the first that is reached counts. steps_per_epoch 0: not known.
std::string budget_text(const TrainConfig& train, std::int64_t steps_per_epoch = 0);

}  // namespace mld
