// Quality: distances of features of what is generated from those of real items (docs/method.md section 18.2), and
// the similarity of images and captions (docs/method.md section 18.3).
#include <algorithm>
#include <cmath>

#include "mld/evaluate/context.h"
#include "mld/evaluate/networks/captions.h"
#include "mld/evaluate/networks/extractors.h"

namespace mld {
namespace {

using namespace shown;

class QualityMeasure : public Measure {
 public:
  explicit QualityMeasure(EvaluationContext& context)
      : Measure(context),
        extractors_(make_extractors(context.model, context.options.weights, context.options.sampling.seed,
                                    context.result.notes)),
        captions_(
            Captions::find(context.model, context.store, context.options.weights, context.result.notes)),
        real_(empty_sets()),
        made_(empty_sets()) {}

  void real(const Chunk& chunk) override {
    for (std::size_t e = 0; e < extractors_.size(); ++e) {
      const int i = extractors_[e].modality;
      const auto items = context_.rows.first_rows(i);
      add(e, chunk.values[static_cast<std::size_t>(i)], chunk, Subset{1} << i, items, real_[e]);
      if (const Tensor& again = chunk.again[static_cast<std::size_t>(i)]; again.defined())
        add(e, again, chunk, Subset{1} << i, items, made_[e]);
    }
    add_captions(full_set(context_.model.modalities()), chunk);
  }

  void real_done() override {
    finish_captions(context_.result.clip_reference, full_set(context_.model.modalities()));
    for (std::size_t e = 0; e < extractors_.size(); ++e)
      add_distance(e, Subset{1} << extractors_[e].modality);
    made_ = empty_sets();
  }

  void generated(Subset given, const Chunk& chunk) override {
    const std::vector<std::int64_t> items = context_.rows.clusters(given);
    for (std::size_t e = 0; e < extractors_.size(); ++e)
      if (const Tensor& made = chunk.made(given, extractors_[e].modality); made.defined())
        add(e, made, chunk, given, items, made_[e]);
    if (captions_ && !(contains(given, captions_->image()) && contains(given, captions_->caption())))
      add_captions(given, chunk);
  }

  void generated_done(Subset given) override {
    finish_captions(context_.result.clip_score, given);
    for (std::size_t e = 0; e < extractors_.size(); ++e) add_distance(e, given);
    made_ = empty_sets();
  }

 private:
  std::vector<FeatureSet> empty_sets() const {
    std::vector<FeatureSet> sets;
    for (const Extractor& e : extractors_) sets.emplace_back(e.dim);
    return sets;
  }

  // Adds the features of the rows that have everything in `needed`, which the values were made from.
  void add(std::size_t e, const Tensor& values, const Chunk& chunk, Subset needed,
           std::span<const std::int64_t> items, FeatureSet& set) const {
    const Tensor features = extractors_[e].features(values, chunk.first);
    for (const std::int64_t k : context_.complete(chunk, needed))
      set.add(features.rows(k, 1).span<float>(), items.subspan(static_cast<std::size_t>(chunk.first + k), 1));
  }

  void add_distance(std::size_t e, Subset given) {
    const FeatureSet &real = real_[e], &made = made_[e];
    if (made.count() == 0) return;
    const Extractor& extractor = extractors_[e];
    const auto few = [](const FeatureSet& set) { return std::ssize(set.rows()) < 4 * set.dim(); };
    if (few(real) || few(made))
      return context_.note("quality is left out where fewer than 4 different items are to compare");
    QualityCell cell{given,
                     extractor.modality,
                     extractor.metric,
                     extractor.name,
                     extractor.hash,
                     context_.rows.distinct(extractor.modality),
                     feature_distance(real, made)};
    const std::int64_t fewest = std::min({cell.distinct, cell.distance.real, cell.distance.made});
    if (fewest <= cell.distance.dim)
      context_.note(cat(extractor.metric, " of ", context_.result.name(extractor.modality),
                        ": fewer different samples than features (", fewest, " <= ", cell.distance.dim,
                        "), the covariance is singular; rely on the kernel distance"));
    context_.result.quality.push_back(std::move(cell));
  }

  void add_captions(Subset needed, const Chunk& chunk) {
    if (!captions_) return;
    captions_->add(chunk.values[static_cast<std::size_t>(captions_->image())],
                   chunk.values[static_cast<std::size_t>(captions_->caption())],
                   context_.complete(chunk, needed), clip_);
  }

  void finish_captions(std::vector<ClipCell>& cells, Subset given) {
    if (captions_ && clip_.count() > 1)
      cells.push_back({given, clip_.value(), clip_.standard_error(), clip_.count(), captions_->hash()});
    clip_ = ClipScore();
  }

  std::vector<Extractor> extractors_;
  std::optional<Captions> captions_;
  std::vector<FeatureSet> real_, made_;  // of each extractor; made: of the samples that are looked at
  ClipScore clip_;
};

std::unique_ptr<Measure> start(EvaluationContext& context) {
  return std::make_unique<QualityMeasure>(context);
}

std::string distance_text(const QualityCell& q) {
  const FeatureDistance& d = q.distance;
  std::string text = q.metric + format(" %9.4f", d.frechet);
  if (d.low) text += format(" [%.4f, %.4f]", *d.low, *d.high);
  text += format("   KID %.3g +- %.1g", d.kernel.value, d.kernel.error);
  return d.real_halves ? text + format("   real halves %.4f", *d.real_halves) : text;
}

std::string table(const Evaluation& e) {
  std::string distances, clip;
  for (const auto& q : e.quality) distances += row(e.arrow(q.given, q.target), distance_text(q));
  const auto add = [&](const std::string& name, const ClipCell& c) {
    clip += row(name, format("%6.4f +- %.4f", c.value, c.error));
  };
  for (const auto& c : e.clip_reference) add("real pairs", c);
  for (const auto& c : e.clip_score) add(c.given == 0 ? "joint" : "given " + e.names(c.given), c);
  return under("Quality (distance from real samples; lower is better)", distances) + under("CLIP-S", clip);
}

Table distances(const Evaluation& e) {
  Table out{"Distance from real samples; lower is better",
            {{"Generated from"},
             {"Target"},
             {"Metric"},
             {"Distance", true},
             {"95 % interval"},
             {"Real halves", true},
             {"KID"},
             {"N real (distinct)", true},
             {"N made", true},
             {"Extractor, features, hash"}},
            {}};
  for (const auto& q : e.quality) {
    const FeatureDistance& d = q.distance;
    const auto text = [](const std::optional<double>& v, int digits) {
      return number(v.value_or(record::kNoNumber), digits);
    };
    out.rows.push_back({source(e, q.given, q.target), e.name(q.target), q.metric, number(d.frechet, 4),
                        d.low ? cat(text(d.low, 4), " … ", text(d.high, 4)) : "", text(d.real_halves, 3),
                        with_error(d.kernel.value, d.kernel.error),
                        cat(count(d.real), " (", count(q.distinct), ")"), count(d.made),
                        cat(q.extractor, ", ", count(d.dim), ", ", q.hash)});
  }
  return out;
}

std::vector<Section> sections(const Evaluation& e) {
  Section out{"Quality", {distances(e)}};
  if (!e.quality.empty())
    out.parts.emplace_back(
        Remark{"Distances compare only where extractor, hash and numbers of samples are the same. CFD is the "
               "distance on the features of this run's own classifier; it is no FID. Real halves: the "
               "distance between two disjoint halves of the real samples."});
  Table clip{"CLIP-S: similarity of an image and the caption beside it",
             {{"Pairs"}, {"CLIP-S", true}, {"N", true}, {"Hash of CLIP"}},
             {}};
  const auto add = [&](const std::string& pairs, const ClipCell& c) {
    clip.rows.push_back({pairs, with_error(c.value, c.error), count(c.n), c.hash});
  };
  for (const auto& c : e.clip_reference) add("real", c);
  for (const auto& c : e.clip_score) add(source(e, c.given, -1), c);
  out.parts.emplace_back(std::move(clip));
  Table pen{"Pen-image agreement: intersection over union of the drawn path with the image beside it",
            {{"Pairs"}, {"Mean", true}, {"N", true}},
            {}};
  for (const auto& p : e.pen) pen.rows.push_back({p.how, with_error(p.mean, p.error), count(p.n)});
  out.parts.emplace_back(std::move(pen));
  return {std::move(out)};
}

}  // namespace

extern constinit const Metric kQuality{.name = "quality",
                                       .by_default = true,
                                       .samples = Metric::Samples::every,
                                       .start = start,
                                       .table = table,
                                       .sections = sections};

}  // namespace mld
