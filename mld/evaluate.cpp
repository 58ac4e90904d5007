#include "mld/evaluate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "data/render.h"
#include "mld/sampling_record.h"
#include "mld/stage.h"

namespace mld {
namespace {

class Evaluator {
 public:
  Evaluator(const Model& model, const data::Store& store, const EvaluationOptions& options,
            const EvaluationProgress& progress)
      : model_(model),
        store_(store),
        split_(store.split(options.split)),
        options_(options),
        progress_(progress) {
    const std::int64_t distinct = split_.num_distinct();
    count_ = options.samples > 0 ? std::min(options.samples, distinct) : distinct;
    MLD_CHECK_AS(ErrorKind::data, count_ > 0, "split '", options.split, "' of ", store.path().string(),
                 ": has no samples");
    for (int i = 0; i < model.modalities(); ++i)
      column_.push_back(store.description().modality(model.modality(i).name));
    for (int i = 0; i < model.modalities(); ++i) load(i);
    labels_.assign(split_.labels().begin(), split_.labels().begin() + static_cast<std::ptrdiff_t>(count_));
  }

  Evaluation run() {
    const auto start = std::chrono::steady_clock::now();
    result_.modalities = model_.names();
    result_.samples = count_;
    result_.split = options_.split;
    result_.sampling = options_.sampling;
    ceilings();
    if (options_.generate) {
      result_.generated = true;
      result_.network_calls = make_plan(options_.sampling.sampler).network_calls;
      encode();
      generate(0);
      for (Subset given : all_subsets(model_.modalities()))
        if (given != full_set(model_.modalities())) generate(given);
    }
    result_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return result_;
  }

 private:
  // The real items of modality i in sample order; a hole is zeros, and is left out of every count.
  void load(int i) {
    const auto width = static_cast<std::size_t>(store_.num_modalities());
    std::vector<std::int32_t> items;
    for (std::int64_t row = 0; row < count_; ++row)
      items.push_back(split_.samples()[static_cast<std::size_t>(row) * width +
                                       static_cast<std::size_t>(column_[static_cast<std::size_t>(i)])]);
    ItemBatch batch = make_item_batch(model_.info(i), count_);
    fill_items(split_, column_[static_cast<std::size_t>(i)], model_.info(i), items, batch);
    real_.push_back(batch.x);
    items_.push_back(std::move(items));
  }

  bool has(int i, std::int64_t row) const {
    return items_[static_cast<std::size_t>(i)][static_cast<std::size_t>(row)] >= 0;
  }

  // Labels of the samples that have everything in `needed`; -1 (not counted) for the others.
  std::vector<std::int32_t> labels_with(Subset needed) const {
    std::vector<std::int32_t> labels = labels_;
    for (std::int64_t row = 0; row < count_; ++row)
      for (int i = 0; i < model_.modalities(); ++i)
        if (contains(needed, i) && !has(i, row)) labels[static_cast<std::size_t>(row)] = -1;
    return labels;
  }

  CoherenceCell cell(Subset given, int target, const Tensor& values,
                     const std::vector<std::int32_t>& labels) const {
    return {given, target, agreement(model_.classify(target, values), labels)};
  }

  void ceilings() {
    for (int i = 0; i < model_.modalities(); ++i) {
      if (!model_.has_classifier(i)) continue;
      tell("ceilings", i, model_.modalities());
      const Subset self = Subset{1} << i;
      result_.classifier.push_back(cell(self, i, real_[static_cast<std::size_t>(i)], labels_with(self)));
      if (model_.has_autoencoder(i))
        result_.self.push_back(
            cell(self, i, model_.reconstruct(i, real_[static_cast<std::size_t>(i)]), labels_with(self)));
    }
    if (const auto [image, path] = pen_pair(); path >= 0)
      add_pen("real", real_[static_cast<std::size_t>(image)], real_[static_cast<std::size_t>(path)],
              full_set(model_.modalities()));
  }

  void encode() {
    z_ = Tensor::zeros({count_, model_.layout().total});
    for (int i = 0; i < model_.modalities(); ++i)
      model_.set_latent_slice(z_, i, model_.encode(i, real_[static_cast<std::size_t>(i)]));
  }

  void generate(Subset given) {
    const std::vector<std::string> names = model_.names();
    const std::string what = given == 0 ? "joint" : "given " + subset_name(given, names);
    std::vector<std::int32_t> ids;
    for (std::int64_t row = 0; row < count_; ++row) ids.push_back(static_cast<std::int32_t>(row));
    SampleSettings settings = options_.sampling;
    settings.seed = stage_seed(settings.seed, "evaluate/" + subset_name(given, names));
    const Tensor z = model_.sample_latents(
        given, z_, ids, settings,
        [&](std::int64_t done, std::int64_t total) { return !progress_ || progress_(what, done, total); });

    std::vector<std::vector<std::int32_t>> predicted;
    std::vector<Tensor> values;
    for (int i = 0; i < model_.modalities(); ++i) {
      values.push_back(contains(given, i) ? real_[static_cast<std::size_t>(i)]
                                          : model_.decode(i, model_.latent_slice(z, i)));
      if (contains(given, i) || !model_.has_classifier(i)) continue;
      if (given == 0)
        predicted.push_back(model_.classify(i, values.back()));
      else
        result_.conditional.push_back(cell(given, i, values.back(), labels_with(given)));
    }
    if (given == 0 && !predicted.empty())
      result_.joint = joint_coherence(predicted, static_cast<int>(store_.description().classes));
    if (const auto [image, path] = pen_pair();
        path >= 0 && (!contains(given, image) || !contains(given, path)))
      add_pen(what, values[static_cast<std::size_t>(image)], values[static_cast<std::size_t>(path)], given);
  }

  // The image and the drawn path that show the same digit, or -1.
  std::pair<int, int> pen_pair() const {
    int image = -1, path = -1;
    for (int i = 0; i < model_.modalities(); ++i) {
      const data::Modality& info = model_.info(i);
      if (info.pen_path && info.shape == Shape({data::kTrajectory}) && info.original_range) path = i;
      if (info.kind == data::ModalityKind::image &&
          info.shape == Shape({data::kDigitSide, data::kDigitSide, 1}))
        image = i;
    }
    return image < 0 || path < 0 ? std::pair(-1, -1) : std::pair(image, path);
  }

  void add_pen(const std::string& how, const Tensor& images, const Tensor& paths, Subset needed) {
    const auto [image, path] = pen_pair();
    const auto label = labels_with(needed);
    double sum = 0, squares = 0;
    std::int64_t n = 0;
    for (std::int64_t row = 0; row < count_; ++row) {
      if (label[static_cast<std::size_t>(row)] < 0) continue;
      const double v =
          data::pen_image_agreement(images.rows(row, 1).span<float>(), paths.rows(row, 1).span<float>(),
                                    *model_.info(path).original_range);
      sum += v;
      squares += v * v;
      ++n;
    }
    if (n < 2) return;
    const double count = static_cast<double>(n), mean = sum / count;
    result_.pen.push_back(
        {how, mean, std::sqrt(std::max(0.0, squares / count - mean * mean) / (count - 1)), n});
  }

  void tell(const std::string& what, std::int64_t done, std::int64_t total) const {
    if (progress_ && !progress_(what, done, total)) throw Cancelled{};
  }

  const Model& model_;
  const data::Store& store_;
  const data::Split& split_;
  const EvaluationOptions& options_;
  const EvaluationProgress& progress_;
  std::int64_t count_ = 0;
  std::vector<int> column_;
  std::vector<std::vector<std::int32_t>> items_;
  std::vector<std::int32_t> labels_;
  std::vector<Tensor> real_;
  Tensor z_;
  Evaluation result_;
};

std::string format(const char* pattern, double a, double b = 0, double c = 0) {
  char text[128];
  std::snprintf(text, sizeof text, pattern, a, b, c);
  return text;
}

std::string percent(const Proportion& p) {
  return format("%6.2f %%   [%6.2f, %6.2f]", 100 * p.value(), 100 * p.low(), 100 * p.high());
}

std::string row(std::string name, const std::string& value) {
  name.resize(std::max<std::size_t>(name.size() + 1, 40), ' ');
  return "  " + name + value + "\n";
}

nlohmann::json json_of(const Proportion& p) {
  return {{"value", p.value()}, {"low95", p.low()}, {"high95", p.high()}, {"hits", p.hits}, {"n", p.n}};
}

}  // namespace

Evaluation evaluate(const Model& model, const data::Store& store, const EvaluationOptions& options,
                    const EvaluationProgress& progress) {
  return Evaluator(model, store, options, progress).run();
}

std::string to_table(const Evaluation& e) {
  const auto name = [&](int i) { return e.modalities[static_cast<std::size_t>(i)]; };
  std::string out = cat("N = ", e.samples, " of split '", e.split, "'");
  if (e.generated) {
    out += cat(", schedule ", schedule_name(e.sampling.sampler), " (", e.network_calls,
               " network calls a sample), seed ", e.sampling.seed);
  }
  out += "\n\n" + row("", "value      95 % interval") + "Ceilings\n";
  for (const auto& c : e.classifier) out += row("classifier on real " + name(c.target), percent(c.coherence));
  for (const auto& c : e.self) out += row("autoencoder of " + name(c.target), percent(c.coherence));
  if (e.generated && !e.joint.class_share.empty()) {
    out += "Joint generation\n" + row("all modalities agree", percent(e.joint.all_equal));
    std::string shares;
    for (double share : e.joint.class_share) shares += format("%5.1f", 100 * share);
    out += row("class shares, %", shares) + row("class entropy, nats", format("%6.3f", e.joint.entropy));
  }
  if (!e.conditional.empty()) out += "Conditional generation\n";
  for (const auto& c : e.conditional)
    out += row(subset_name(c.given, e.modalities) + " -> " + name(c.target), percent(c.coherence));
  if (!e.pen.empty()) out += "Pen-image agreement (intersection over union)\n";
  for (const auto& p : e.pen) out += row(p.how, format("%6.3f +- %.3f", p.mean, p.error));
  return out;
}

std::string to_json(const Evaluation& e) {
  const auto cells = [&](const std::vector<CoherenceCell>& list) {
    nlohmann::json out = nlohmann::json::array();
    for (const auto& c : list) {
      nlohmann::json entry = json_of(c.coherence);
      entry["given"] = subset_name(c.given, e.modalities);
      entry["target"] = e.modalities[static_cast<std::size_t>(c.target)];
      out.push_back(entry);
    }
    return out;
  };
  nlohmann::json out{{"samples", e.samples},
                     {"split", e.split},
                     {"seconds", e.seconds},
                     {"classifier", cells(e.classifier)},
                     {"autoencoder", cells(e.self)}};
  if (e.generated) {
    out["seed"] = e.sampling.seed;
    out["schedule"] = schedule_record(e.sampling.sampler);
    out["network_calls"] = e.network_calls;
    out["joint"] = {{"coherence", json_of(e.joint.all_equal)},
                    {"class_share", e.joint.class_share},
                    {"entropy", e.joint.entropy}};
    out["conditional"] = cells(e.conditional);
  }
  for (const auto& p : e.pen)
    out["pen_image_agreement"].push_back({{"how", p.how}, {"mean", p.mean}, {"error", p.error}, {"n", p.n}});
  return out.dump(2) + "\n";
}

}  // namespace mld
