#include "mld/methods/item_training.h"

#include "engine/ops/ops.h"
#include "mld/diffusion/noise.h"
#include "mld/modality/autoencoders.h"
#include "mld/modality/batches.h"

namespace mld {
namespace {

// A network whose units may be measured on the items before the first step.
template <class Net>
class ItemTraining : public Training {
 public:
  ItemTraining(const TrainingData& data, std::size_t modality, const StageConfig& stage, Net net,
               bool labelled, std::int64_t batch, std::uint64_t seed)
      : data_(data),
        column_(data.columns[modality]),
        item_size_(data.info(modality).shape.numel()),
        config_(data.config.modalities[modality]),
        net_(initialised(std::move(net), stage.init)),
        parameters_(net_, {.device = data.device, .ema = stage.ema > 0}),
        feed_(data.split, column_, data.info(modality), stage.sampling, labelled, batch, seed, data.shard),
        batches_(feed_, data.info(modality), labelled, data.device, ResidentItems::fits(feed_, data.device),
                 augmentation(config_, stage, data.info(modality))) {}

  nn::ParameterStore& parameters() override { return parameters_; }
  std::int64_t batch() const override { return feed_.rows().total; }
  std::int64_t steps_per_epoch() const override { return feed_.steps_per_epoch(); }
  void before(std::int64_t step) override {
    if (step == 0) measure(net_.scaling, data_.split, column_, item_size_);
    batches_.before(step);
  }
  Var loss(const StepState* state) const override {
    batches_.within(state);
    const nn::Context context{
        .training = true, .key = {.state = state, .site = kFirstLayerSite, .first_row = feed_.rows().first}};
    return loss_of(net_, context);
  }

 private:
  static Net initialised(Net net, WeightInit init) {
    apply_init(init, nn::walk(net));
    return net;
  }

  Var loss_of(const Autoencoder& net, const nn::Context& context) const {
    return reconstruction_loss(config_, net, batches_.items(), feed_.rows().total, context);
  }
  Var loss_of(const Classifier& net, const nn::Context& context) const {
    const Var mean = cross_entropy(net(batches_.items(), context), batches_.labels());
    const data::BatchRows& rows = feed_.rows();
    if (rows.count == rows.total) return mean;
    return affine(mean, static_cast<double>(rows.count) / static_cast<double>(rows.total), 0);
  }

  const TrainingData& data_;
  int column_;
  std::int64_t item_size_;
  const ModalityConfig& config_;
  Net net_;
  nn::ParameterStore parameters_;
  ItemFeed feed_;
  Batches batches_;
};

}  // namespace

std::unique_ptr<Training> autoencoder_training(const TrainingData& data, std::size_t modality,
                                               std::int64_t batch, std::uint64_t seed) {
  const ModalityConfig& m = data.config.modalities[modality];
  return std::make_unique<ItemTraining<Autoencoder>>(
      data, modality, m.stage1, make_autoencoder(m, data.info(modality)), false, batch, seed);
}

std::unique_ptr<Training> classifier_training(const TrainingData& data, std::size_t modality,
                                              std::int64_t batch, std::uint64_t seed) {
  const ModalityConfig& m = data.config.modalities[modality];
  return std::make_unique<ItemTraining<Classifier>>(
      data, modality, m.classifier_training,
      make_classifier(m, data.info(modality), data.store.description()), true, batch, seed);
}

std::int64_t item_steps_per_epoch(const TrainingData& data, std::size_t modality, const StageConfig& stage,
                                  bool labelled) {
  const auto items = items_to_draw(data.split, data.columns[modality], stage.sampling, labelled);
  return data::BatchOrder(std::ssize(items), stage.batch, 0).steps_per_epoch();
}

}  // namespace mld
