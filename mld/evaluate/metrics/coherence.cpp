// Coherence: whether classifiers read the given class, and one class in all modalities, with the ceilings that
// bound it; and of models that draw digits whether the path follows the image.
#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "data/pictures/render.h"
#include "data/text/attributes.h"
#include "engine/base/names.h"
#include "engine/base/statistics.h"
#include "mld/evaluate/context.h"

namespace mld {
namespace {

using namespace shown;
using Labels = EvaluationRows::Labels;

// Does a drawn path follow the stroke of the image beside it? Of models that have the two.
class PenPair {
 public:
  // Nothing if the model has no image and drawn path of one digit.
  static std::optional<PenPair> find(const Model& model);

  int image() const { return image_; }
  int path() const { return path_; }
  // Adds the agreement of each pair among values [n, sample...] of all modalities whose row is in `keep`.
  void add(const std::vector<Tensor>& values, const std::vector<std::int64_t>& keep,
           Moments& agreements) const;

 private:
  PenPair() = default;

  int image_ = -1, path_ = -1;
  data::ValueRange original_;  // of the path
};

std::optional<PenPair> PenPair::find(const Model& model) {
  PenPair pair;
  for (int i = 0; i < model.modalities(); ++i) {
    const data::Modality& info = model.info(i);
    if (info.pen_path && info.shape == Shape({data::kTrajectory}) && info.original_range) pair.path_ = i;
    if (info.kind == data::ModalityKind::image &&
        info.shape == Shape({data::kDigitSide, data::kDigitSide, 1}))
      pair.image_ = i;
  }
  if (pair.image_ < 0 || pair.path_ < 0) return std::nullopt;
  pair.original_ = *model.info(pair.path_).original_range;
  return pair;
}

void PenPair::add(const std::vector<Tensor>& values, const std::vector<std::int64_t>& keep,
                  Moments& agreements) const {
  for (const std::int64_t k : keep)
    agreements.add(data::pen_image_agreement(
        values[static_cast<std::size_t>(image_)].rows(k, 1).span<float>(),
        values[static_cast<std::size_t>(path_)].rows(k, 1).span<float>(), original_));
}

// Classes read in samples of a modality in the order of the rows, and of data with attributes their values.
struct Reading {
  Labels classes, values;
};

class CoherenceMeasure : public Measure {
 public:
  explicit CoherenceMeasure(EvaluationContext& context)
      : Measure(context),
        pen_(PenPair::find(context.model)),
        attributes_(context.model.dataset().attributes),
        of_real_(static_cast<std::size_t>(context.model.modalities())),
        of_self_(of_real_),
        predicted_(of_real_) {
    for (const data::Attribute& attribute : attributes_) context.result.attributes.push_back(attribute.name);
  }

  void announce() override {
    bool classifiers = false;
    for (int i = 0; i < context_.model.modalities(); ++i)
      classifiers = classifiers || context_.model.reads(i);
    if (!context_.rows.labelled() && classifiers)
      context_.note("no sample has a label: coherence with labels is left out, joint coherence needs none");
  }

  void real(const Chunk& chunk) override {
    for (int i = 0; i < context_.model.modalities(); ++i) {
      const auto k = static_cast<std::size_t>(i);
      read(i, chunk.values[k], of_real_[k]);
      if (chunk.again[k].defined()) read(i, chunk.again[k], of_self_[k]);
    }
    if (!pen_) return;
    const auto complete = context_.complete(chunk, full_set(context_.model.modalities()));
    pen_->add(chunk.values, complete, agreements_);
    if (chunk.again[static_cast<std::size_t>(pen_->image())].defined() &&
        chunk.again[static_cast<std::size_t>(pen_->path())].defined())
      pen_->add(chunk.again, complete, of_self_agreements_);
  }

  void real_done() override {
    finish_pen("real", agreements_);
    finish_pen("reconstructed", of_self_agreements_);
    for (int i = 0; i < context_.model.modalities(); ++i) {
      const auto k = static_cast<std::size_t>(i);
      const Labels labels = context_.rows.labels_of_items(i);
      const Subset own = Subset{1} << i;
      add_cell(context_.result.classifier, own, i, of_real_[k], labels);
      add_attributes("real", own, i, of_real_[k], labels);
      add_cell(context_.result.self, own, i, of_self_[k], labels);
      add_attributes("reconstructed", own, i, of_self_[k], labels);
    }
  }

  void generated(Subset given, const Chunk& chunk) override {
    for (int i = 0; i < context_.model.modalities(); ++i)
      if (const Tensor& made = chunk.made(given, i); made.defined())
        read(i, made, predicted_[static_cast<std::size_t>(i)]);
    if (pen_ && !(contains(given, pen_->image()) && contains(given, pen_->path())))
      pen_->add(chunk.values, context_.complete(chunk, given), agreements_);
  }

  void generated_done(Subset given) override {
    finish_pen(context_.name_of(given), agreements_);
    if (given == 0)
      count_joint();
    else
      count_conditional(given);
    for (Reading& read : predicted_) read = {};
  }

 private:
  // Appends the classes that are read in values of modality i.
  void read(int i, const Tensor& x, Reading& all) const {
    if (!context_.model.reads(i)) return;
    if (attributes_.empty()) {
      const Labels more = context_.model.classify(i, x);
      all.classes.insert(all.classes.end(), more.begin(), more.end());
      return;
    }
    const Labels more = context_.model.read_attributes(i, x), classes = data::classes_of(more, attributes_);
    all.values.insert(all.values.end(), more.begin(), more.end());
    all.classes.insert(all.classes.end(), classes.begin(), classes.end());
  }

  void add_attributes(const char* how, Subset given, int target, const Reading& read, const Labels& labels) {
    if (read.values.empty()) return;
    const auto right =
        attribute_agreement(read.values, data::values_of_classes(labels, attributes_), attributes_.size());
    if (right.front().n > 0)
      context_.result.attribute_cells.push_back({how, given, target, shares_of(right), right.front().n});
  }

  static std::vector<double> shares_of(const std::vector<Proportion>& proportions) {
    std::vector<double> shares;
    for (const Proportion& p : proportions) shares.push_back(p.value());
    return shares;
  }

  void finish_pen(const std::string& how, Moments& agreements) {
    const Moments all = std::exchange(agreements, {});
    if (all.count() < 2) return;
    context_.result.pen.push_back({how, all.mean(), all.standard_error(), all.count()});
  }

  // Coherence of what was read where anything was; no number where no label says what is right.
  bool add_cell(std::vector<CoherenceCell>& cells, Subset given, int target, const Reading& read,
                const Labels& labels) {
    if (read.classes.empty()) return false;
    const Proportion p = agreement(read.classes, labels);
    if (p.n > 0)
      cells.push_back({given, target, p});
    else if (context_.rows.labelled())
      context_.note(
          cat("coherence given ", context_.result.names(given), " is left out: no labelled sample has it"));
    return p.n > 0;
  }

  void count_conditional(Subset given) {
    const Labels labels = context_.rows.labels_with(given);
    for (int i = 0; i < context_.model.modalities(); ++i)
      if (const Reading& read = predicted_[static_cast<std::size_t>(i)]; contains(given, i)) {
        add_cell(context_.result.self, given, i, read, labels);
        add_attributes("reconstructed", given, i, read, labels);
      } else if (add_cell(context_.result.conditional, given, i, read, labels)) {
        add_attributes("generated", given, i, read, labels);
        context_.result.outcomes.push_back(agreements(read.classes, labels));
      }
  }

  void count_joint() {
    std::vector<Labels> all, values;
    for (const Reading& read : predicted_) {
      if (read.classes.empty()) continue;
      all.push_back(read.classes);
      values.push_back(read.values);
    }
    const auto missing = std::ssize(predicted_) - std::ssize(all);
    if (missing > 0)
      context_.note(all.empty()      ? "coherence is left out: the run has no classifiers"
                    : all.size() < 2 ? "joint coherence is left out: only one modality has a classifier"
                                     : cat("joint coherence is that of the ", all.size(),
                                           " modalities that have classifiers"));
    if (all.size() < 2) return;
    const JointCoherence joint = joint_coherence(all, static_cast<int>(context_.model.dataset().classes));
    context_.result.joint = {joint.all_equal, joint.class_share, joint.entropy};
    context_.result.outcomes.push_back(joint.equal);
    if (!attributes_.empty())
      context_.result.joint_attributes = shares_of(attributes_alike(values, attributes_.size()));
  }

  std::optional<PenPair> pen_;
  Moments agreements_, of_self_agreements_;
  const std::vector<data::Attribute>& attributes_;
  std::vector<Reading> of_real_, of_self_, predicted_;  // of each modality
};

std::unique_ptr<Measure> start(EvaluationContext& context) {
  return std::make_unique<CoherenceMeasure>(context);
}

// A line a set of values of the attributes.
template <class F>
void each_attribute_row(const Evaluation& e, F&& f) {
  if (!e.joint_attributes.empty())
    f(std::string("nothing (joint)"), std::string("all agree"), e.joint_attributes);
  for (const char* how : {"generated", "reconstructed", "real"})
    for (const AttributeCell& c : e.attribute_cells)
      if (c.how == how)
        f(c.how == "generated" || (c.how == "reconstructed" && !e.walks()) ? source(e, c.given, c.target)
                                                                           : c.how,
          e.name(c.target), c.right);
}

std::string attribute_table(const Evaluation& e) {
  std::string rows;
  each_attribute_row(
      e, [&](const std::string& from, const std::string& target, const std::vector<double>& shares) {
        std::string values = format("%6.2f %% ", 100 * mean_share(shares));
        for (const double share : shares) values += format(" %6.2f", 100 * share);
        rows += row(from + " -> " + target, values);
      });
  return under("Attributes that are right, %: mean, " + join(e.attributes), rows);
}

std::string table(const Evaluation& e) {
  std::string out;
  if (!e.classifier.empty()) out += interval_head() + "Ceilings\n";
  for (const auto& c : e.classifier)
    out += row("classifier on real " + e.name(c.target), with_interval(c.coherence));
  std::string again;
  for (const auto& c : e.self)
    if (e.walks())
      out += row("autoencoder of " + e.name(c.target), with_interval(c.coherence));
    else
      again += row(e.arrow(c.given, c.target), with_interval(c.coherence));
  if (!e.joint.class_share.empty()) {
    out += "Joint generation\n" + row("all modalities agree", with_interval(e.joint.all_equal));
    std::string shares;
    constexpr std::size_t kSpeltOut = 20;
    if (e.joint.class_share.size() <= kSpeltOut) {
      for (double share : e.joint.class_share) shares += format("%6.1f", 100 * share);
      out += row("class shares, %", shares);
    }
    out += row("class entropy, nats", format("%6.3f", e.joint.entropy));
  }
  std::string conditional, sizes, pen;
  for (const auto& c : e.conditional)
    conditional += row(e.arrow(c.given, c.target), with_interval(c.coherence));
  for (const LeaveOneOut& l : e.leave_one_out)
    sizes += row(cat("given ", l.size), format("%6.2f %%", 100 * l.value));
  for (const auto& p : e.pen) pen += row(p.how, format("%6.3f +- %.3f", p.mean, p.error));
  out += under("Conditional generation", conditional) + under("What is given, generated again", again);
  if (e.leave_one_out.size() > 1) out += under("Leave-one-out coherence", sizes);
  return out + attribute_table(e) + under("Pen-image agreement (intersection over union)", pen);
}

void add_row(shown::Table& table, const std::string& from, const std::string& target, const Share& share) {
  if (std::isnan(share.value)) return;
  table.rows.push_back({from, target, percent(share.value), interval(share), count(share.n), share});
}

std::vector<Section> sections(const Evaluation& e) {
  const std::vector<Column> columns{{"Generated from"},   {"Target"},  {"Right class", true},
                                    {"95 % interval, %"}, {"N", true}, {"0 to 100 %"}};
  Table generated{"Coherence of what is generated", columns, {}};
  add_row(generated, "nothing (joint)", "all agree", e.joint.all_equal);
  for (const auto& c : e.conditional)
    add_row(generated, source(e, c.given, c.target), e.name(c.target), c.coherence);
  Table ceilings{"Ceilings: what any coherence is bounded by", columns, {}};
  for (const auto& c : e.classifier) add_row(ceilings, "real items", e.name(c.target), c.coherence);
  Table again{"What is given, generated again", columns, {}};
  for (const auto& c : e.self)
    add_row(e.walks() ? ceilings : again, source(e, c.given, c.target), e.name(c.target), c.coherence);
  Section out{"Coherence", {std::move(generated), std::move(ceilings), std::move(again)}};
  if (const auto& shares = e.joint.class_share; !shares.empty())
    out.parts.emplace_back(Bars{cat("Classes of joint samples, %; entropy ", number(e.joint.entropy, 4),
                                    " of ", number(std::log(static_cast<double>(shares.size())), 4), " nats"),
                                "Share of each class among joint samples, in percent; dashed: equal shares",
                                shares});
  Table sizes{"Leave-one-out coherence: mean over targets and over sets of given modalities",
              {{"Given modalities"}, {"Right class", true}},
              {}};
  for (const LeaveOneOut& l : e.leave_one_out) sizes.rows.push_back({cat(l.size), percent(l.value)});
  out.parts.emplace_back(std::move(sizes));
  Table attributes{
      "Attributes that are right, and their mean", {{"Generated from"}, {"Target"}, {"Mean", true}}, {}};
  for (const std::string& name : e.attributes) attributes.columns.push_back({name, true});
  each_attribute_row(
      e, [&](const std::string& from, const std::string& target, const std::vector<double>& shares) {
        std::vector<Cell>& cells = attributes.rows.emplace_back();
        cells = {from, target, percent(mean_share(shares))};
        for (const double share : shares) cells.emplace_back(percent(share));
      });
  out.parts.emplace_back(std::move(attributes));
  return {std::move(out)};
}

}  // namespace

extern constinit const Metric kCoherence{.name = "coherence",
                                         .by_default = true,
                                         .samples = Metric::Samples::every,
                                         .start = start,
                                         .table = table,
                                         .sections = sections};

}  // namespace mld
