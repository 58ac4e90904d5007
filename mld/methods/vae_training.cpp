#include "mld/methods/vae_training.h"

#include <algorithm>
#include <memory>
#include <span>

#include "engine/ops/ops.h"
#include "mld/diffusion/noise.h"
#include "mld/methods/vae/draws.h"
#include "mld/methods/vae/vae_model.h"
#include "mld/modality/batches.h"

namespace mld {
namespace {

std::vector<data::Modality> infos_of(const TrainingData& data) {
  std::vector<data::Modality> infos;
  for (std::size_t i = 0; i < data.columns.size(); ++i) infos.push_back(data.info(i));
  return infos;
}

// The items of one modality, row by row those of the samples.
struct View {
  ItemFeed feed;
  Batches batches;

  View(const TrainingData& data, std::size_t i, std::span<const std::int32_t> rows, std::int64_t batch,
       std::uint64_t seed)
      : feed(data.split, data.columns[i], data.info(i), items(data, i, rows), batch, seed, data.shard),
        batches(feed, data.info(i), false, data.device, ResidentItems::fits(feed, data.device),
                augmentation(data.config.modalities[i], data.config.modalities[i].stage1, data.info(i))) {}

  static std::vector<std::int32_t> items(const TrainingData& data, std::size_t i,
                                         std::span<const std::int32_t> rows) {
    std::vector<std::int32_t> list;
    for (const std::int32_t row : rows) list.push_back(data.split.item(row, data.columns[i]));
    return list;
  }
};

class VaeTraining : public Training {
 public:
  VaeTraining(const TrainingData& data, std::int64_t batch, std::uint64_t seed)
      : data_(data),
        objective_(vae_objective(data.config)),
        model_(data.config, infos_of(data)),
        parameters_(model_, {.device = data.device, .ema = data.config.vae.ema > 0}) {
    const std::vector<std::int32_t> rows = complete_samples(data);
    for (std::size_t i = 0; i < data.columns.size(); ++i)
      views_.push_back(std::make_unique<View>(data, i, rows, batch, seed));
  }

  nn::ParameterStore& parameters() override { return parameters_; }
  std::int64_t batch() const override { return rows().total; }
  std::int64_t steps_per_epoch() const override { return views_[0]->feed.steps_per_epoch(); }
  void before(std::int64_t step) override {
    for (std::size_t i = 0; i < views_.size(); ++i) {
      if (step == 0)
        measure(model_.views[i].scaling, data_.split, data_.columns[i], data_.info(i).shape.numel());
      views_[i]->batches.before(step);
    }
  }
  Var loss(const StepState* state) const override {
    for (const auto& view : views_) view->batches.within(state);
    const vae::Encoded batch = encoded(state);
    if (!model_.upper) return vae::loss(objective_, batch);
    const VaeConfig& c = data_.config.vae;
    return vae::nexus_loss(
        *model_.upper,
        {.beta = c.beta,
         .told = vae::message_weights(c.dropped, modalities(), rows(), state, data_.device),
         .warm_up = vae::warm_up(state, steps_per_epoch(), c.warmup_epochs, data_.device)},
        batch, context(state));
  }

 private:
  const data::BatchRows& rows() const { return views_[0]->feed.rows(); }
  int modalities() const { return static_cast<int>(views_.size()); }
  const ModalityConfig& config_of(int i) const {
    return data_.config.modalities[static_cast<std::size_t>(i)];
  }
  nn::Context context(const StepState* state) const {
    return {.training = true, .key = {.state = state, .site = kFirstLayerSite, .first_row = rows().first}};
  }
  // What the networks of a modality see of the batch.
  Var input(int i) const {
    const auto k = static_cast<std::size_t>(i);
    return scaled(model_.views[k].scaling, views_[k]->batches.items().x);
  }
  Var reconstruction(int i, const Var& x, const Var& z, const nn::Context& within) const {
    const auto k = static_cast<std::size_t>(i);
    return decoded_loss(config_of(i), model_.views[k].decoder(z, within), x,
                        views_[k]->batches.items().tokens, rows().total);
  }
  vae::Encoded encoded(const StepState* state) const {
    const nn::Context within = context(state);
    vae::Encoded batch;
    batch.total = rows().total;
    std::vector<Var> inputs;
    for (int i = 0; i < modalities(); ++i) {
      inputs.push_back(input(i));
      batch.experts.push_back(
          vae::from_heads(model_.views[static_cast<std::size_t>(i)].encoder(inputs.back(), within)));
      batch.weights.push_back(model_.upper ? config_of(i).nexus_weight : config_of(i).vae_weight);
    }
    batch.reconstruction = [this, inputs = std::move(inputs), within](int i, const Var& z) {
      return reconstruction(i, inputs[static_cast<std::size_t>(i)], z, within);
    };
    batch.noise = [this, state](std::uint32_t number, std::int64_t size) {
      return vae::noise(state, rows(), size, number, data_.device);
    };
    batch.component_rows = [this, state](std::int64_t components) {
      return vae::component_rows(data_.config.vae.mixture, components, rows(), state, data_.device);
    };
    return batch;
  }

  const TrainingData& data_;
  vae::Objective objective_;
  vae::VaeModel model_;
  nn::ParameterStore parameters_;
  std::vector<std::unique_ptr<View>> views_;
};

}  // namespace

vae::Objective vae_objective(const Config& config) {
  return {.kind = config.model.kind,
          .beta = config.vae.beta,
          .alpha = config.vae.alpha,
          .prior_expert = config.vae.prior_expert};
}

std::vector<std::int32_t> complete_samples(const TrainingData& data) {
  std::vector<std::int32_t> rows;
  for (std::int64_t row = 0; row < data.split.num_samples(); ++row)
    if (std::ranges::all_of(data.columns, [&](int column) { return data.split.item(row, column) >= 0; }))
      rows.push_back(static_cast<std::int32_t>(row));
  return rows;
}

MakeTraining vae_training(const TrainingData& data) {
  return [&data](std::int64_t batch, std::uint64_t seed) {
    return std::make_unique<VaeTraining>(data, batch, seed);
  };
}

}  // namespace mld
