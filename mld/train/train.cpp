#include "mld/train/train.h"

#include <algorithm>
#include <functional>

#include "mld/config/seed.h"
#include "mld/methods/item_training.h"
#include "mld/train/run_setup.h"

namespace mld {
namespace {

// Trains the stages of a run that has been set up.
class Trainer {
 public:
  Trainer(RunSetup& run, const TrainHooks& hooks) : run_(run), hooks_(hooks) {}

  StageEnd all_stages() {
    for (StagePlan& plan : run_.stages) {
      if (!plan.trains()) continue;
      if (!plan.next.note.empty()) note(plan.id.name() + ": " + plan.next.note);
      if (plan.id.kind == StageKind::classifier) untie(plan.id.part());
      if (stage(plan) == StageEnd::stopped) return StageEnd::stopped;
      plan.record = read_stage_record(run_.files.checkpoint(plan.id));
    }
    tie_classifiers();
    return StageEnd::finished;
  }

 private:
  void note(const std::string& line) const {
    if (hooks_.note) hooks_.note(line);
  }

  // Where memory runs out, steps with smaller batches tell which would have fitted.
  StageEnd stage(const StagePlan& plan) {
    const MakeTraining make = making(plan.id);
    const Stage base = describe(plan);
    std::int64_t batch = base.train.batch;
    try {
      const std::unique_ptr<Training> training = make(batch, base.seed);
      if (training->batch() != batch)
        note(cat(base.name, ": the batch shrinks from ", batch, " to ", training->batch(), ", all there is"));
      batch = training->batch();
      return run_stage(with(base, *training), hooks_);
    } catch (const OutOfMemory& error) {
      const std::int64_t largest = largest_batch(batch, [&](std::int64_t smaller) {
        const std::unique_ptr<Training> training = make(smaller, base.seed);
        try_stage(with(base, *training));
      });
      throw OutOfMemory(cat(error.what(), " than ", batch,
                            largest > 0 ? cat("; one of ", largest, " fits") : "; not even one of 1 fits"));
    }
  }

  MakeTraining making(const StageId& id) const {
    if (id.kind != StageKind::classifier) return run_.method->training(id, run_.data);
    const auto& modalities = run_.config.modalities;
    const auto i = static_cast<std::size_t>(
        std::ranges::find(modalities, id.modality, &ModalityConfig::name) - modalities.begin());
    return [this, i](std::int64_t batch, std::uint64_t seed) {
      return classifier_training(run_.data, i, batch, seed);
    };
  }

  Stage describe(const StagePlan& plan) const {
    Stage s;
    s.name = plan.id.name();
    s.checkpoint = run_.files.checkpoint(plan.id);
    s.metrics = run_.files.metrics();
    s.train = *plan.id.settings(run_.config);
    s.run = run_.config.run;
    s.seed = stage_seed(run_.config.seed, s.name);
    s.config = run_.config_text;
    s.record = record_of(plan).entries();
    return s;
  }

  static Stage with(Stage stage, Training& training) {
    stage.store = &training.parameters();
    stage.steps_per_epoch = training.steps_per_epoch();
    stage.before = [&training](std::int64_t step) { training.before(step); };
    stage.loss = [&training](const StepState* state) { return training.loss(state); };
    return stage;
  }

  // What the checkpoint of a stage is to say of its data, its schedule and what it rests on.
  StageRecord record_of(const StagePlan& plan) const {
    StageRecord record{.data = run_.fingerprint, .earlier_schedules = plan.next.earlier_schedules};
    const auto add_others = [&](const StageRecord& of) {
      record.other_data.merge(other_data(of, record.data));
    };
    if (plan.record) add_others(*plan.record);
    if (!plan.id.generates()) return record;
    for (const StagePlan& part : run_.stages) {
      if (part.id.generates() || !part.record || !part.record->finished) continue;
      record.parts[part.id.part()] = part.record->content;
      if (part.id.kind != StageKind::classifier) add_others(*part.record);
    }
    return record;
  }

  // What generates names the classifiers that it is measured by. One that is trained after it is taken out
  // of the list before and put in afterwards, so that at no time another one stands there.
  void untie(const std::string& part) {
    std::optional<StageRecord>& generator = run_.stages.back().record;
    if (!generator || generator->parts.erase(part) == 0) return;
    write_record(*generator);
  }

  void tie_classifiers() {
    std::optional<StageRecord>& generator = run_.stages.back().record;
    if (!generator || generator->parts.empty()) return;
    const auto before = generator->parts;
    for (const StagePlan& plan : run_.stages)
      if (plan.id.kind == StageKind::classifier && plan.record && plan.record->finished)
        generator->parts[plan.id.part()] = plan.record->content;
    if (generator->parts != before) write_record(*generator);
  }

  RunSetup& run_;
  const TrainHooks& hooks_;
};

}  // namespace

StageEnd train(const TrainRequest& request, const TrainHooks& hooks) {
  const std::function<void(const std::string&)> note = [&](const std::string& line) {
    if (hooks.note) hooks.note(line);
  };
  RunSetup run(request, note);
  run.list_stages();
  RunFolder folder(request.out);
  run.start(folder);
  const StageEnd end = Trainer(run, hooks).all_stages();
  folder.keep();
  return end;
}

}  // namespace mld
