#include "mld/evaluate.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <numeric>
#include <set>
#include <unordered_map>

#include "data/render.h"
#include "mld/latent_metrics.h"
#include "mld/metrics/captions.h"
#include "mld/metrics/quality.h"
#include "mld/metrics/weights.h"
#include "mld/names.h"
#include "mld/stage.h"

namespace mld {
namespace {

constexpr std::int64_t kNeighbours = 1000;   // samples whose nearest training item is looked for
constexpr std::int64_t kInformation = 2000;  // samples that mutual information is averaged over
constexpr std::int64_t kGapSamples = 1000;   // and the in-painting gap,
constexpr int kGapRepeats = 2;               // with draws of time and noise for each
constexpr std::array kGapTimes{0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};

struct Metric {
  std::string_view name;
  bool MetricChoice::*chosen;
};
constexpr std::array<Metric, 6> kMetrics{{{"coherence", &MetricChoice::coherence},
                                          {"quality", &MetricChoice::quality},
                                          {"robustness", &MetricChoice::robustness},
                                          {"diversity", &MetricChoice::diversity},
                                          {"memorisation", &MetricChoice::memorisation},
                                          {"mi", &MetricChoice::information}}};

using Labels = std::vector<std::int32_t>;

// Values of the modalities for rows [first, first + n) of the split; a hole is zeros.
struct Rows {
  std::int64_t first = 0, n = 0;
  std::vector<Tensor> values;
};

class Evaluator {
 public:
  Evaluator(const Model& model, const data::Store& store, const EvaluationOptions& options,
            const EvaluationProgress& progress)
      : model_(model),
        store_(store),
        split_(store.split(options.split)),
        options_(options),
        progress_(progress) {
    count_ = samples_used(split_, options);
    MLD_CHECK_AS(ErrorKind::data, count_ > 0, "split '", options.split, "' of ", store.path().string(),
                 ": has no samples");
    check_metrics(options.metrics, model.config().model.kind);
    weights_folder(options.weights);  // checked even where no network is wanted
    const auto width = static_cast<std::size_t>(store.num_modalities());
    for (int i = 0; i < model.modalities(); ++i) {
      column_.push_back(store.description().modality(model.modality(i).name));
      Labels items;
      for (std::int64_t row = 0; row < count_; ++row)
        items.push_back(split_.samples()[static_cast<std::size_t>(row) * width +
                                         static_cast<std::size_t>(column_.back())]);
      first_rows_.push_back(first_rows(items));
      result_.distinct.push_back(count_different(items));
      items_.push_back(std::move(items));
    }
    labels_.assign(split_.labels().begin(), split_.labels().begin() + static_cast<std::ptrdiff_t>(count_));
    if (options.metrics.quality) {
      extractors_ = make_extractors(model, options.weights, options.sampling.seed, result_.notes);
      captions_ = Captions::find(model, store, options.weights, result_.notes);
    }
  }

  Evaluation run() {
    const auto start = std::chrono::steady_clock::now();
    describe();
    measure_real();
    if (options_.generate) {
      result_.generated = true;
      result_.network_calls = make_plan(options_.sampling.sampler).network_calls;
      const MetricChoice& metrics = options_.metrics;
      if (metrics.coherence || metrics.quality || metrics.memorisation) generate(0);
      for (Subset given : all_subsets(model_.modalities())) {
        if (given == full_set(model_.modalities())) continue;
        if (metrics.coherence || metrics.quality) generate(given);
        if (metrics.diversity) diversity(given);
      }
      if (metrics.robustness) robustness();
      if (metrics.memorisation) memorisation();
      if (metrics.information) information();
    }
    result_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return std::move(result_);
  }

 private:
  void describe() {
    const Config& config = model_.config();
    Evaluation& e = result_;
    e.kind = model_kind_name(config.model.kind);
    e.preset = config.preset;
    e.dataset = store_.description().name;
    e.config_hash = score_hash(config);
    e.settings = settings_beyond_preset(config, store_.description());
    e.model_seed = config.seed;
    e.d = config.score.d;
    e.parameters = model_.parameters();
    e.ema = config.score.ema > 0;
    e.modalities = model_.names();
    for (int i = 0; i < model_.modalities(); ++i)
      e.classifier_hash.push_back(model_.has_classifier(i) ? model_.classifier_hash(i) : "");
    e.classifier_recipe = classifiers_hash(config);
    e.metrics = metric_names(options_.metrics);
    e.split = options_.split;
    e.samples = count_;
    e.clusters = clusters(full_set(model_.modalities()));
    if (count_ > split_.num_distinct())
      note(cat("N = ", count_, " goes beyond the first pairing (", split_.num_distinct(),
               "): intervals of coherence take samples of one item for independent"));
    if (!model_.has_score()) note("the run has no score network yet: only classifiers and autoencoders");
    e.sampling = options_.sampling;
  }

  bool has(int i, std::int64_t row) const {
    return items_[static_cast<std::size_t>(i)][static_cast<std::size_t>(row)] >= 0;
  }
  bool has_all(Subset needed, std::int64_t row) const {
    for (int i = 0; i < model_.modalities(); ++i)
      if (contains(needed, i) && !has(i, row)) return false;
    return true;
  }
  // Labels of the samples that have everything in `needed`; -1 (not counted) for the others.
  Labels labels_with(Subset needed) const {
    Labels labels = labels_;
    for (std::int64_t row = 0; row < count_; ++row)
      if (!has_all(needed, row)) labels[static_cast<std::size_t>(row)] = -1;
    return labels;
  }
  static std::int64_t count_different(const Labels& items) {
    const std::set<std::int32_t> different(items.begin(), items.end());
    return std::ssize(different) - static_cast<std::int64_t>(different.contains(-1));  // a hole is no item
  }
  // Of each row the first that has the same item; a hole is like no other.
  static std::vector<std::int64_t> first_rows(const Labels& items) {
    std::vector<std::int64_t> first;
    std::unordered_map<std::int32_t, std::int64_t> seen;
    for (std::int64_t row = 0; row < std::ssize(items); ++row) {
      const std::int32_t item = items[static_cast<std::size_t>(row)];
      first.push_back(item < 0 ? row : seen.try_emplace(item, row).first->second);
    }
    return first;
  }
  std::int64_t distinct(int i) const { return result_.distinct[static_cast<std::size_t>(i)]; }
  // What samples have in common that were generated from these modalities: of each row the first with the
  // same item of the modality that has fewest.
  std::vector<std::int64_t> clusters(Subset given) const {
    int coarsest = -1;
    for (int i = 0; i < model_.modalities(); ++i)
      if (contains(given, i) && (coarsest < 0 || distinct(i) < distinct(coarsest))) coarsest = i;
    if (coarsest >= 0) return first_rows_[static_cast<std::size_t>(coarsest)];
    std::vector<std::int64_t> rows(static_cast<std::size_t>(count_));
    std::iota(rows.begin(), rows.end(), 0);
    return rows;
  }
  // Labels of the different items of a modality.
  Labels labels_of_items(int i) const {
    Labels labels = labels_with(Subset{1} << i);
    for (std::size_t row = 0; row < labels.size(); ++row)
      if (first_rows_[static_cast<std::size_t>(i)][row] != static_cast<std::int64_t>(row)) labels[row] = -1;
    return labels;
  }

  template <class F>  // f(Rows)
  void each_chunk(const std::string& what, F f) {
    for (std::int64_t first = 0; first < count_; first += kMeasuredTogether) {
      tell(what, first, count_);
      Rows rows{first, std::min(kMeasuredTogether, count_ - first), {}};
      for (int i = 0; i < model_.modalities(); ++i) {
        const Labels& all = items_[static_cast<std::size_t>(i)];
        const ItemBatch batch = make_item_batch(model_.info(i), rows.n);
        fill_items(split_, column_[static_cast<std::size_t>(i)], model_.info(i),
                   std::span(all).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(rows.n)),
                   batch);
        rows.values.push_back(batch.x);
      }
      f(rows);
    }
  }

  // Appends the features of the rows that have everything in `needed`, which they were made from.
  void add_features(const Extractor& extractor, const Tensor& values, const Rows& rows, Subset needed,
                    std::span<const std::int64_t> items, FeatureSet& set) const {
    const Tensor features = extractor.features(values, rows.first);
    for (std::int64_t k = 0; k < rows.n; ++k)
      if (has_all(needed, rows.first + k))
        set.add(features.rows(k, 1).span<float>(),
                items.subspan(static_cast<std::size_t>(rows.first + k), 1));
  }

  void add_quality(const Extractor& extractor, Subset given, const FeatureSet& made) {
    const FeatureSet& real = real_features_[static_cast<std::size_t>(&extractor - extractors_.data())];
    const auto few = [](const FeatureSet& set) { return std::ssize(set.rows()) < 4 * set.dim(); };
    if (few(real) || few(made))
      return note("quality is left out where fewer than 4 different items are to compare");
    QualityCell cell{given,
                     extractor.modality,
                     extractor.metric,
                     extractor.name,
                     extractor.hash,
                     distinct(extractor.modality),
                     feature_distance(real, made)};
    const std::int64_t fewest = std::min({cell.distinct, cell.distance.real, cell.distance.made});
    if (fewest <= cell.distance.dim)
      note(extractor.metric + " of " + result_.modalities[static_cast<std::size_t>(extractor.modality)] +
           ": fewer different samples than features (" + std::to_string(fewest) + " <= " +
           std::to_string(cell.distance.dim) + "), the covariance is singular; rely on the kernel distance");
    result_.quality.push_back(std::move(cell));
  }

  void note(const std::string& text) {
    if (std::find(result_.notes.begin(), result_.notes.end(), text) == result_.notes.end())
      result_.notes.push_back(text);
  }

  // Real items: classifiers, autoencoders, the real side of every distance, the latents to condition on.
  void measure_real() {
    const int modalities = model_.modalities();
    std::vector<Labels> of_real(static_cast<std::size_t>(modalities)), of_self = of_real;
    for (const Extractor& e : extractors_) real_features_.emplace_back(e.dim);
    std::vector<FeatureSet> self_features = real_features_;
    if (options_.generate) z_ = Tensor::zeros({count_, model_.layout().total});
    each_chunk("real items", [&](const Rows& rows) {
      for (int i = 0; i < modalities; ++i) {
        const auto k = static_cast<std::size_t>(i);
        const Tensor& x = rows.values[k];
        const Tensor again = model_.has_autoencoder(i) ? model_.reconstruct(i, x) : Tensor();
        if (options_.metrics.coherence && model_.has_classifier(i)) {
          append(of_real[k], model_.classify(i, x));
          if (again.defined()) append(of_self[k], model_.classify(i, again));
        }
        for (std::size_t e = 0; e < extractors_.size(); ++e) {
          if (extractors_[e].modality != i) continue;
          add_features(extractors_[e], x, rows, Subset{1} << i, first_rows_[k], real_features_[e]);
          if (again.defined())
            add_features(extractors_[e], again, rows, Subset{1} << i, first_rows_[k], self_features[e]);
        }
        if (z_.defined()) model_.set_latent_slice(z_.rows(rows.first, rows.n), i, model_.encode(i, x));
      }
      add_pen("real", rows.values, rows, full_set(modalities));
      add_captions(rows.values, rows, full_set(modalities));
    });
    finish_pen("real");
    finish_captions(true, full_set(modalities));
    for (int i = 0; i < modalities; ++i) {
      const auto k = static_cast<std::size_t>(i);
      const Subset self = Subset{1} << i;
      if (!of_real[k].empty())
        result_.classifier.push_back({self, i, agreement(of_real[k], labels_of_items(i))});
      if (!of_self[k].empty()) result_.self.push_back({self, i, agreement(of_self[k], labels_of_items(i))});
    }
    for (std::size_t e = 0; e < extractors_.size(); ++e)
      if (self_features[e].count() > 0)
        add_quality(extractors_[e], Subset{1} << extractors_[e].modality, self_features[e]);
  }

  static void append(Labels& all, const Labels& more) { all.insert(all.end(), more.begin(), more.end()); }

  // One draw for each row of z, given its slices.
  Tensor draw_latents(const std::string& what, Subset given, const Tensor& z, const std::string& stream) {
    std::vector<std::int32_t> ids(static_cast<std::size_t>(z.shape()[0]));
    std::iota(ids.begin(), ids.end(), 0);
    SampleSettings settings = options_.sampling;
    settings.seed = stage_seed(settings.seed, stream + subset_name(given, result_.modalities));
    return model_.sample_latents(given, z, ids, settings, [&](std::int64_t done, std::int64_t total) {
      return !progress_ || progress_(what, done, total);
    });
  }

  std::string name_of(Subset given) const {
    return given == 0 ? "joint" : "given " + subset_name(given, result_.modalities);
  }

  void generate(Subset given) {
    const std::string what = name_of(given);
    const Tensor z = draw_latents(what, given, z_, "evaluate/");
    if (given == 0) joint_z_ = z.rows(0, std::min(count_, kNeighbours));
    std::vector<Labels> predicted(static_cast<std::size_t>(model_.modalities()));
    std::vector<FeatureSet> made;
    for (const Extractor& e : extractors_) made.emplace_back(e.dim);
    const std::vector<std::int64_t> items = clusters(given);
    each_chunk(what + ", measured", [&](const Rows& rows) {
      std::vector<Tensor> values = rows.values;
      for (int i = 0; i < model_.modalities(); ++i) {
        const auto k = static_cast<std::size_t>(i);
        if (contains(given, i)) continue;
        values[k] = model_.decode(i, model_.latent_slice(z.rows(rows.first, rows.n), i));
        if (options_.metrics.coherence && model_.has_classifier(i))
          append(predicted[k], model_.classify(i, values[k]));
        for (std::size_t e = 0; e < extractors_.size(); ++e)
          if (extractors_[e].modality == i)
            add_features(extractors_[e], values[k], rows, given, items, made[e]);
      }
      add_pen(what, values, rows, given);
      if (captions_ && !(contains(given, captions_->image()) && contains(given, captions_->caption())))
        add_captions(values, rows, given);
    });
    finish_pen(what);
    finish_captions(false, given);
    count_coherence(given, predicted);
    for (std::size_t e = 0; e < extractors_.size(); ++e)
      if (made[e].count() > 0) add_quality(extractors_[e], given, made[e]);
  }

  void count_coherence(Subset given, std::vector<Labels>& predicted) {
    if (given != 0) {
      for (int i = 0; i < model_.modalities(); ++i)
        if (const Labels& labels = predicted[static_cast<std::size_t>(i)]; !labels.empty()) {
          result_.conditional.push_back({given, i, agreement(labels, labels_with(given))});
          result_.outcomes.push_back(agreements(labels, labels_with(given)));
        }
      return;
    }
    const auto missing = std::erase_if(predicted, [](const Labels& labels) { return labels.empty(); });
    if (options_.metrics.coherence && missing > 0)
      note(predicted.empty()      ? "coherence is left out: the run has no classifiers"
           : predicted.size() < 2 ? "joint coherence is left out: only one modality has a classifier"
                                  : cat("joint coherence is that of the ", predicted.size(),
                                        " modalities that have classifiers"));
    if (predicted.size() > 1) {
      result_.joint = joint_coherence(predicted, static_cast<int>(store_.description().classes));
      result_.outcomes.push_back(result_.joint.equal);
    }
  }

  void diversity(Subset given) {
    const auto cells = latent_diversity(model_, given, z_, [&](const Tensor& z) {
      return draw_latents("diversity " + name_of(given), given, z, "diversity/");
    });
    result_.diversity.insert(result_.diversity.end(), cells.begin(), cells.end());
  }

  void robustness() {
    std::vector<Labels> labels;
    for (int i = 0; i < model_.modalities(); ++i) labels.push_back(labels_with(Subset{1} << i));
    result_.robustness =
        latent_robustness(model_, z_, labels, stage_seed(options_.sampling.seed, "robustness"), teller());
  }

  void memorisation() {
    if (options_.split == "train" || !store_.has_split("train"))
      return note("memorisation is left out: it compares a held-out split with the split 'train'");
    result_.memorisation = latent_memorisation(model_, store_.split("train"), column_, joint_z_,
                                               z_.rows(0, joint_z_.shape()[0]), teller());
  }

  void information() {
    if (model_.config().model.kind == ModelKind::inpaint)
      return note("mutual information is left out: an in-painting model has no conditional scores");
    if (model_.config().model.kind == ModelKind::uni)
      note("mutual information and gap: a uni network has never seen a modality at time 0 exactly");
    std::vector<std::int64_t> complete;
    for (std::int64_t row = 0; row < count_ && std::ssize(complete) < kInformation; ++row)
      if (has_all(full_set(model_.modalities()), row)) complete.push_back(row);
    if (complete.size() < 2) return note("mutual information is left out: no complete samples");
    const Tensor z = Tensor::empty({std::ssize(complete), model_.layout().total});
    for (std::int64_t k = 0; k < std::ssize(complete); ++k)
      z.rows(k, 1).copy_from(z_.rows(complete[static_cast<std::size_t>(k)], 1));
    const MultiTimeScore score = [&](const Tensor& r, const Tensor& tau) {
      return model_.noise_prediction(r, tau);
    };
    for (const Subset group : bipartitions(model_.modalities()))
      result_.information.push_back(mutual_information(
          score, model_.layout(), z, group,
          {.seed =
               stage_seed(options_.sampling.seed, "information/" + subset_name(group, result_.modalities))},
          [&](std::int64_t done) { tell("mutual information", done, z.shape()[0]); }));
    if (model_.config().model.kind == ModelKind::uni)
      inpainting_gap(score, z.rows(0, std::min(z.shape()[0], kGapSamples)));
  }

  void inpainting_gap(const MultiTimeScore& score, const Tensor& z) {
    const auto conditions = inpainting_conditions(model_.modalities());
    const auto total = static_cast<std::int64_t>(conditions.size() * kGapTimes.size());
    for (const Subset given : conditions) {
      // The same noise at all times, so that the curve over them is smooth.
      const std::uint64_t seed =
          stage_seed(options_.sampling.seed, "in-painting gap/" + subset_name(given, result_.modalities));
      for (const double t : kGapTimes) {
        tell("in-painting gap", std::ssize(result_.inpainting_gap), total);
        result_.inpainting_gap.push_back(
            mld::inpainting_gap(score, model_.layout(), z, given, t, {.repeats = kGapRepeats, .seed = seed}));
      }
    }
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

  // Agreement of image and path, which are both among `values`, for rows that have what is needed; nothing
  // for data without the two, or where both are given.
  void add_pen(const std::string& how, const std::vector<Tensor>& values, const Rows& rows, Subset needed) {
    const auto [image, path] = pen_pair();
    if (!options_.metrics.coherence || path < 0) return;
    if (how != "real" && contains(needed, image) && contains(needed, path)) return;
    for (std::int64_t k = 0; k < rows.n; ++k) {
      if (!has_all(needed, rows.first + k)) continue;
      pen_.push_back(
          data::pen_image_agreement(values[static_cast<std::size_t>(image)].rows(k, 1).span<float>(),
                                    values[static_cast<std::size_t>(path)].rows(k, 1).span<float>(),
                                    *model_.info(path).original_range));
    }
  }

  void finish_pen(const std::string& how) {
    const auto n = static_cast<double>(pen_.size());
    if (n >= 2) {
      double sum = 0, squares = 0;
      for (double v : pen_) {
        sum += v;
        squares += v * v;
      }
      const double mean = sum / n;
      result_.pen.push_back({how, mean, std::sqrt(std::max(0.0, squares / n - mean * mean) / (n - 1)),
                             static_cast<std::int64_t>(pen_.size())});
    }
    pen_.clear();
  }

  void add_captions(const std::vector<Tensor>& values, const Rows& rows, Subset needed) {
    if (!captions_) return;
    std::vector<std::int64_t> keep;
    for (std::int64_t k = 0; k < rows.n; ++k)
      if (has_all(needed, rows.first + k)) keep.push_back(k);
    captions_->add(values[static_cast<std::size_t>(captions_->image())],
                   values[static_cast<std::size_t>(captions_->caption())], keep, clip_);
  }

  void finish_captions(bool real, Subset given) {
    if (captions_ && clip_.count() > 1)
      result_.clip.push_back(
          {real, given, clip_.value(), clip_.standard_error(), clip_.count(), captions_->hash()});
    clip_ = ClipScore();
  }

  void tell(const std::string& what, std::int64_t done, std::int64_t total) const {
    if (progress_ && !progress_(what, done, total)) throw Cancelled{};
  }
  Tell teller() const {
    return
        [this](const std::string& what, std::int64_t done, std::int64_t total) { tell(what, done, total); };
  }

  const Model& model_;
  const data::Store& store_;
  const data::Split& split_;
  const EvaluationOptions& options_;
  const EvaluationProgress& progress_;
  std::int64_t count_ = 0;
  std::vector<int> column_;
  std::vector<Labels> items_;                          // of each modality in sample order; -1 is a hole
  std::vector<std::vector<std::int64_t>> first_rows_;  // of each modality
  Labels labels_;
  std::vector<Extractor> extractors_;
  std::vector<FeatureSet> real_features_;  // of each extractor
  std::vector<double> pen_;
  std::optional<Captions> captions_;
  ClipScore clip_;
  Tensor z_, joint_z_;
  Evaluation result_;
};

}  // namespace

MetricChoice parse_metrics(const std::string& names) {
  MetricChoice chosen{.coherence = false, .quality = false};
  for (std::size_t first = 0; first <= names.size();) {
    const std::size_t end = std::min(names.find(',', first), names.size());
    const std::string name = names.substr(first, end - first);
    first = end + 1;
    const auto metric = std::ranges::find(kMetrics, name, &Metric::name);
    MLD_CHECK_AS(ErrorKind::usage, metric != kMetrics.end() || name == "all", "metrics: '", name,
                 "' is not one of ", join(metric_names({true, true, true, true, true, true})), ", all");
    if (name == "all") chosen.all = true;
    for (const Metric& m : kMetrics)
      if (name == "all" || name == m.name) chosen.*m.chosen = true;
  }
  return chosen;
}

std::vector<std::string> metric_names(const MetricChoice& metrics) {
  std::vector<std::string> names;
  for (const Metric& m : kMetrics)
    if (metrics.*m.chosen) names.emplace_back(m.name);
  return names;
}

void check_metrics(const MetricChoice& metrics, ModelKind kind) {
  MLD_CHECK_AS(
      ErrorKind::usage, !metrics.information || metrics.all || kind != ModelKind::inpaint,
      "metrics: mi, mutual information: an in-painting model has no conditional scores; use kind mld or "
      "uni");
}

std::int64_t samples_used(const data::Split& split, const EvaluationOptions& options) {
  return options.samples > 0 ? std::min(options.samples, split.num_samples()) : split.num_distinct();
}

Evaluation evaluate(const Model& model, const data::Store& store, const EvaluationOptions& options,
                    const EvaluationProgress& progress) {
  return Evaluator(model, store, options, progress).run();
}

}  // namespace mld
