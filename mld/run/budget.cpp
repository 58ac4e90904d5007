#include "mld/run/budget.h"

#include <vector>

#include "engine/base/names.h"

namespace mld {
namespace {

// 0: no cosine.
std::int64_t cosine(const TrainConfig& train, std::int64_t total) {
  return train.schedule == LearningRate::cosine ? schedule_length(train, total) : 0;
}

// Of the data that the stage was trained on; those at hand where it is not recorded.
std::int64_t epoch_of(const StageRecord& record, std::int64_t steps_per_epoch) {
  return record.steps_per_epoch > 0 ? record.steps_per_epoch : steps_per_epoch;
}

}  // namespace

std::int64_t total_steps(const TrainConfig& train, std::int64_t steps_per_epoch) {
  MLD_CHECK_AS(ErrorKind::usage, train.steps > 0 || train.epochs > 0 || train.minutes > 0,
               "training: no budget; set steps, epochs or minutes");
  constexpr auto unlimited = std::numeric_limits<std::int64_t>::max();
  const auto by_epochs =
      train.epochs > 0
          ? static_cast<std::int64_t>(std::ceil(train.epochs * static_cast<double>(steps_per_epoch)))
          : unlimited;
  return std::min(train.steps > 0 ? train.steps : unlimited, by_epochs);
}

std::int64_t schedule_length(const TrainConfig& train, std::int64_t total) {
  return train.schedule_steps > 0 ? train.schedule_steps : total;
}

bool same_budget(const TrainConfig& a, const TrainConfig& b) {
  return a.steps == b.steps && a.epochs == b.epochs && a.minutes == b.minutes &&
         a.schedule_steps == b.schedule_steps;
}

std::string budget_text(const TrainConfig& train, std::int64_t steps_per_epoch) {
  std::vector<std::string> limits;
  if (train.steps > 0) limits.push_back(cat(train.steps, " steps"));
  if (train.epochs > 0) {
    const TrainConfig epochs{.steps = 0, .epochs = train.epochs};
    limits.push_back(cat(train.epochs, " epochs"));
    if (steps_per_epoch > 0) limits.back() += cat(" (", total_steps(epochs, steps_per_epoch), " steps)");
  }
  if (train.minutes > 0) limits.push_back(cat(train.minutes, " minutes"));
  if (train.schedule_steps > 0) limits.push_back(cat("schedule_steps ", train.schedule_steps));
  return join(limits);
}

bool is_budget_key(const std::string& key) {
  for (const char* tail : {".steps", ".epochs", ".minutes", ".schedule_steps"})
    if (key.ends_with(tail)) return true;
  return false;
}

Continuation continue_stage(const std::string& key, const StageRecord& record, const TrainConfig& was,
                            const TrainConfig& now, std::int64_t steps_per_epoch) {
  Continuation c{.work = !record.finished, .earlier_schedules = record.earlier_schedules};
  const std::int64_t epoch_was = epoch_of(record, steps_per_epoch);
  const std::int64_t done = record.steps, total = total_steps(now, steps_per_epoch);
  const std::int64_t before = total_steps(was, epoch_was);
  if (same_budget(was, now) && (record.finished || before == total)) return c;
  const std::string place = cat(record.file.string(), ": ", done, " steps are made");
  const std::string asked = budget_text(now, steps_per_epoch), given = budget_text(was, epoch_was);
  const char* end_here = record.finished ? "" : ", or end the stage where it is with --stop-here";
  MLD_CHECK_AS(ErrorKind::usage, done <= total, place, ", more than the ", total, " that ", key,
               " now asks for (", asked, "); give at least as much", end_here);
  const double minutes = record.seconds / 60;
  MLD_CHECK_AS(ErrorKind::usage, now.minutes == 0 || minutes <= now.minutes, place, " in ", minutes,
               " minutes, more than the ", now.minutes, " of ", key, ".minutes; give at least as much",
               end_here);
  const std::int64_t cosine_was = cosine(was, before), cosine_now = cosine(now, total);
  c.work = done < total || !record.finished;
  const char* restore = "; give the budget that it was trained with";
  if (done == total)
    MLD_CHECK_AS(ErrorKind::usage, cosine_was == cosine_now, place, " along a cosine of ", cosine_was,
                 " steps, and ", key, " now asks for ", done, " along one of ", cosine_now, restore,
                 end_here);
  MLD_CHECK_AS(ErrorKind::usage, c.work, place, ", all that ", key, " now asks for (", asked,
               "), under other limits (", given, "), which the record keeps", restore, " or a larger one");
  c.reopened = c.work && record.finished;
  c.note = cat("continues from step ", done, " of ", asked);
  if (done > 0 && cosine_was != cosine_now) {
    c.earlier_schedules.push_back({done, cosine_was});
    c.note += cat(", from here on along the cosine of ", cosine_now, " steps (up to here: of ", cosine_was,
                  "; to keep that one: ", key, ".schedule_steps=", cosine_was, ")");
  }
  if (now.minutes > 0 && record.seconds == 0 && done > 0) c.note += "; minutes count from here";
  return c;
}

TrainConfig stopped_here(const StageRecord& record, const TrainConfig& was, std::int64_t steps_per_epoch) {
  TrainConfig train = was;
  const std::int64_t length = cosine(was, total_steps(was, epoch_of(record, steps_per_epoch)));
  train.steps = record.steps;
  train.epochs = train.minutes = 0;
  train.schedule_steps = length == record.steps ? 0 : length;
  return train;
}

}  // namespace mld
