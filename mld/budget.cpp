#include "mld/budget.h"

#include "mld/stage.h"

namespace mld {
namespace {

// The limits as they are given, of which the first that is reached counts.
std::string text(const TrainConfig& train, std::int64_t steps_per_epoch) {
  std::string list;
  const auto add = [&](const std::string& part) { list += (list.empty() ? "" : ", ") + part; };
  if (train.steps > 0) add(cat(train.steps, " steps"));
  if (train.epochs > 0)
    add(cat(train.epochs, " epochs (", total_steps({.steps = 0, .epochs = train.epochs}, steps_per_epoch),
            " steps)"));
  if (train.minutes > 0) add(cat(train.minutes, " minutes"));
  return list;
}

// 0: no cosine.
std::int64_t cosine(const TrainConfig& train, std::int64_t total) {
  return train.schedule == LearningRate::cosine ? schedule_length(train, total) : 0;
}

}  // namespace

bool same_budget(const TrainConfig& a, const TrainConfig& b) {
  return a.steps == b.steps && a.epochs == b.epochs && a.minutes == b.minutes &&
         a.schedule_steps == b.schedule_steps;
}

bool is_budget_key(const std::string& key) {
  for (const char* tail : {".steps", ".epochs", ".minutes", ".schedule_steps"})
    if (key.ends_with(tail)) return true;
  return false;
}

Continuation continue_stage(const std::string& key, const StageRecord& record, const TrainConfig& was,
                            const TrainConfig& now, std::int64_t steps_per_epoch) {
  Continuation c{.work = !record.finished, .earlier_schedules = record.earlier_schedules};
  if (same_budget(was, now)) return c;
  const std::int64_t done = record.steps, total = total_steps(now, steps_per_epoch);
  const std::int64_t before = total_steps(was, steps_per_epoch);
  const std::string place = cat(record.file.string(), ": ", done, " steps are made");
  const std::string asked = text(now, steps_per_epoch);
  MLD_CHECK_AS(ErrorKind::usage, done <= total, place, ", more than the ", total, " that ", key,
               " now asks for (", asked, "); give at least as much",
               record.finished ? "" : ", or end the stage where it is with --stop-here");
  const double minutes = record.seconds / 60;
  MLD_CHECK_AS(ErrorKind::usage, now.minutes == 0 || minutes <= now.minutes, place, " in ", minutes,
               " minutes, more than the ", now.minutes, " of ", key, ".minutes",
               record.finished ? "" : "; end the stage where it is with --stop-here");
  const std::int64_t cosine_was = cosine(was, before), cosine_now = cosine(now, total);
  c.work = done < total || !record.finished;
  if (done == total)
    MLD_CHECK_AS(
        ErrorKind::usage, cosine_was == cosine_now, place, " along a cosine of ", cosine_was, " steps, and ",
        key, " now asks for ", done, " along one of ", cosine_now,
        record.finished ? "; leave the budget as it is" : "; end the stage where it is with --stop-here");
  MLD_CHECK_AS(ErrorKind::usage, c.work, place, ", all that ", key, " now asks for (", asked,
               "), under other limits (", text(was, steps_per_epoch),
               "), which the record keeps; leave the budget as it is or give a larger one");
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
  const std::int64_t length = cosine(was, total_steps(was, steps_per_epoch));
  train.steps = record.steps;
  train.epochs = train.minutes = 0;
  train.schedule_steps = length == record.steps ? 0 : length;
  return train;
}

}  // namespace mld
