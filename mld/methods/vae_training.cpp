#include "mld/methods/vae_training.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "engine/ops/ops.h"
#include "mld/diffusion/noise.h"
#include "mld/methods/vae/draws.h"
#include "mld/modality/batches.h"

namespace mld {
namespace {

std::vector<data::Modality> infos_of(const TrainingData& data) {
  std::vector<data::Modality> infos;
  for (std::size_t i = 0; i < data.columns.size(); ++i) infos.push_back(data.info(i));
  return infos;
}

// The items of one modality, row by row those of the samples. A hole is filled with an item of another sample, so
// that what batch norms see is data.
struct View {
  ItemFeed feed;
  Batches batches;

  View(const TrainingData& data, std::size_t i, const VaeSamples& samples, std::int64_t batch,
       std::uint64_t seed)
      : feed(data.split, data.columns[i], data.info(i), items(data, i, samples), batch, seed, data.shard),
        batches(feed, data.info(i), false, data.device, ResidentItems::fits(feed, data.device),
                augmentation(data.config.modalities[i], data.config.modalities[i].stage1, data.info(i))) {}

  static std::vector<std::int32_t> items(const TrainingData& data, std::size_t i, const VaeSamples& samples) {
    std::vector<std::int32_t> list, real;
    for (const std::int32_t row : samples.rows) {
      list.push_back(data.split.item(row, data.columns[i]));
      if (list.back() >= 0) real.push_back(list.back());
    }
    std::size_t next = 0;
    for (std::int32_t& item : list)
      if (item < 0) item = real[next++ % real.size()];
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
    const VaeSamples samples = vae_samples(data);
    for (std::size_t i = 0; i < data.columns.size(); ++i)
      views_.push_back(std::make_unique<View>(data, i, samples, batch, seed));
    order_.emplace(std::ssize(samples.rows), batch, seed);
    if (!samples.complete) present_ = vae::set_list(samples.present, data.device);
    if (model_.upper) return;
    mixed_ = vae::set_list(vae::mixed_sets(data.config.model.kind, modalities()), data.device);
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
    VaeBatch fed{.items = {}, .rows = rows(), .mixed = mixed_};
    for (const auto& view : views_) {
      view->batches.within(state);
      fed.items.push_back(view->batches.items());
    }
    if (present_.defined()) fed.present = vae::present_sets(present_, *order_, rows(), state);
    const nn::Context within{.training = true,
                             .key = {.state = state, .site = kFirstLayerSite, .first_row = rows().first}};
    const vae::Encoded batch = encoded(data_.config, model_, std::move(fed), within);
    if (!model_.upper) return vae::loss(objective_, batch);
    const VaeConfig& c = data_.config.vae;
    vae::NexusObjective objective{
        .beta = c.beta,
        .told = vae::message_weights(c.dropped, modalities(), batch.present, rows(), state, data_.device),
        .scales = {},
        .upper = {},
        .warm_up = vae::warm_up(state, steps_per_epoch(), c.warmup_epochs, data_.device)};
    for (const ModalityConfig& m : data_.config.modalities) {
      objective.scales.push_back(m.nexus_scale);
      objective.upper.push_back(m.nexus_upper);
    }
    return vae::nexus_loss(*model_.upper, objective, batch, within);
  }

 private:
  const data::BatchRows& rows() const { return views_[0]->feed.rows(); }
  int modalities() const { return static_cast<int>(views_.size()); }

  const TrainingData& data_;
  vae::Objective objective_;
  vae::VaeModel model_;
  nn::ParameterStore parameters_;
  std::vector<std::unique_ptr<View>> views_;
  std::optional<data::BatchOrder> order_;  // that of the views
  Tensor present_;                         // of each sample its modalities; undefined: all have all
  Tensor mixed_;                           // sets of the mixture's components
};

}  // namespace

vae::Objective vae_objective(const Config& config) {
  return {.kind = config.model.kind,
          .beta = config.vae.beta,
          .alpha = config.vae.alpha,
          .prior_expert = config.vae.prior_expert};
}

vae::Encoded encoded(const Config& config, const vae::VaeModel& model, VaeBatch batch,
                     const nn::Context& within) {
  vae::Encoded out;
  out.total = batch.rows.total;
  out.present = batch.present;
  std::vector<Tensor> inputs;
  for (std::size_t i = 0; i < batch.items.size(); ++i) {
    const Autoencoder& view = model.views[i];
    const ModalityConfig& m = config.modalities[i];
    inputs.push_back(scaled(view.scaling, batch.items[i]).value);
    out.experts.push_back(vae::from_heads(view.encode_scaled(inputs.back(), within)));
    out.weights.push_back(model.upper ? m.nexus_weight : m.vae_weight);
  }
  const Device device = batch.items[0].device();
  const StepState* state = within.key.state;
  out.noise = [=, rows = batch.rows](std::uint32_t number, std::int64_t size) {
    return vae::noise(state, rows, size, number, device);
  };
  out.component_rows = [=, mixture = config.vae.mixture, rows = batch.rows, sets = batch.mixed,
                        present = batch.present](std::int64_t) {
    return vae::component_rows(mixture, sets, present, rows, state);
  };
  out.reconstruction = [&config, &model, inputs = std::move(inputs), total = batch.rows.total, within](
                           int i, const Var& z, const Tensor& rows) {
    const auto k = static_cast<std::size_t>(i);
    return decoded_loss(config.modalities[k], model.views[k].decoder(z, within), inputs[k], total, rows);
  };
  return out;
}

VaeSamples vae_samples(const TrainingData& data) {
  VaeSamples samples;
  const Subset all = full_set(static_cast<int>(data.columns.size()));
  for (std::int64_t row = 0; row < data.split.num_samples(); ++row) {
    Subset has = 0;
    for (std::size_t i = 0; i < data.columns.size(); ++i)
      if (data.split.item(row, data.columns[i]) >= 0) has |= Subset{1} << i;
    if (has == 0) continue;
    samples.rows.push_back(static_cast<std::int32_t>(row));
    samples.present.push_back(has);
    samples.complete = samples.complete && has == all;
  }
  return samples;
}

MakeTraining vae_training(const TrainingData& data) {
  return [&data](std::int64_t batch, std::uint64_t seed) {
    return std::make_unique<VaeTraining>(data, batch, seed);
  };
}

}  // namespace mld
