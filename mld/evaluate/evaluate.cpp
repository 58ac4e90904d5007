#include "mld/evaluate/evaluate.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <optional>

#include "engine/base/names.h"
#include "engine/io/file_error.h"
#include "mld/config/hashes.h"
#include "mld/config/seed.h"
#include "mld/evaluate/captions.h"
#include "mld/evaluate/choice/evaluation_rows.h"
#include "mld/evaluate/choice/given_sets.h"
#include "mld/evaluate/choice/row_draw.h"
#include "mld/evaluate/evaluate_information.h"
#include "mld/evaluate/latent_metrics.h"
#include "mld/evaluate/networks/weights.h"
#include "mld/evaluate/pen.h"
#include "mld/evaluate/quality.h"
#include "mld/run/model_data.h"

namespace mld {
namespace {

constexpr std::int64_t kNeighbours = 1000;  // samples whose nearest training item is looked for
constexpr std::int64_t kConditions = 100;   // that diversity draws for

using Labels = EvaluationRows::Labels;

// Values of the modalities for rows [first, first + n) of those evaluated; a hole is zeros.
struct Rows {
  std::int64_t first = 0, n = 0;
  std::vector<Tensor> values;
};

// 0, 1, ..
Labels numbers(std::int64_t n) {
  Labels out(static_cast<std::size_t>(n));
  std::iota(out.begin(), out.end(), 0);
  return out;
}

// Of each modality of the model its place in the store, which must hold its data.
std::vector<int> columns_of(const Model& model, const data::Store& store) {
  check_model_data(model, store);
  std::vector<int> columns;
  for (int i = 0; i < model.modalities(); ++i)
    columns.push_back(store.description().modality(model.modality(i).name));
  return columns;
}

class Evaluator {
 public:
  Evaluator(const Model& model, const data::Store& store, const EvaluationOptions& options,
            const EvaluationProgress& progress)
      : model_(model),
        store_(store),
        split_(evaluated_split(store, options.split)),
        options_(options),
        progress_(progress),
        column_(columns_of(model, store)),
        rows_(split_, column_, options.samples),
        given_sets_(parse_given_sets(options.given_sets, model.names())),
        pen_(PenPair::find(model)) {
    check_metrics(options.metrics, model.config().model.kind);
    weights_folder(options.weights);  // checked even where no network is wanted
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
      for (const Subset given : given_sets_) {
        if (metrics.coherence || metrics.quality) generate(given);
        if (metrics.diversity) diversity(given);
      }
      if (metrics.robustness) robustness();
      if (metrics.memorisation) memorisation();
      if (metrics.information)
        evaluate_information(model_, rows_, z_, options_.sampling.seed, teller(), result_);
    }
    result_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return std::move(result_);
  }

 private:
  void describe() {
    const Config& config = model_.config();
    Evaluation& e = result_;
    e.kind = mld::name_of(config.model.kind);
    e.preset = config.preset;
    e.dataset = store_.description().name;
    e.config_hash = score_hash(config);
    e.settings = settings_beyond_preset(config, model_.dataset());
    e.model_seed = config.seed;
    e.d = config.score.d;
    e.parameters = model_.parameters();
    e.ema = config.score.ema > 0;
    e.modalities = model_.names();
    for (int i = 0; i < model_.modalities(); ++i)
      e.classifier_hash.push_back(model_.has_classifier(i) ? model_.classifier_hash(i) : "");
    e.classifier_recipe = classifiers_hash(config);
    e.metrics = metric_names(options_.metrics);
    e.weights_hash = model_.weights_hash();
    describe_data();
    e.clusters = rows_.clusters(full_set(model_.modalities()));
    if (!model_.has_score()) note("the run has no score network yet: only classifiers and autoencoders");
    for (const std::string& line : model_.remarks()) note(line);
    describe_sets();
    e.sampling = options_.sampling;
  }

  void describe_data() {
    Evaluation& e = result_;
    e.split = options_.split;
    e.samples = rows_.count();
    e.distinct = rows_.distinct();
    e.drawn = is_drawn(split_, options_.samples);
    e.of_classes = rows_.of_classes(model_.dataset().classes);
    e.unlabelled = std::ranges::count_if(rows_.labels(), [](std::int32_t label) { return label < 0; });
    e.fingerprint = store_.description().fingerprint;
    if (const std::string trained = model_.dataset().fingerprint; !trained.empty() && !e.fingerprint.empty())
      e.trained_on = trained == e.fingerprint;
    if (e.trained_on == false) note("the store is not the one that the model was trained on");
    if (options_.samples > e.samples)
      note(cat("N = ", e.samples, ", all there are: ", options_.samples, " samples were asked for"));
    if (e.samples > split_.num_distinct())
      note(cat("N = ", e.samples, " goes beyond the first pairing (", split_.num_distinct(),
               "): intervals of coherence take samples of one item for independent"));
    if (options_.metrics.coherence && !rows_.labelled() && has_classifiers())
      note("no sample has a label: coherence with labels is left out, joint coherence needs none");
  }

  void describe_sets() {
    if (!options_.generate) return;
    const int modalities = model_.modalities();
    result_.given_sets = given_set_names(given_sets_, result_.modalities);
    if (options_.given_sets.empty() && !result_.given_sets.empty())
      note(cat(modalities, " modalities: generated from each one and from all but one, ", given_sets_.size(),
               " of ", (1 << modalities) - 2, " sets; --given-sets all, or sizes or names, chooses others"));
  }

  bool has_classifiers() const {
    for (int i = 0; i < model_.modalities(); ++i)
      if (model_.has_classifier(i)) return true;
    return false;
  }

  template <class F>  // f(Rows)
  void each_chunk(const std::string& what, F f) {
    for (std::int64_t first = 0; first < rows_.count(); first += kMeasuredTogether) {
      tell(what, first, rows_.count());
      Rows rows{first, std::min(kMeasuredTogether, rows_.count() - first), {}};
      for (int i = 0; i < model_.modalities(); ++i) {
        const ItemBatch batch = make_item_batch(model_.info(i), rows.n);
        fill_items(split_, column_[static_cast<std::size_t>(i)], model_.info(i),
                   std::span(rows_.items(i))
                       .subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(rows.n)),
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
    for (const std::int64_t k : complete(rows, needed))
      set.add(features.rows(k, 1).span<float>(), items.subspan(static_cast<std::size_t>(rows.first + k), 1));
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
                     rows_.distinct(extractor.modality),
                     feature_distance(real, made)};
    const std::int64_t fewest = std::min({cell.distinct, cell.distance.real, cell.distance.made});
    if (fewest <= cell.distance.dim)
      note(extractor.metric + " of " + result_.modalities[static_cast<std::size_t>(extractor.modality)] +
           ": fewer different samples than features (" + std::to_string(fewest) + " <= " +
           std::to_string(cell.distance.dim) + "), the covariance is singular; rely on the kernel distance");
    result_.quality.push_back(std::move(cell));
  }

  void note(const std::string& text) { result_.note(text); }

  // Real items: classifiers, autoencoders, the real side of every distance, the latents to condition on.
  void measure_real() {
    const int modalities = model_.modalities();
    std::vector<Labels> of_real(static_cast<std::size_t>(modalities)), of_self = of_real;
    for (const Extractor& e : extractors_) real_features_.emplace_back(e.dim);
    std::vector<FeatureSet> self_features = real_features_;
    if (options_.generate) z_ = Tensor::zeros({rows_.count(), model_.layout().total});
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
          add_features(extractors_[e], x, rows, Subset{1} << i, rows_.first_rows(i), real_features_[e]);
          if (again.defined())
            add_features(extractors_[e], again, rows, Subset{1} << i, rows_.first_rows(i), self_features[e]);
        }
        if (z_.defined()) model_.set_latent_slice(z_.rows(rows.first, rows.n), i, model_.encode(i, x));
      }
      if (pen_ && options_.metrics.coherence) pen_->add(rows.values, complete(rows, full_set(modalities)));
      add_captions(rows.values, rows, full_set(modalities));
    });
    finish_pen("real");
    finish_captions(true, full_set(modalities));
    for (int i = 0; i < modalities; ++i) {
      const auto k = static_cast<std::size_t>(i);
      const Labels labels = rows_.labels_of_items(i);
      add_cell(result_.classifier, Subset{1} << i, i, of_real[k], labels);
      add_cell(result_.self, Subset{1} << i, i, of_self[k], labels);
    }
    for (std::size_t e = 0; e < extractors_.size(); ++e)
      if (self_features[e].count() > 0)
        add_quality(extractors_[e], Subset{1} << extractors_[e].modality, self_features[e]);
  }

  // Coherence of what was read where anything was; no number where no label says what is right.
  bool add_cell(std::vector<CoherenceCell>& cells, Subset given, int target, const Labels& predicted,
                const Labels& labels) {
    if (predicted.empty()) return false;
    const Proportion p = agreement(predicted, labels);
    if (p.n > 0)
      cells.push_back({given, target, p});
    else if (rows_.labelled())
      note(cat("coherence given ", subset_name(given, result_.modalities),
               " is left out: no labelled sample has it"));
    return p.n > 0;
  }

  static void append(Labels& all, const Labels& more) { all.insert(all.end(), more.begin(), more.end()); }

  // One draw for each row of z, given its slices.
  Tensor draw_latents(const std::string& what, Subset given, const Tensor& z,
                      std::span<const std::int32_t> ids, const std::string& stream) {
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
    const Tensor z = draw_latents(what, given, z_, rows_.ids(), "evaluate/");
    if (given == 0 && options_.metrics.memorisation) joint_z_ = rows_of(z, neighbours());
    std::vector<Labels> predicted(static_cast<std::size_t>(model_.modalities()));
    std::vector<FeatureSet> made;
    for (const Extractor& e : extractors_) made.emplace_back(e.dim);
    const std::vector<std::int64_t> items = rows_.clusters(given);
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
      if (pen_ && options_.metrics.coherence &&
          !(contains(given, pen_->image()) && contains(given, pen_->path())))
        pen_->add(values, complete(rows, given));
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
      const Labels labels = rows_.labels_with(given);
      for (int i = 0; i < model_.modalities(); ++i)
        if (const Labels& read = predicted[static_cast<std::size_t>(i)];
            add_cell(result_.conditional, given, i, read, labels))
          result_.outcomes.push_back(agreements(read, labels));
      return;
    }
    const auto missing = std::erase_if(predicted, [](const Labels& labels) { return labels.empty(); });
    if (options_.metrics.coherence && missing > 0)
      note(predicted.empty()      ? "coherence is left out: the run has no classifiers"
           : predicted.size() < 2 ? "joint coherence is left out: only one modality has a classifier"
                                  : cat("joint coherence is that of the ", predicted.size(),
                                        " modalities that have classifiers"));
    if (predicted.size() > 1) {
      result_.joint = joint_coherence(predicted, static_cast<int>(model_.dataset().classes));
      result_.outcomes.push_back(result_.joint.equal);
    }
  }

  void diversity(Subset given) {
    const std::vector<std::int64_t> conditions = rows_.draw(given, kConditions, "conditions");
    if (conditions.size() < 2) return note("diversity is left out where fewer than 2 samples can be given");
    const auto cells = latent_diversity(model_, given, rows_of(z_, conditions), [&](const Tensor& z) {
      return draw_latents("diversity " + name_of(given), given, z, numbers(z.shape()[0]), "diversity/");
    });
    result_.diversity.insert(result_.diversity.end(), cells.begin(), cells.end());
  }

  void robustness() {
    std::vector<Labels> labels;
    for (int i = 0; i < model_.modalities(); ++i) labels.push_back(rows_.labels_with(Subset{1} << i));
    result_.robustness =
        latent_robustness(model_, z_, labels, stage_seed(options_.sampling.seed, "robustness"), teller());
    if (!rows_.labelled()) note("robustness is left out: no sample has a label");
  }

  // Of whose latents the nearest training items are looked for.
  std::vector<std::int64_t> neighbours() const { return rows_.draw(0, kNeighbours, "neighbours"); }

  void memorisation() {
    if (options_.split == "train" || !store_.has_split("train"))
      return note("memorisation is left out: it compares a held-out split with the split 'train'");
    const std::vector<std::int64_t> unseen = neighbours();
    std::vector<std::vector<std::int64_t>> there(static_cast<std::size_t>(model_.modalities()));
    for (int i = 0; i < model_.modalities(); ++i)
      for (std::int64_t k = 0; k < std::ssize(unseen); ++k)
        if (rows_.has_all(Subset{1} << i, unseen[static_cast<std::size_t>(k)]))
          there[static_cast<std::size_t>(i)].push_back(k);
    result_.memorisation = latent_memorisation(model_, store_.split("train"), column_, joint_z_,
                                               rows_of(z_, unseen), there, teller());
  }

  // Rows of a chunk that have everything in `needed`, by their place in it.
  std::vector<std::int64_t> complete(const Rows& rows, Subset needed) const {
    std::vector<std::int64_t> keep;
    for (std::int64_t k = 0; k < rows.n; ++k)
      if (rows_.has_all(needed, rows.first + k)) keep.push_back(k);
    return keep;
  }

  void finish_pen(const std::string& how) {
    if (!pen_) return;
    if (const auto agreement = pen_->take(how)) result_.pen.push_back(*agreement);
  }

  void add_captions(const std::vector<Tensor>& values, const Rows& rows, Subset needed) {
    if (!captions_) return;
    captions_->add(values[static_cast<std::size_t>(captions_->image())],
                   values[static_cast<std::size_t>(captions_->caption())], complete(rows, needed), clip_);
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
  std::vector<int> column_;
  EvaluationRows rows_;
  std::vector<Subset> given_sets_;
  std::vector<Extractor> extractors_;
  std::vector<FeatureSet> real_features_;  // of each extractor
  std::optional<PenPair> pen_;
  std::optional<Captions> captions_;
  ClipScore clip_;
  Tensor z_, joint_z_;
  Evaluation result_;
};

}  // namespace

const data::Split& evaluated_split(const data::Store& store, const std::string& name) {
  const bool there = store.has_split(name) && store.split(name).num_samples() > 0;
  if (!there) {
    std::vector<std::string> names;
    for (const data::Split& split : store.splits())
      if (split.num_samples() > 0) names.push_back(split.name());
    fail(ErrorKind::usage, store.path().string(), ": has no ", store.has_split(name) ? "samples in " : "",
         "split ", quote(name), "; it has ", join(names), ": choose one with --split, as --split ",
         names.front());
  }
  return store.split(name);
}

std::int64_t samples_used(const data::Split& split, const EvaluationOptions& options) {
  return options.samples > 0 ? std::min(options.samples, split.num_samples()) : split.num_distinct();
}

Evaluation evaluate(const Model& model, const data::Store& store, const EvaluationOptions& options,
                    const EvaluationProgress& progress) {
  return Evaluator(model, store, options, progress).run();
}

}  // namespace mld
