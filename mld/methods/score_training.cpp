#include "mld/methods/score_training.h"

#include <algorithm>
#include <numeric>

#include "engine/ops/ops.h"
#include "mld/config/seed.h"
#include "mld/diffusion/noise.h"
#include "mld/diffusion/score_batch.h"
#include "mld/diffusion/score_model.h"
#include "mld/modality/autoencoders.h"
#include "mld/modality/kept_latents.h"

namespace mld {
namespace {

// On the cpu values are filled where they are used.
void upload(const Tensor& from, const Tensor& to) {
  if (from.raw() != to.raw()) to.upload(from.raw());
}

ScoreBatchOptions batch_options(const Config& config, std::int64_t batch) {
  const ScoreConfig& c = config.score;
  ScoreBatchOptions options{.batch = batch,
                            .d = c.d,
                            .marginals = c.marginals,
                            .pairing = c.pairing,
                            .guidance = c.guidance,
                            .guidance_low = c.guidance_low,
                            .guidance_high = c.guidance_high,
                            .subsets = c.subsets,
                            .time = {c.time_sampling, c.t_min, c.time_log_mean, c.time_log_std},
                            .prediction = c.prediction,
                            .variant = variant_of(config.model.kind),
                            .modality_weights = {}};
  for (std::size_t i = 0; i < config.modalities.size(); ++i) {
    options.modality_weights.push_back(config.modalities[i].weight);
    if (!config.modalities[i].fresh) options.fresh &= ~(Subset{1} << i);
  }
  return options;
}

class ScoreTraining : public Training {
 public:
  ScoreTraining(const TrainingData& data, const LatentStore& latents, const LatentStats& stats,
                std::int64_t batch, std::uint64_t seed)
      : stats_(stats),
        model_(data.config),
        guided_(data.config.score.guidance != 1),
        parameters_(model_, {.device = data.device, .ema = data.config.score.ema > 0}),
        batcher_(latents, batch_options(data.config, batch), seed, data.shard) {}

  nn::ParameterStore& parameters() override { return parameters_; }
  std::int64_t batch() const override { return batcher_.rows().total; }
  std::int64_t steps_per_epoch() const override { return batcher_.steps_per_epoch(); }
  void before(std::int64_t step) override {
    if (step > 0) return;  // buffers are drawn at initialisation, so they are set before the first step
    upload(stats_.mean, model_.latent_mean.value());
    upload(stats_.std, model_.latent_std.value());
    if (model_.latent_axes) upload(stats_.axes, model_.latent_axes->value());
  }
  Var loss(const StepState* state) const override {
    const BatchDraw draw = batcher_.draw(state);
    const ScoreBatch batch = batcher_.perturb(draw);
    const nn::Context context{
        .training = true,
        .key = {.state = state, .site = kFirstLayerSite, .first_row = batcher_.rows().first}};
    const Var output = model_.network()(batch.r, batch.tau, context);
    if (guided_) guide(state, draw, batch, output.value, context);
    return squared_error(output, batch.target, 1.0 / static_cast<double>(batcher_.rows().total),
                         batch.weight);
  }

 private:
  // target <- target + (1 - 1/w) (output - that without what guides it).
  void guide(const StepState* state, const BatchDraw& draw, const ScoreBatch& batch, const Tensor& output,
             const nn::Context& context) const {
    const Tape::Pause constant;
    const ReferenceBatch reference = batcher_.reference(state, draw, batch);
    const Var without = model_.network()(reference.r, reference.tau, context);
    batch.target.copy_from(add(batch.target, mul(reference.weight, sub(output, without))).value);
  }

  LatentStats stats_;
  ScoreModel model_;
  bool guided_;
  nn::ParameterStore parameters_;
  ScoreBatcher batcher_;
};

// Rows of the training split that latents are standardised over.
std::vector<std::int32_t> statistics_rows(const TrainingData& data) {
  const std::int64_t samples = data.split.num_samples();
  if (data.config.score.latent_statistics == StatsOver::first_batch)  // the score stage's
    return data::BatchOrder(samples, data.config.score.batch, stage_seed(data.config.seed, "score")).rows(0);
  std::vector<std::int32_t> all(static_cast<std::size_t>(samples));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

// The samples as rows of item indices [N, M], of the modalities of the configuration.
Tensor sample_index(const TrainingData& data) {
  const std::int64_t samples = data.split.num_samples();
  Tensor index = Tensor::empty({samples, std::ssize(data.columns)}, DType::i32);
  std::int32_t* out = index.data<std::int32_t>();
  for (std::int64_t row = 0; row < samples; ++row)
    for (const int column : data.columns) *out++ = data.split.item(row, column);
  return index;
}

ItemClasses classes_of(const TrainingData& data) {
  std::vector<std::vector<std::int32_t>> of_items;
  for (const int column : data.columns) {
    const auto labels = data.split.item_labels(column);
    of_items.emplace_back(labels.begin(), labels.end());
  }
  return item_classes(data.split.labels(), of_items, data.store.description().classes);
}

// How many encodings there are of each item of a modality.
std::int64_t encodings(const TrainingData& data, std::size_t i) {
  const ModalityConfig& m = data.config.modalities[i];
  return augmentation(m, m.stage1, data.info(i)).changes() ? data.config.score.encodings : 1;
}

// [E items, latent]: the items as they are, then as augmented.
Tensor encode_items(const TrainingData& data, std::size_t i, const TrainingData::Part& part) {
  const ModalityConfig& m = data.config.modalities[i];
  Autoencoder net = make_autoencoder(m, data.info(i));
  nn::ParameterStore parameters(net, {.device = data.device, .training = false});
  part.load(parameters);
  const Tensor plain = encode_items(net, data.split, data.columns[i], data.info(i), data.device);
  const std::int64_t count = encodings(data, i), items = plain.shape()[0];
  if (count == 1) return plain;
  const Tensor all = Tensor::empty({count * items, m.latent});
  all.rows(0, items).copy_from(plain);
  const std::uint64_t seed = stage_seed(data.config.seed, "encodings/" + m.name);
  for (std::int64_t e = 1; e < count; ++e)
    all.rows(e * items, items)
        .copy_from(encode_augmented(net, data.split, data.columns[i], data.info(i), data.device,
                                    augmentation(m, m.stage1, data.info(i)), seed,
                                    static_cast<std::uint32_t>(e)));
  return all;
}

LatentStore encode_split(const TrainingData& data) {
  std::vector<LatentSource> sources;
  std::vector<std::int64_t> counts;
  for (std::size_t i = 0; i < data.columns.size(); ++i) {
    const ModalityConfig& m = data.config.modalities[i];
    const TrainingData::Part part = data.part({StageKind::autoencoder, m.name});
    const std::int64_t items = data.split.num_items(data.columns[i]);
    counts.push_back(encodings(data, i));
    // The changes follow from the seed, too.
    const std::string content = counts[i] == 1 ? part.content : cat(part.content, " seed ", data.config.seed);
    sources.push_back({m.name, content, counts[i] * items, m.latent,
                       [&data, i, part] { return encode_items(data, i, part); }});
  }
  std::vector<Tensor> latents =
      kept_latents(data.latents, data.store.description().fingerprint, sources, data.note);
  LatentStore store(latent_layout(data.config), std::move(latents), sample_index(data), std::move(counts));
  if (data.config.score.pairing == Pairing::fresh) store.set_classes(classes_of(data));
  return store;
}

}  // namespace

MakeTraining score_training(const TrainingData& data) {
  LatentStore latents = encode_split(data);
  const LatentStats stats = latents.statistics(statistics_rows(data), data.config.score.latent_coordinates);
  latents.standardise(stats);
  latents.move_to(data.device);
  return [&data, latents = std::move(latents), stats](std::int64_t batch, std::uint64_t seed) {
    const std::int64_t size = std::min(batch, latents.num_samples());
    return std::make_unique<ScoreTraining>(data, latents, stats, size, seed);
  };
}

void check_rows(const TrainingData& data) {
  const ScoreConfig& score = data.config.score;
  MLD_CHECK_AS(
      ErrorKind::usage, score.pairing == Pairing::fixed || data.store.description().classes > 0,
      "score.pairing 'fresh' draws items of the same class, and the data have no labels; leave it at "
      "'fixed'");
  bool augmented = score.encodings == 1;
  for (std::size_t i = 0; i < data.columns.size(); ++i) augmented = augmented || encodings(data, i) > 1;
  MLD_CHECK_AS(
      ErrorKind::usage, augmented, "score.encodings ", score.encodings,
      ": encodes items as augmented, and none of its modalities is augmented; set their stage1.shift, "
      "gain, offset or trivial_augment, or leave it at 1");
}

void check_statistics(const TrainingData& data) {
  const std::vector<std::int32_t> rows = statistics_rows(data);
  for (std::size_t i = 0; i < data.columns.size(); ++i) {
    std::int64_t present = 0;
    for (const std::int32_t row : rows) present += data.split.item(row, data.columns[i]) >= 0;
    MLD_CHECK_AS(
        ErrorKind::data, present >= 2, "modality '", data.config.modalities[i].name, "': is in ", present,
        " of the ", rows.size(),
        " samples of split 'train' that its latents are standardised over; 2 are needed: import more, or "
        "leave it out of the configuration");
  }
}

}  // namespace mld
