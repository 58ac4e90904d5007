// How likely real samples are to a model that has a density: importance sampling, of all modalities from the
// posterior given all of them and given each set, and of each modality alone from its own posterior.
#include <cmath>

#include "engine/base/statistics.h"
#include "mld/config/seed.h"
#include "mld/evaluate/context.h"
#include "mld/methods/vae/likelihood.h"
#include "mld/modality/item_feed.h"

namespace mld {
namespace {

using namespace shown;

constexpr std::int64_t kLikelihoodSamples = 500;  // rows, at most
constexpr std::int64_t kDraws = 200;              // of each row: K

std::string refusal(const Answers& answers) { return answers.no_likelihood; }

class LikelihoodMeasure : public Measure {
 public:
  using Measure::Measure;

  void finish() override {
    const std::string why = context_.model.method().answers().no_likelihood;
    if (!why.empty()) return context_.note("likelihood is left out: " + why);
    const Subset all = full_set(context_.model.modalities());
    rows_ = context_.rows.draw(all, kLikelihoodSamples, "likelihood");
    if (rows_.empty()) return context_.note("likelihood is left out: no complete samples");
    gather();
    std::vector<std::pair<Subset, Subset>> cells{{all, all}};
    for (const Subset given : context_.given_sets)
      if (given != all) cells.emplace_back(all, given);
    for (int i = 0; i < context_.model.modalities(); ++i)
      if (all != Subset{1} << i) cells.emplace_back(Subset{1} << i, Subset{1} << i);
    for (const auto& [of, given] : cells)
      context_.result.likelihood.push_back(cell(of, given, std::ssize(cells)));
  }

 private:
  void gather() {
    const Method& method = context_.model.method();
    codes_ = Tensor::zeros({std::ssize(rows_), method.codes().total});
    for (int i = 0; i < context_.model.modalities(); ++i) {
      std::vector<std::int32_t> items;
      for (const std::int64_t row : rows_) {
        items.push_back(context_.rows.items(i)[static_cast<std::size_t>(row)]);
        if (i == 0) ids_.push_back(context_.rows.ids()[static_cast<std::size_t>(row)]);
      }
      const int column = context_.columns[static_cast<std::size_t>(i)];
      x_.push_back(gather_items(context_.split, column, context_.store.modality(column), items));
      method.codes().set_slice(codes_, i, method.encode(i, x_.back()));
    }
  }

  LikelihoodCell cell(Subset of, Subset given, std::int64_t cells) const {
    const auto before = std::ssize(context_.result.likelihood) * kDraws;
    vae::LogMeanExp weights(rows_.size());
    for (std::int64_t k = 0; k < kDraws; ++k) {
      context_.tell("likelihood", before + k, cells * kDraws);
      const std::string stream =
          cat("likelihood/", context_.result.names(of), "/", context_.result.names(given), "/", k);
      weights.add(context_.model.method().log_weights(of, given, x_, codes_, ids_,
                                                      stage_seed(context_.options.sampling.seed, stream)));
    }
    Moments nats, effective;
    for (const double v : weights.result()) nats.add(v);
    for (const double v : weights.effective()) effective.add(v);
    return {of, given, nats.mean(), nats.standard_error(), effective.mean(), kDraws, std::ssize(rows_)};
  }

  std::vector<std::int64_t> rows_;  // of those evaluated
  std::vector<std::int32_t> ids_;
  std::vector<Tensor> x_;
  Tensor codes_;
};

std::unique_ptr<Measure> start(EvaluationContext& context) {
  return std::make_unique<LikelihoodMeasure>(context);
}

std::string table(const Evaluation& e) {
  std::string rows;
  for (const auto& c : e.likelihood)
    rows +=
        row(e.names(c.of) + (c.of == c.given ? "" : ", drawn given " + e.names(c.given)),
            format("%10.2f ", c.nats) + (std::isnan(c.error) ? "of one sample" : format("+- %.2f", c.error)) +
                format("   %6.1f", c.effective));
  if (rows.empty()) return "";
  return cat("Log likelihood, nats (K = ", e.likelihood.front().draws, " draws, N = ", e.likelihood.front().n,
             "; draws that count)\n", rows);
}

std::vector<Section> sections(const Evaluation& e) {
  Table found{
      "Importance-sampled log likelihood of real samples, nats: a lower bound, and the tighter the more "
      "draws count",
      {{"Of"},
       {"Drawn given"},
       {"Log likelihood", true},
       {"Draws that count", true},
       {"K", true},
       {"N", true}},
      {}};
  for (const auto& c : e.likelihood)
    found.rows.push_back({names(e, c.of), names(e, c.given), with_error(c.nats, c.error), number(c.effective),
                          count(c.draws), count(c.n)});
  return {{"Likelihood", {std::move(found)}}};
}

}  // namespace

extern constinit const Metric kLikelihood{
    .name = "likelihood", .refusal = refusal, .start = start, .table = table, .sections = sections};

}  // namespace mld
