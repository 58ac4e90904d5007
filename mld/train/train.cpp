#include "mld/train/train.h"

#include <algorithm>
#include <functional>
#include <set>

#include "data/store/batch_order.h"
#include "data/store/modality_check.h"
#include "data/store/store.h"
#include "engine/io/file_error.h"
#include "engine/ops/ops.h"
#include "mld/diffusion/noise.h"
#include "mld/diffusion/score_batch.h"
#include "mld/diffusion/score_model.h"
#include "mld/modality/autoencoders.h"
#include "mld/modality/batches.h"
#include "mld/run/run_data.h"
#include "mld/run/run_parts.h"
#include "mld/train/kept_latents.h"
#include "mld/train/reuse.h"
#include "mld/train/run_folder.h"
#include "mld/train/run_plan.h"
#include "mld/train/train_checks.h"

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

// On the cpu values are filled where they are used.
void upload(const Tensor& from, const Tensor& to) {
  if (from.raw() != to.raw()) to.upload(from.raw());
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

class Trainer {
 public:
  Trainer(const TrainRequest& request, const TrainHooks& hooks)
      : request_(request),
        config_(absolute_store(request.config)),
        hooks_(hooks),
        files_{request.out},
        store_(data::Store::open(request.config.data.store)),
        train_(store_.split("train")),
        fingerprint_(store_.description().fingerprint) {
    for (const ModalityConfig& m : config_.modalities)
      index_.push_back(store_.description().modality(m.name));
    if (!request_.modality.empty()) wanted(request_.modality);
    MLD_CHECK_AS(ErrorKind::usage, !request_.retrain_score || request_.stages != StageChoice::classifiers,
                 "train: classifiers leave the score network as it is; leave out --retrain-score");
  }

  StageEnd run() {
    if (!store_.checked()) note(store_.unchecked_note());
    check_networks(config_, store_);
    if (chosen(StageKind::score)) check_statistics(config_, store_);
    list_stages();
    if (!request_.reuse.empty())
      reused_ = reusable_files(request_.reuse, files_, config_, store_, request_.other_data, hooks_.note);
    RunFolder folder(request_.out);
    if (folder.holds_run())
      continue_run();
    else
      MLD_CHECK_AS(ErrorKind::usage, !request_.stop_here && !request_.retrain_score, request_.out.string(),
                   ": holds no run yet; --stop-here and --retrain-score are for one that is continued");
    config_text_ = to_json(config_);
    start(folder);
    folder.started();
    const StageEnd end = train_stages();
    folder.keep();
    return end;
  }

 private:
  bool chosen(StageKind kind, const std::string& modality = {}) const {
    if (kind == StageKind::score)
      return request_.stages == StageChoice::score ||
             (request_.stages == StageChoice::all && request_.modality.empty());
    if (!request_.modality.empty() && request_.modality != modality) return false;
    const bool encodes = kind == StageKind::autoencoder;
    return request_.stages == StageChoice::all ||
           request_.stages == (encodes ? StageChoice::autoencoders : StageChoice::classifiers);
  }

  void wanted(const std::string& name) const {
    for (const ModalityConfig& m : config_.modalities)
      if (m.name == name) return;
    store_.description().modality(name);  // unknown altogether: this error lists the known ones
    fail(ErrorKind::usage, "modality '", name, "' is in the data set but not in the configuration");
  }

  void note(const std::string& line) const {
    if (hooks_.note) hooks_.note(line);
  }

  void list_stages() {
    for (std::size_t i = 0; i < config_.modalities.size(); ++i) {
      const ModalityConfig& m = config_.modalities[i];
      const auto add = [&](StageKind kind, const StageConfig& training) {
        const bool labelled = kind == StageKind::classifier;
        stages_.push_back({.id = {kind, m.name},
                           .chosen = chosen(kind, m.name),
                           .steps_per_epoch = steps_per_epoch(train_, index_[i], training, labelled)});
      };
      add(StageKind::autoencoder, m.stage1);
      if (m.classifier == ClassifierKind::none) {  // nor may one lie there, of another configuration
        stages_.push_back({.id = {StageKind::classifier, m.name}, .chosen = false});
        continue;
      }
      const std::string none = why_no_classifier(m, store_);
      if (none.empty())
        add(StageKind::classifier, m.classifier_training);
      else if (chosen(StageKind::classifier, m.name))
        note(cat("classifier/", m.name, ": left out, ", none));
    }
    const data::BatchOrder order(train_.num_samples(), config_.score.batch, 0);
    stages_.push_back({.id = {StageKind::score, {}},
                       .chosen = chosen(StageKind::score),
                       .steps_per_epoch = order.steps_per_epoch()});
  }

  // Everything that is wrong with continuing the run is found before anything in it changes.
  void continue_run() {
    MLD_CHECK_AS(ErrorKind::busy, request_.resume, request_.out.string(),
                 ": holds a run already; continue it with --resume or choose another folder");
    const Config before = read_run_config(files_);
    std::string other;
    for (const SettingDifference& d : differences(before, config_))
      if (!may_change(d.key)) other += "\n  " + d.str();
    MLD_CHECK_AS(ErrorKind::busy, other.empty(), request_.out.string(),
                 ": holds a run of another configuration:", other);
    check_run_data();
    check_targets(reused_);
    for (ReusedFile& earlier : recorded_files(files_))
      if (std::ranges::find(reused_, earlier.target, &ReusedFile::target) == reused_.end())
        reused_.push_back(std::move(earlier));
    const PlanOptions options{.stop_here = request_.stop_here,
                              .retrain_score = request_.retrain_score,
                              .other_data = request_.other_data,
                              .fingerprint = fingerprint_,
                              .store = store_.path(),
                              .reused = reused_};
    plan_run(stages_, files_, config_, before, options);
    data_change_ = data_change_ || std::ranges::any_of(stages_, &StagePlan::other_data);
    MLD_CHECK_AS(ErrorKind::usage, !data_change_ || !request_.stop_here, request_.out.string(),
                 ": --stop-here ends a stage that has not seen the other data; end it on those of before, or "
                 "leave --stop-here out");
    MLD_CHECK_AS(ErrorKind::usage, !data_change_ || std::ranges::any_of(stages_, &StagePlan::trains),
                 request_.out.string(), ": has no step left to train on other data; leave --other-data out");
    if (const auto& score = stages_.back().record)
      if (chosen(StageKind::score) && score->parts.empty())
        note(cat(score->file.string(),
                 ": made before score networks recorded what they rest on; that these "
                 "are its autoencoders was not checked"));
    prepare_run(stages_, files_, options, hooks_.note);
    if (data_change_) let_in_checkpoints();
  }

  void check_run_data() {
    if (!fs::exists(files_.dataset())) return;  // killed before it was written
    data_change_ = trained_on_other_data(
        files_, config_, store_,
        {.kind = ErrorKind::busy,
         .remedy = "; name the right store with --data, or go on with these under --other-data, which the "
                   "record then says",
         .allowed = request_.other_data,
         .note = hooks_.note});
    // Data that are the same as far as descriptions tell go by the name that the run has for them.
    if (!data_change_) fingerprint_ = read_run_dataset(files_).fingerprint;
  }

  // dataset.json is about to describe other data than those of the checkpoints there are.
  void let_in_checkpoints() {
    for (StagePlan& plan : stages_) {
      if (!plan.record) continue;
      let_in(*plan.record, fingerprint_);
      write_record(*plan.record);
    }
  }

  // Brings the folder to where training begins. config.json makes it a run; what is to be taken over is
  // listed before, so that --resume completes a start that was killed.
  void start(RunFolder& folder) {
    const bool fresh = !folder.holds_run();
    std::vector<const ReusedFile*> missing;
    for (const ReusedFile& f : reused_)
      if (!fs::exists(f.target)) missing.push_back(&f);
    if (!request_.reuse.empty() && !missing.empty())
      folder.write(files_.reused(), to_json(reused_));
    else if (fresh)
      remove_if_there(files_.reused());  // of a start that was killed
    if (fresh || read_text(files_.config()) != config_text_) folder.write(files_.config(), config_text_);
    if (data_change_ || !fs::exists(files_.dataset()))
      folder.write(files_.dataset(), to_json(store_.description()));
    for (const ReusedFile* f : missing) folder.write(f->target, [&] { take_over(*f, fingerprint_); });
    for (StagePlan& plan : stages_) {
      if (plan.record) continue;
      plan.record = read_stage_record(plan.id.file(files_));
      if (plan.record) plan.next.work = !plan.record->finished;
    }
  }

  StageEnd train_stages() {
    for (StagePlan& plan : stages_) {
      if (!plan.trains()) continue;
      if (!plan.next.note.empty()) note(plan.id.name() + ": " + plan.next.note);
      if (plan.id.kind == StageKind::classifier) untie(plan.id.part());
      if (train_stage(plan) == StageEnd::stopped) return StageEnd::stopped;
      plan.record = read_stage_record(plan.id.file(files_));
    }
    tie_classifiers();
    return StageEnd::finished;
  }

  StageEnd train_stage(const StagePlan& plan) {
    if (plan.id.kind == StageKind::score) return score(plan);
    std::size_t i = 0;
    while (config_.modalities[i].name != plan.id.modality) ++i;
    return plan.id.kind == StageKind::autoencoder ? autoencoder(plan, i) : classifier(plan, i);
  }

  // A score network names the classifiers that it is measured by. One that is trained after it is taken out
  // of the list before and put in afterwards, so that at no time another one stands there.
  void untie(const std::string& part) {
    std::optional<StageRecord>& score = stages_.back().record;
    if (!score || score->parts.erase(part) == 0) return;
    write_record(*score);
  }

  void tie_classifiers() {
    std::optional<StageRecord>& score = stages_.back().record;
    if (!score || score->parts.empty()) return;
    const auto before = score->parts;
    for (const StagePlan& plan : stages_)
      if (plan.id.kind == StageKind::classifier && plan.record && plan.record->finished)
        score->parts[plan.id.part()] = plan.record->content;
    if (score->parts != before) write_record(*score);
  }

  static void write_record(const StageRecord& record) {
    nn::rewrite_notes(record.file, [&](Metadata& metadata) {
      for (const auto& [key, value] : record.entries()) metadata[key] = value;
    });
  }

  // What the checkpoint of a stage is to say of its data, its schedule and what it rests on.
  StageRecord record_of(const StagePlan& plan) const {
    StageRecord record{.data = fingerprint_, .earlier_schedules = plan.next.earlier_schedules};
    const auto add_others = [&](const StageRecord& of) {
      record.other_data.merge(other_data(of, record.data));
    };
    if (plan.record) add_others(*plan.record);
    if (plan.id.kind == StageKind::score)
      for (const StagePlan& part : stages_) {
        if (part.id.kind == StageKind::score || !part.record || !part.record->finished) continue;
        record.parts[part.id.part()] = part.record->content;
        if (part.id.kind == StageKind::autoencoder) add_others(*part.record);
      }
    return record;
  }

  Stage stage(const StagePlan& plan, const TrainConfig& train) const {
    Stage s;
    s.name = plan.id.name();
    s.checkpoint = plan.id.file(files_);
    s.metrics = files_.metrics();
    s.train = train;
    s.run = config_.run;
    s.seed = stage_seed(config_.seed, s.name);
    s.config = config_text_;
    s.record = record_of(plan).entries();
    return s;
  }

  void announce_batch(const std::string& stage, std::int64_t asked, std::int64_t got) const {
    if (asked != got) note(cat(stage, ": the batch shrinks from ", asked, " to ", got, ", all there is"));
  }

  using Run = std::function<StageEnd(const Stage&)>;

  // Runs a stage, which `build` makes for a batch. Where memory runs out, steps with smaller batches tell
  // which would have fitted.
  StageEnd with_batch(std::int64_t batch, const std::function<StageEnd(std::int64_t, const Run&)>& build) {
    try {
      return build(batch, [this](const Stage& s) { return run_stage(s, hooks_); });
    } catch (const OutOfMemory& error) {
      const std::int64_t largest = largest_batch(batch, [&](std::int64_t smaller) {
        build(smaller, [](const Stage& s) {
          try_stage(s);
          return StageEnd::stopped;
        });
      });
      throw OutOfMemory(cat(error.what(), " than ", batch,
                            largest > 0 ? cat("; one of ", largest, " fits") : "; not even one of 1 fits"));
    }
  }

  StageEnd autoencoder(const StagePlan& plan, std::size_t i) {
    return with_batch(config_.modalities[i].stage1.batch,
                      [&](std::int64_t batch, const Run& run) { return autoencoder(plan, i, batch, run); });
  }

  StageEnd autoencoder(const StagePlan& plan, std::size_t i, std::int64_t asked, const Run& run) {
    const ModalityConfig& m = config_.modalities[i];
    const data::Modality& info = store_.modality(index_[i]);
    Stage s = stage(plan, m.stage1);
    Autoencoder net = make_autoencoder(m, info);
    apply_init(m.stage1.init, nn::walk(net));
    nn::ParameterStore parameters(net, {.device = request_.device, .ema = m.stage1.ema > 0});
    const ItemFeed feed(train_, index_[i], info, m.stage1.sampling, false, asked, s.seed);
    announce_batch(s.name, asked, feed.batch());
    Batches batches(feed, info, false, request_.device, ResidentItems::fits(feed, request_.device));
    const ItemBatch& batch = batches.items();
    s.store = &parameters;
    s.steps_per_epoch = feed.steps_per_epoch();
    s.before = [&](std::int64_t step) {
      if (step == 0) measure(net.scaling, train_, index_[i]);
      batches.before(step);
    };
    s.loss = [&](const StepState* state) {
      batches.within(state);
      const nn::Context context{.training = true, .key = {.state = state, .site = kFirstLayerSite}};
      return reconstruction_loss(m, net, batch, context);
    };
    return run(s);
  }

  StageEnd classifier(const StagePlan& plan, std::size_t i) {
    return with_batch(config_.modalities[i].classifier_training.batch,
                      [&](std::int64_t batch, const Run& run) { return classifier(plan, i, batch, run); });
  }

  StageEnd classifier(const StagePlan& plan, std::size_t i, std::int64_t asked, const Run& run) {
    const ModalityConfig& m = config_.modalities[i];
    const data::Modality& info = store_.modality(index_[i]);
    Stage s = stage(plan, m.classifier_training);
    Classifier net = make_classifier(m, info, store_.description().classes);
    apply_init(m.classifier_training.init, nn::walk(net));
    nn::ParameterStore parameters(net, {.device = request_.device, .ema = m.classifier_training.ema > 0});
    const ItemFeed feed(train_, index_[i], info, m.classifier_training.sampling, true, asked, s.seed);
    announce_batch(s.name, asked, feed.batch());
    Batches batches(feed, info, true, request_.device, ResidentItems::fits(feed, request_.device));
    s.store = &parameters;
    s.steps_per_epoch = feed.steps_per_epoch();
    s.before = [&](std::int64_t step) {
      if (step == 0) measure(net.scaling, train_, index_[i]);
      batches.before(step);
    };
    s.loss = [&](const StepState* state) {
      const nn::Context context{.training = true, .key = {.state = state, .site = kFirstLayerSite}};
      batches.within(state);
      return cross_entropy(net(batches.items().x, context), batches.labels());
    };
    return run(s);
  }

  StageEnd score(const StagePlan& plan) {
    LatentStore latents = encode_split();
    const std::int64_t size = std::min(config_.score.batch, latents.num_samples());
    announce_batch("score", config_.score.batch, size);
    const LatentStats stats =
        latents.statistics(statistics_rows(config_, train_), config_.score.latent_coordinates);
    latents.standardise(stats);
    latents.move_to(request_.device);
    return with_batch(
        size, [&](std::int64_t batch, const Run& run) { return score(plan, latents, stats, batch, run); });
  }

  StageEnd score(const StagePlan& plan, const LatentStore& latents, const LatentStats& stats,
                 std::int64_t size, const Run& run) {
    const ScoreConfig& c = config_.score;
    Stage s = stage(plan, c);
    ScoreModel model(config_);
    nn::ParameterStore parameters(model, {.device = request_.device, .ema = c.ema > 0});
    ScoreBatchOptions options{.batch = size,
                              .d = c.d,
                              .subsets = c.subsets,
                              .time = {c.time_sampling, c.t_min, c.time_log_mean, c.time_log_std},
                              .prediction = c.prediction,
                              .kind = config_.model.kind,
                              .modality_weights = {}};
    for (const ModalityConfig& m : config_.modalities) options.modality_weights.push_back(m.weight);
    const ScoreBatcher batcher(latents, options, s.seed);
    s.store = &parameters;
    s.steps_per_epoch = batcher.steps_per_epoch();
    s.before = [&](std::int64_t
                       step) {  // buffers are drawn at initialisation, so they are set before the first step
      if (step > 0) return;
      upload(stats.mean, model.latent_mean.value());
      upload(stats.std, model.latent_std.value());
      if (model.latent_axes) upload(stats.axes, model.latent_axes->value());
    };
    s.loss = [&](const StepState* state) {
      const ScoreBatch batch = batcher.perturb(batcher.draw(state));
      return squared_error(model.network(batch.r, batch.tau), batch.target, 1.0 / static_cast<double>(size),
                           batch.weight);
    };
    return run(s);
  }

  LatentStore encode_split() const {
    std::vector<LatentSource> sources;
    for (std::size_t i = 0; i < config_.modalities.size(); ++i) {
      const ModalityConfig& m = config_.modalities[i];
      MLD_CHECK_AS(ErrorKind::model, fs::exists(files_.autoencoder(m.name)),
                   files_.autoencoder(m.name).string(),
                   ": missing; train the autoencoders first (--stage ae)");
      const auto part =
          std::make_shared<RunPart>(*open_part(files_, {StageKind::autoencoder, m.name}, config_, reused_));
      sources.push_back({m.name, part->record.content, train_.num_items(index_[i]), m.latent, [=, this] {
                           const data::Modality& info = store_.modality(index_[i]);
                           Autoencoder net = make_autoencoder(config_.modalities[i], info);
                           nn::ParameterStore parameters(net, {.device = request_.device, .training = false});
                           part->load(parameters);
                           return encode_items(net, train_, index_[i], info, request_.device);
                         }});
    }
    std::vector<Tensor> latents = kept_latents(files_.latents(), store_.description().fingerprint, sources,
                                               [this](const std::string& line) { note(line); });
    const std::int64_t columns = store_.num_modalities();
    Tensor samples =
        Tensor::empty({train_.num_samples(), static_cast<std::int64_t>(index_.size())}, DType::i32);
    std::int32_t* out = samples.data<std::int32_t>();
    for (std::int64_t row = 0; row < train_.num_samples(); ++row)
      for (int column : index_) *out++ = train_.samples()[static_cast<std::size_t>(row * columns + column)];
    return LatentStore(latent_layout(config_), std::move(latents), std::move(samples));
  }

  const TrainRequest& request_;
  Config config_;
  const TrainHooks& hooks_;
  RunFiles files_;
  data::Store store_;
  const data::Split& train_;
  std::string fingerprint_;  // of the data of the run
  std::string config_text_;
  std::vector<int> index_;  // store's number of each configured modality
  std::vector<StagePlan> stages_;
  std::vector<ReusedFile> reused_;
  bool data_change_ = false;  // the run goes on with other data than those of before
};

}  // namespace

StageEnd train(const TrainRequest& request, const TrainHooks& hooks) { return Trainer(request, hooks).run(); }

}  // namespace mld
