#include "mld/methods/score_training.h"

#include <algorithm>
#include <numeric>

#include "engine/ops/ops.h"
#include "mld/config/seed.h"
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
                            .subsets = c.subsets,
                            .time = {c.time_sampling, c.t_min, c.time_log_mean, c.time_log_std},
                            .prediction = c.prediction,
                            .variant = variant_of(config.model.kind),
                            .modality_weights = {}};
  for (const ModalityConfig& m : config.modalities) options.modality_weights.push_back(m.weight);
  return options;
}

class ScoreTraining : public Training {
 public:
  ScoreTraining(const TrainingData& data, const LatentStore& latents, const LatentStats& stats,
                std::int64_t batch, std::uint64_t seed)
      : stats_(stats),
        model_(data.config),
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
    const ScoreBatch batch = batcher_.perturb(batcher_.draw(state));
    return squared_error(model_.network()(batch.r, batch.tau), batch.target,
                         1.0 / static_cast<double>(batcher_.rows().total), batch.weight);
  }

 private:
  LatentStats stats_;
  ScoreModel model_;
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

LatentStore encode_split(const TrainingData& data) {
  std::vector<LatentSource> sources;
  for (std::size_t i = 0; i < data.columns.size(); ++i) {
    const ModalityConfig& m = data.config.modalities[i];
    const TrainingData::Part part = data.part({StageKind::autoencoder, m.name});
    sources.push_back(
        {m.name, part.content, data.split.num_items(data.columns[i]), m.latent, [&data, i, part] {
           Autoencoder net = make_autoencoder(data.config.modalities[i], data.info(i));
           nn::ParameterStore parameters(net, {.device = data.device, .training = false});
           part.load(parameters);
           return encode_items(net, data.split, data.columns[i], data.info(i), data.device);
         }});
  }
  std::vector<Tensor> latents =
      kept_latents(data.latents, data.store.description().fingerprint, sources, data.note);
  return LatentStore(latent_layout(data.config), std::move(latents), sample_index(data));
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
