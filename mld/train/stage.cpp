#include "mld/train/stage.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "engine/io/files.h"
#include "engine/io/jsonl.h"
#include "nn/checkpoint.h"

namespace mld {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kBadStepsAllowed = 10;
// On a queued device the host runs ahead and looks at the losses every so many steps.
constexpr std::int64_t kPollSteps = kLossRing / 2;
constexpr double kReportSeconds = 1;  // between progress reports

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

LrPlan plan_of(const TrainConfig& t, std::int64_t total) {
  return {.schedule = t.schedule,
          .lr = t.lr,
          .lr_final = t.final_lr,
          .warmup = t.warmup,
          .total = schedule_length(t, total)};
}

nn::AdamOptions adam_of(const TrainConfig& t) {
  return {.weight_decay = t.weight_decay,
          .decoupled = t.decoupled_decay,
          .clip_norm = t.clip,
          .ema_decay = t.ema};
}

// The stage in progress: the step, and what has been seen since the last line of metrics.
class Runner {
 public:
  Runner(const Stage& stage, const TrainHooks& hooks)
      : stage_(stage),
        hooks_(hooks),
        total_(total_steps(stage.train, stage.steps_per_epoch)),
        train_(*stage.store, stage.seed, plan_of(stage.train, total_), adam_of(stage.train), stage.loss),
        model_{"", stage.store},
        poll_every_(stage.store->options().device.kind == DeviceKind::cpu ? 1 : kPollSteps) {}

  StageEnd run() {
    if (load()) return StageEnd::finished;
    truncate_jsonl_to_step(stage_.metrics, done_, stage_.name);
    JsonlWriter metrics(stage_.metrics);
    start_ = reported_ = Clock::now();
    first_ = done_;
    while (done_ < total_ && !out_of_time()) {
      if (hooks_.stop && hooks_.stop()) {
        look();
        save(metrics, false);
        return StageEnd::stopped;
      }
      one_step();
      const bool line = done_ % stage_.run.log_every == 0 || done_ == total_;
      const bool due = stage_.run.checkpoint_every > 0 && done_ % stage_.run.checkpoint_every == 0;
      if (line || due || done_ - seen_ >= poll_every_) look();
      if (line) log(metrics);
      if (seconds_since(reported_) >= kReportSeconds) report();
      if (due && done_ < total_ && state_.bad_steps == 0) save(metrics, false);
    }
    look();
    if (done_ == total_ && count_ > 0) log_stopped(metrics);
    if (done_ > first_) report();
    save(metrics, true);
    return StageEnd::finished;
  }

 private:
  // Returns whether the stage is finished already.
  bool load() {
    if (!path_exists(stage_.checkpoint)) {
      stage_.store->initialize(stage_.seed);
      return false;
    }
    const nn::FileNotes notes = nn::load_checkpoint(stage_.checkpoint, std::span(&model_, 1));
    train_.resume(*notes.training);  // which every checkpoint has
    done_ = seen_ = notes.training->step + 1;
    const auto entry = [&](const char* key, double missing) {
      const auto it = notes.extra.find(key);
      return it == notes.extra.end() ? missing : std::strtod(it->second.c_str(), nullptr);
    };
    sum_ = entry("interval_loss", 0);
    count_ = static_cast<std::int64_t>(entry("interval_steps", 0));
    spent_ = entry("seconds", 0);
    return entry("finished", 0) != 0;
  }

  void save(JsonlWriter& metrics, bool finished) {
    metrics.flush();
    nn::FileNotes notes{.config = stage_.config, .training = train_.state(), .extra = stage_.record};
    notes.extra["stage"] = stage_.name;
    notes.extra["finished"] = finished ? "1" : "0";
    notes.extra["steps_per_epoch"] = std::to_string(stage_.steps_per_epoch);
    notes.extra["interval_loss"] = json_number(sum_);
    notes.extra["interval_steps"] = std::to_string(count_);
    if (stage_.train.minutes > 0) notes.extra["seconds"] = json_number(spent_ + seconds_since(start_));
    nn::save_checkpoint(stage_.checkpoint, std::span(&model_, 1), notes);
  }

  void one_step() {
    if (stage_.before) stage_.before(done_);
    train_();
    ++done_;
  }

  // Reads what the steps since the last look left in the ring; waits for them.
  void look() {
    state_ = train_.state();
    for (; seen_ < done_; ++seen_) {
      const double loss = state_.loss[seen_ % kLossRing];
      if (!std::isfinite(loss)) continue;
      sum_ += loss;
      ++count_;
    }
    MLD_CHECK_AS(ErrorKind::diverged, state_.bad_steps < kBadStepsAllowed, stage_.name,
                 ": the loss or a gradient was not finite in the ", kBadStepsAllowed, " steps up to step ",
                 done_, "; the last good checkpoint is kept. ",
                 "Lower the learning rate, or clip gradients (score.clip, vae.clip, stage1.clip)");
  }

  void log(JsonlWriter& metrics) {
    last_mean_ = count_ > 0 ? sum_ / static_cast<double>(count_) : std::nan("");
    metrics.append(JsonLine()
                       .text("stage", stage_.name)
                       .integer("step", done_)
                       .number("loss", last_mean_)
                       .number("lr", state_.lr)
                       .str());
    sum_ = 0;
    count_ = 0;
  }

  // The last line of a stage that ends at steps made before, as the step itself would have written it: no step was
  // made since, or its line would be there.
  void log_stopped(JsonlWriter& metrics) {
    state_.lr = plan_of(stage_.train, total_).at(std::max<std::int64_t>(0, state_.updates - 1));
    log(metrics);
  }

  void report() {
    reported_ = Clock::now();
    if (!hooks_.progress) return;
    const double seconds = seconds_since(start_);
    const double mean = count_ > 0 ? sum_ / static_cast<double>(count_) : last_mean_;
    hooks_.progress({stage_.name, done_, total_, mean, state_.lr, seconds,
                     seconds > 0 ? static_cast<double>(done_ - first_) / seconds : 0});
  }

  bool out_of_time() const {
    return stage_.train.minutes > 0 && spent_ + seconds_since(start_) > 60 * stage_.train.minutes;
  }

  const Stage& stage_;
  const TrainHooks& hooks_;
  std::int64_t total_;
  nn::TrainStep train_;
  nn::StoredModel model_;
  StepState state_;
  std::int64_t done_ = 0, first_ = 0, count_ = 0;
  std::int64_t seen_ = 0;  // steps whose loss has been read
  std::int64_t poll_every_;
  double sum_ = 0, spent_ = 0, last_mean_ = 0;
  Clock::time_point start_, reported_;
};

}  // namespace

StageEnd run_stage(const Stage& stage, const TrainHooks& hooks) { return Runner(stage, hooks).run(); }

void try_stage(const Stage& stage) {
  stage.store->initialize(stage.seed);
  nn::TrainStep train(*stage.store, stage.seed, plan_of(stage.train, 1), adam_of(stage.train), stage.loss);
  if (stage.before) stage.before(0);
  train();
  (void)train.state();
}

std::int64_t largest_batch(std::int64_t failed, const std::function<void(std::int64_t)>& step) {
  const auto fits = [&](std::int64_t batch) {
    try {
      step(batch);
      return true;
    } catch (const OutOfMemory&) {
      return false;
    }
  };
  std::int64_t large = failed, small = failed / 2;  // fits not; is tried
  while (small > 0 && !fits(small)) {
    large = small;
    small /= 2;
  }
  while (small > 0 && large - small > std::max<std::int64_t>(1, large / 16)) {
    const std::int64_t middle = small + (large - small) / 2;
    (fits(middle) ? small : large) = middle;
  }
  return small;
}

}  // namespace mld
