// A probe of the latents: a small network that reads the class off the frozen codes of one modality, trained
// on all labelled items of the split "train". Generation from that modality can hardly know more of the class
// than what is read so: a ceiling of coherence, beside those of classifiers and autoencoders.
#include <algorithm>

#include "engine/ops/ops.h"
#include "mld/config/seed.h"
#include "mld/diffusion/noise.h"
#include "mld/evaluate/choice/row_draw.h"
#include "mld/evaluate/context.h"
#include "nn/sequential.h"
#include "nn/train_step.h"

namespace mld {
namespace {

using namespace shown;
using Labels = EvaluationRows::Labels;

// The same for every modality of every model, so that probes compare.
constexpr std::int64_t kWidth = 256, kSteps = 2000, kBatch = 256;
constexpr std::int64_t kMostEpochs = 100;  // of few items, which a longer training would learn by heart
constexpr double kLearningRate = 2e-3, kWeightDecay = 1e-2, kDropout = 0.3;
constexpr const char* kTrain = "train";

// Codes [N,D] with their labels, all of them known.
struct LabelledCodes {
  Tensor codes;
  Labels labels;

  // Leaves out rows without a label.
  LabelledCodes(const Tensor& all, const Labels& of_all) {
    std::vector<std::int64_t> known;
    for (std::size_t row = 0; row < of_all.size(); ++row)
      if (of_all[row] >= 0) known.push_back(static_cast<std::int64_t>(row));
    for (const std::int64_t row : known) labels.push_back(of_all[static_cast<std::size_t>(row)]);
    if (!known.empty()) codes = rows_of(all, known);
  }
  std::int64_t count() const { return std::ssize(labels); }
  LabelledCodes draw(std::int64_t n) const {
    Labels drawn(labels.size(), -1);
    for (const std::int64_t row : stratified_draw(labels, n, "probe"))
      drawn[static_cast<std::size_t>(row)] = labels[static_cast<std::size_t>(row)];
    return {codes, drawn};
  }
};

class Probe {
 public:
  // `progress` is told of every step.
  Probe(const LabelledCodes& items, std::int64_t classes, const std::string& name,
        const std::function<void(std::int64_t step, std::int64_t steps)>& progress)
      : net_(layers(items.codes.shape()[1], classes)), store_(net_) {
    const std::uint64_t seed = stage_seed(0, "probe/" + name);
    store_.initialize(seed);
    const data::BatchOrder order(items.count(), kBatch, seed);
    const std::int64_t steps = std::min(kSteps, kMostEpochs * order.steps_per_epoch());
    const Tensor x = Tensor::empty({order.batch(), items.codes.shape()[1]}),
                 y = Tensor::empty({order.batch()}, DType::i32);
    nn::TrainStep step(store_, seed, {.schedule = LrSchedule::cosine, .lr = kLearningRate, .total = steps},
                       {.weight_decay = kWeightDecay, .decoupled = true}, [&](const StepState* state) {
                         return cross_entropy(
                             net_(x, {.training = true, .key = {.state = state, .site = kFirstLayerSite}}),
                             y);
                       });
    for (std::int64_t k = 0; k < steps; ++k) {
      progress(k, steps);
      const std::vector<std::int32_t> rows = order.rows(k);
      for (std::int64_t b = 0; b < order.batch(); ++b) {
        const std::int32_t row = rows[static_cast<std::size_t>(b)];
        x.rows(b, 1).copy_from(items.codes.rows(row, 1));
        y.data<std::int32_t>()[b] = items.labels[static_cast<std::size_t>(row)];
      }
      step();
    }
  }

  Proportion read(const LabelledCodes& items) const {
    const auto scores = [&](const Tensor& codes) { return net_(codes).value; };
    return agreement(most_likely(map_rows(items.codes, kMeasuredTogether, scores)), items.labels);
  }

 private:
  static nn::Sequential layers(std::int64_t dim, std::int64_t classes) {
    return nn::Sequential(Shape{dim}, nn::Linear(dim, kWidth, {.act = nn::kSilu}), nn::Dropout(kDropout),
                          nn::Linear(kWidth, kWidth, {.act = nn::kSilu}), nn::Dropout(kDropout),
                          nn::Linear(kWidth, classes));
  }

  nn::Sequential net_;
  nn::ParameterStore store_;
};

class ProbeMeasure : public Measure {
 public:
  using Measure::Measure;

  void real_done() override {
    if (!context_.z.defined()) return;  // there are no codes yet, of which the evaluation has a note
    if (!context_.rows.labelled()) return context_.note("probe is left out: no sample has a label");
    if (!context_.store.has_split(kTrain))
      return context_.note("probe is left out: the store has no split 'train' to train it on");
    for (int i = 0; i < context_.model.modalities(); ++i) of(i);
  }

 private:
  void of(int i) {
    const Model& model = context_.model;
    const std::string& name = model.modality(i).name;
    const LabelledCodes measured(model.layout().slice(context_.z, i), context_.rows.labels_of_items(i)),
        trained = training_items(i);
    if (measured.count() == 0 || trained.count() == 0)
      return context_.note(cat("probe of ", name, " is left out: no ",
                               trained.count() == 0 ? "training item" : "sample",
                               " that has it is labelled"));
    const Probe probe(trained, model.dataset().classes, name, [&](std::int64_t step, std::int64_t steps) {
      context_.tell("probe of " + name, step, steps);
    });
    context_.result.probe.push_back({i, context_.split.name(), probe.read(measured)});
    if (context_.split.name() != kTrain)
      context_.result.probe.push_back({i, kTrain, probe.read(trained.draw(measured.count()))});
  }

  LabelledCodes training_items(int i) const {
    const Model& model = context_.model;
    const data::Split& train = context_.store.split(kTrain);
    const int column = context_.columns[static_cast<std::size_t>(i)];
    const auto labels = train.item_labels(column);
    const Tensor codes = map_items(
        train, column, model.info(i), kMeasuredTogether, model.layout().dims[static_cast<std::size_t>(i)],
        [&](std::int64_t first, const Tensor& x) {
          context_.tell("training items of " + model.modality(i).name, first, train.num_items(column));
          return model.encode(i, x);
        });
    return {codes, {labels.begin(), labels.end()}};
  }
};

std::unique_ptr<Measure> start(EvaluationContext& context) { return std::make_unique<ProbeMeasure>(context); }

// The cell of the same modality on training items, where the other is of other items.
const ProbeCell* of_training(const Evaluation& e, const ProbeCell& cell) {
  const auto found = std::ranges::find_if(
      e.probe, [&](const ProbeCell& c) { return c.target == cell.target && c.split == kTrain; });
  return found == e.probe.end() || &*found == &cell ? nullptr : &*found;
}

bool is_second(const Evaluation& e, const ProbeCell& cell) {
  return cell.split == kTrain && e.split != kTrain;
}

std::string table(const Evaluation& e) {
  std::string rows;
  for (const ProbeCell& c : e.probe) {
    if (is_second(e, c)) continue;
    const ProbeCell* train = of_training(e, c);
    rows +=
        row("probe of " + e.name(c.target),
            with_interval(c.right) +
                (train == nullptr ? "" : format("   (training items %6.2f %%)", 100 * train->right.value)));
  }
  return rows.empty() ? "" : interval_head() + under("The class, read off the latents", rows);
}

std::vector<Section> sections(const Evaluation& e) {
  Table probes{
      "Probe of the latents: the class read off them, a ceiling of what is generated from them",
      {{"Modality"}, {"Items of"}, {"Right class", true}, {"95 % interval, %"}, {"N", true}, {"0 to 100 %"}},
      {}};
  for (const ProbeCell& c : e.probe)
    probes.rows.push_back(
        {e.name(c.target), c.split, percent(c.right.value), interval(c.right), count(c.right.n), c.right});
  return {{"Coherence", {std::move(probes)}}};
}

}  // namespace

extern constinit const Metric kProbe{
    .name = "probe", .latents = true, .start = start, .table = table, .sections = sections};

}  // namespace mld
