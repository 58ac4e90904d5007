#include "mld/train/run_setup.h"

#include <algorithm>
#include <set>

#include "data/formats/mmap_file.h"
#include "engine/io/file_error.h"
#include "mld/methods/item_training.h"
#include "mld/run/model.h"
#include "mld/run/run_data.h"
#include "mld/run/run_parts.h"
#include "mld/train/reuse.h"
#include "mld/train/train_checks.h"
#include "nn/checkpoint.h"

namespace mld {
namespace {

namespace fs = std::filesystem;

// Keys that may change when a run is continued: they decide how long, how often is written and how samples
// are drawn, not what is trained. What modalities start from (stage1, classifier_training) acts, if at all,
// through theirs; data are compared by content.
bool may_change(const std::string& key) {
  return key.starts_with("sampler.") || key.starts_with("run.") || key == "threads" || key == "data.store" ||
         key.starts_with("stage1.") || key.starts_with("classifier_training.") || is_budget_key(key);
}

Config absolute_store(Config config) {
  if (!config.data.store.empty())
    config.data.store = fs::absolute(config.data.store).lexically_normal().string();
  return config;
}

void remove_if_there(const fs::path& file) {
  std::error_code error;
  fs::remove(file, error);
  if (error) fail_io(file, "remove", error.value());
}

}  // namespace

void write_record(const StageRecord& record) {
  nn::rewrite_notes(record.file, [&](Metadata& metadata) {
    for (const auto& [key, value] : record.entries()) metadata[key] = value;
  });
}

RunSetup::RunSetup(const TrainRequest& wanted, const std::function<void(const std::string&)>& note)
    : request(wanted),
      config(absolute_store(wanted.config)),
      files{wanted.out},
      store(data::Store::open(wanted.config.data.store)),
      train(store.split("train")),
      fingerprint(store.description().fingerprint),
      data{.config = config, .store = store, .split = train, .columns = {}, .device = wanted.device},
      note_(note) {
  for (const ModalityConfig& m : config.modalities)
    data.columns.push_back(store.description().modality(m.name));
  data.latents = files.latents();
  data.note = [this](const std::string& line) { note_(line); };
  data.part = [this](const StageId& stage) {
    const fs::path file = files.checkpoint(stage);
    MLD_CHECK_AS(ErrorKind::model, fs::exists(file), file.string(),
                 ": missing; train the autoencoders first (--stage ae)");
    const auto part = std::make_shared<RunPart>(*open_part(files, stage, config, reused));
    return TrainingData::Part{part->record.content, [part](nn::ParameterStore& to) { part->load(to); }};
  };
  if (!request.modality.empty()) check_modality(request.modality);
  MLD_CHECK_AS(ErrorKind::usage, !request.retrain_score || request.stages != StageChoice::classifiers,
               "train: classifiers leave the score network as it is; leave out --retrain-score");
  method = request.method(config, store.description(), request.device);
}

bool RunSetup::chosen(const StageId& stage) const {
  if (stage.generates())
    return request.stages == StageChoice::score ||
           (request.stages == StageChoice::all && request.modality.empty());
  if (!request.modality.empty() && request.modality != stage.modality) return false;
  const bool classifies = stage.kind == StageKind::classifier;
  return request.stages == StageChoice::all ||
         request.stages == (classifies ? StageChoice::classifiers : StageChoice::autoencoders);
}

void RunSetup::check_modality(const std::string& name) const {
  if (std::ranges::find(config.modalities, name, &ModalityConfig::name) != config.modalities.end()) return;
  store.description().modality(name);  // unknown altogether: this error lists the known ones
  fail(ErrorKind::usage, "modality '", name, "' is in the data set but not in the configuration");
}

void RunSetup::list_stages() {
  if (!store.checked()) note_(store.unchecked_note());
  check_networks(*method, data, [this](const StageId& stage) { return chosen(stage); });
  for (const StageId& id : run_stages(*method, config))
    if (id.kind == StageKind::classifier)
      list_classifier(id);
    else
      stages.push_back(
          {.id = id, .chosen = chosen(id), .steps_per_epoch = method->steps_per_epoch(id, data)});
  if (!request.reuse.empty()) {
    const auto networks = request.method(config, store.description(), kCpu);
    reused = reusable_files(request.reuse, files, config, store, *networks, request.other_data, note_);
  }
}

void RunSetup::list_classifier(const StageId& id) {
  const auto found = std::ranges::find(config.modalities, id.modality, &ModalityConfig::name);
  if (!is_trained(found->classifier)) {  // nor may one lie there, of another configuration
    stages.push_back({.id = id, .chosen = false});
    return;
  }
  const std::string none = why_no_classifier(*found, store);
  const auto i = static_cast<std::size_t>(found - config.modalities.begin());
  if (none.empty())
    stages.push_back({.id = id,
                      .chosen = chosen(id),
                      .steps_per_epoch = item_steps_per_epoch(data, i, found->classifier_training, true)});
  else if (chosen(id))
    note_(cat(id.name(), ": left out, ", none));
}

// Everything that is wrong with continuing the run is found before anything in it changes.
void RunSetup::continue_run() {
  MLD_CHECK_AS(ErrorKind::busy, request.resume, request.out.string(),
               ": holds a run already; continue it with --resume or choose another folder");
  const Config before = read_run_config(files);
  std::string other;
  for (const SettingDifference& d : differences(before, config))
    if (!may_change(d.key)) other += "\n  " + d.str();
  MLD_CHECK_AS(ErrorKind::busy, other.empty(), request.out.string(),
               ": holds a run of another configuration:", other);
  check_run_data();
  check_targets(reused);
  for (ReusedFile& earlier : recorded_files(files))
    if (std::ranges::find(reused, earlier.target, &ReusedFile::target) == reused.end())
      reused.push_back(std::move(earlier));
  const PlanOptions options{.stop_here = request.stop_here,
                            .retrain_score = request.retrain_score,
                            .other_data = request.other_data,
                            .fingerprint = fingerprint,
                            .store = store.path(),
                            .reused = reused};
  plan_run(stages, files, config, before, options);
  data_change_ = data_change_ || std::ranges::any_of(stages, &StagePlan::other_data);
  MLD_CHECK_AS(ErrorKind::usage, !data_change_ || !request.stop_here, request.out.string(),
               ": --stop-here ends a stage that has not seen the other data; end it on those of before, or "
               "leave --stop-here out");
  MLD_CHECK_AS(ErrorKind::usage, !data_change_ || std::ranges::any_of(stages, &StagePlan::trains),
               request.out.string(), ": has no step left to train on other data; leave --other-data out");
  if (const auto& score = stages.back().record)
    if (chosen(stages.back().id) && score->parts.empty() && !is_vae(config.model.kind))
      note_(cat(score->file.string(),
                ": made before score networks recorded what they rest on; that these "
                "are its autoencoders was not checked"));
  prepare_run(stages, files, options, note_);
  if (data_change_) let_in_checkpoints();
}

void RunSetup::check_run_data() {
  if (!fs::exists(files.dataset())) return;  // killed before it was written
  data_change_ = trained_on_other_data(
      files, config, store,
      {.kind = ErrorKind::busy,
       .remedy = "; name the right store with --data, or go on with these under --other-data, which the "
                 "record then says",
       .allowed = request.other_data,
       .note = note_});
  // Data that are the same as far as descriptions tell go by the name that the run has for them.
  if (!data_change_) fingerprint = read_run_dataset(files).fingerprint;
}

// dataset.json is about to describe other data than those of the checkpoints there are.
void RunSetup::let_in_checkpoints() {
  for (StagePlan& plan : stages) {
    if (!plan.record) continue;
    let_in(*plan.record, fingerprint);
    write_record(*plan.record);
  }
}

void RunSetup::start(RunFolder& folder) {
  if (folder.holds_run())
    continue_run();
  else
    MLD_CHECK_AS(ErrorKind::usage, !request.stop_here && !request.retrain_score, request.out.string(),
                 ": holds no run yet; --stop-here and --retrain-score are for one that is continued");
  config_text = to_json(config);
  write_start(folder);
  for (StagePlan& plan : stages) {
    if (plan.record) continue;
    plan.record = read_stage_record(files.checkpoint(plan.id));
    if (plan.record) plan.next.work = !plan.record->finished;
  }
  folder.started();
}

// config.json makes the folder a run; what is to be taken over is listed before, so that --resume completes a
// start that was killed.
void RunSetup::write_start(RunFolder& folder) {
  const bool fresh = !folder.holds_run();
  std::vector<const ReusedFile*> missing;
  for (const ReusedFile& f : reused)
    if (!fs::exists(f.target)) missing.push_back(&f);
  if (!request.reuse.empty() && !missing.empty())
    folder.write(files.reused(), to_json(reused));
  else if (fresh)
    remove_if_there(files.reused());  // of a start that was killed
  if (fresh || read_text(files.config()) != config_text) folder.write(files.config(), config_text);
  if (data_change_ || !fs::exists(files.dataset()))
    folder.write(files.dataset(), to_json(store.description()));
  for (const ModalityConfig& m : config.modalities) {
    const std::vector<std::string> words = store.vocabulary(store.description().modality(m.name));
    if (words.empty() || (!data_change_ && fs::exists(files.vocabulary(m.name)))) continue;
    folder.write(files.vocabulary(m.name), data::join_lines(words));
  }
  for (const ReusedFile* f : missing) folder.write(f->target, [&] { take_over(*f, fingerprint); });
}

}  // namespace mld
