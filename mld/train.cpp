#include "mld/train.h"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "data/store.h"
#include "engine/io/atomic_file.h"
#include "engine/io/lock_file.h"
#include "engine/ops/ops.h"
#include "mld/batches.h"
#include "mld/noise.h"
#include "mld/run_files.h"
#include "mld/score_batch.h"
#include "mld/score_model.h"
#include "mld/stage1.h"

namespace mld {
namespace {

namespace fs = std::filesystem;

// Keys that may change when a run is continued: they decide how long, how often is written and how samples
// are drawn, not what is trained.
bool may_change(const std::string& key) {
  const auto ends_with = [&](std::string_view tail) { return key.ends_with(tail); };
  return key.starts_with("sampler.") || key.starts_with("run.") || key == "threads" || key == "preset" ||
         key == "data.store" || key.starts_with("stage1.") || key.starts_with("classifier_training.") ||
         ends_with(".steps") || ends_with(".epochs") || ends_with(".minutes");
}

// On the cpu values are filled where they are used.
void upload(const Tensor& from, const Tensor& to) {
  if (from.raw() != to.raw()) to.upload(from.raw());
}

class Trainer {
 public:
  Trainer(const TrainRequest& request, const TrainHooks& hooks)
      : request_(request),
        config_(request.config),
        hooks_(hooks),
        files_{request.out},
        store_(data::Store::open(config_.data.store)),
        train_(store_.split("train")),
        config_text_(to_json(config_)) {
    for (const ModalityConfig& m : config_.modalities)
      index_.push_back(store_.description().modality(m.name));
    if (!request_.modality.empty()) wanted(request_.modality);
  }

  StageEnd run() {
    const std::vector<Reusable> from_another = reusable();
    prepare_folder();
    const LockFile lock(request_.out);
    check_existing();
    write_file_atomically(files_.config(), config_text_);
    write_file_atomically(files_.dataset(), to_json(store_.description()));
    take_over(from_another);
    for (std::size_t i = 0; i < config_.modalities.size(); ++i) {
      if (!request_.modality.empty() && config_.modalities[i].name != request_.modality) continue;
      if (chosen(StageChoice::autoencoders) && autoencoder(i) == StageEnd::stopped) return StageEnd::stopped;
      if (chosen(StageChoice::classifiers) && classifier(i) == StageEnd::stopped) return StageEnd::stopped;
    }
    const bool score_wanted = request_.stages == StageChoice::score ||
                              (request_.stages == StageChoice::all && request_.modality.empty());
    return score_wanted ? score() : StageEnd::finished;
  }

 private:
  bool chosen(StageChoice stage) const {
    return request_.stages == StageChoice::all || request_.stages == stage;
  }

  void wanted(const std::string& name) const {
    for (const ModalityConfig& m : config_.modalities)
      if (m.name == name) return;
    store_.description().modality(name);  // unknown altogether: this error lists the known ones
    fail(ErrorKind::usage, "modality '", name, "' is in the data set but not in the configuration");
  }

  void prepare_folder() const {
    std::error_code error;
    fs::create_directories(request_.out, error);
    MLD_CHECK_AS(ErrorKind::io, !error && fs::is_directory(request_.out), request_.out.string(),
                 ": cannot be made a folder: ", error ? error.message() : "a file of that name exists");
  }

  void check_existing() const {
    if (!fs::exists(files_.config())) {
      const bool empty = std::all_of(fs::directory_iterator(request_.out), fs::directory_iterator(),
                                     [](const auto& entry) { return entry.path().filename() == ".lock"; });
      MLD_CHECK_AS(ErrorKind::busy, empty, request_.out.string(),
                   ": is not empty and holds no run; choose another folder");
      return;
    }
    MLD_CHECK_AS(ErrorKind::busy, request_.resume, request_.out.string(),
                 ": holds a run already; continue it with --resume or choose another folder");
    std::string other;
    for (const SettingDifference& d : differences(read_run_config(files_), config_))
      if (!may_change(d.key)) other += "\n  " + d.str();
    MLD_CHECK_AS(ErrorKind::busy, other.empty(), request_.out.string(),
                 ": holds a run of another configuration:", other);
  }

  // A stage-1 file of another run that was made by the same network and recipe.
  struct Reusable {
    fs::path source, target;
    std::string recipe;
  };

  // Writes nothing, so that a run that cannot be reused leaves no trace.
  std::vector<Reusable> reusable() const {
    std::vector<Reusable> list;
    if (request_.reuse.empty()) return list;
    const RunFiles from{request_.reuse};
    const Config theirs = read_run_config(from);
    const auto add = [&](const fs::path& source, const fs::path& target, const std::string& ours,
                         const std::string& hash) {
      MLD_CHECK_AS(ErrorKind::model, ours == hash, source.string(),
                   ": was trained with another network or recipe than this configuration asks for (", hash,
                   ", not ", ours, ")");
      if (fs::exists(source)) list.push_back({source, target, hash});
    };
    for (const ModalityConfig& m : config_.modalities) {
      const auto it = std::find_if(theirs.modalities.begin(), theirs.modalities.end(),
                                   [&](const ModalityConfig& t) { return t.name == m.name; });
      MLD_CHECK_AS(ErrorKind::model, it != theirs.modalities.end(), request_.reuse.string(),
                   ": has no modality '", m.name, "'");
      add(from.autoencoder(m.name), files_.autoencoder(m.name), stage1_hash(m), stage1_hash(*it));
      if (m.classifier != ClassifierKind::none)
        add(from.classifier(m.name), files_.classifier(m.name), classifier_hash(m), classifier_hash(*it));
    }
    return list;
  }

  void take_over(const std::vector<Reusable>& list) const {
    nlohmann::json record = nlohmann::json::object();
    for (const auto& [source, target, recipe] : list) {
      if (fs::exists(target)) continue;
      write_file_atomically(target, read_text(source));
      record[target.filename().string()] = {{"from", fs::absolute(source).string()}, {"recipe", recipe}};
    }
    if (!record.empty()) write_file_atomically(files_.reused(), record.dump(2) + "\n");
  }

  Stage stage(const std::string& name, const fs::path& checkpoint, const TrainConfig& train) const {
    Stage s;
    s.name = name;
    s.checkpoint = checkpoint;
    s.metrics = files_.metrics();
    s.train = train;
    s.run = config_.run;
    s.seed = stage_seed(config_.seed, name);
    s.config = config_text_;
    return s;
  }

  void announce_batch(const std::string& stage, std::int64_t asked, std::int64_t got) const {
    if (asked != got && hooks_.note)
      hooks_.note(cat(stage, ": the batch shrinks from ", asked, " to ", got, ", all there is"));
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

  StageEnd autoencoder(std::size_t i) {
    return with_batch(config_.modalities[i].stage1.batch,
                      [&](std::int64_t batch, const Run& run) { return autoencoder(i, batch, run); });
  }

  StageEnd autoencoder(std::size_t i, std::int64_t asked, const Run& run) {
    const ModalityConfig& m = config_.modalities[i];
    const data::Modality& info = store_.modality(index_[i]);
    Stage s = stage("autoencoder/" + m.name, files_.autoencoder(m.name), m.stage1);
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

  StageEnd classifier(std::size_t i) {
    const ModalityConfig& m = config_.modalities[i];
    if (m.classifier == ClassifierKind::none) return StageEnd::finished;
    if (store_.description().classes < 2) {
      if (hooks_.note) hooks_.note("classifier/" + m.name + ": left out, the data have no labels");
      return StageEnd::finished;
    }
    return with_batch(m.classifier_training.batch,
                      [&](std::int64_t batch, const Run& run) { return classifier(i, batch, run); });
  }

  StageEnd classifier(std::size_t i, std::int64_t asked, const Run& run) {
    const ModalityConfig& m = config_.modalities[i];
    const data::Modality& info = store_.modality(index_[i]);
    Stage s = stage("classifier/" + m.name, files_.classifier(m.name), m.classifier_training);
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

  StageEnd score() {
    LatentStore latents = encode_split();
    const std::int64_t size = std::min(config_.score.batch, latents.num_samples());
    announce_batch("score", config_.score.batch, size);
    const LatentStats stats = statistics(latents, size, stage_seed(config_.seed, "score"));
    latents.standardise(stats);
    latents.move_to(request_.device);
    return with_batch(size,
                      [&](std::int64_t batch, const Run& run) { return score(latents, stats, batch, run); });
  }

  StageEnd score(const LatentStore& latents, const LatentStats& stats, std::int64_t size, const Run& run) {
    const ScoreConfig& c = config_.score;
    Stage s = stage("score", files_.score(), c);
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
    std::vector<Tensor> latents;
    for (std::size_t i = 0; i < config_.modalities.size(); ++i) {
      const ModalityConfig& m = config_.modalities[i];
      MLD_CHECK_AS(ErrorKind::model, fs::exists(files_.autoencoder(m.name)),
                   files_.autoencoder(m.name).string(),
                   ": missing; train the autoencoders first (--stage ae)");
      Autoencoder net = make_autoencoder(m, store_.modality(index_[i]));
      nn::ParameterStore parameters(net, {.device = request_.device, .training = false});
      load_finished(files_.autoencoder(m.name), parameters);
      latents.push_back(encode_items(net, train_, index_[i], store_.modality(index_[i]), request_.device));
    }
    const std::int64_t columns = store_.num_modalities();
    Tensor samples =
        Tensor::empty({train_.num_samples(), static_cast<std::int64_t>(index_.size())}, DType::i32);
    std::int32_t* out = samples.data<std::int32_t>();
    for (std::int64_t row = 0; row < train_.num_samples(); ++row)
      for (int column : index_) *out++ = train_.samples()[static_cast<std::size_t>(row * columns + column)];
    return LatentStore(latent_layout(config_), std::move(latents), std::move(samples));
  }

  LatentStats statistics(const LatentStore& latents, std::int64_t batch, std::uint64_t seed) const {
    const LatentCoordinates coordinates = config_.score.latent_coordinates;
    if (config_.score.latent_statistics == StatsOver::whole)
      return latents.statistics(latents.all_samples(), coordinates);
    const data::BatchOrder order(latents.num_samples(), batch, seed);  // the batches of the score stage
    std::vector<std::int32_t> first(static_cast<std::size_t>(order.batch()));
    order.rows(0, first);
    return latents.statistics(first, coordinates);
  }

  const TrainRequest& request_;
  const Config& config_;
  const TrainHooks& hooks_;
  RunFiles files_;
  data::Store store_;
  const data::Split& train_;
  std::string config_text_;
  std::vector<int> index_;  // store's number of each configured modality
};

}  // namespace

StageEnd train(const TrainRequest& request, const TrainHooks& hooks) { return Trainer(request, hooks).run(); }

}  // namespace mld
