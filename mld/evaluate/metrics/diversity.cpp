// Diversity of conditional samples: how much of the spread of generated latents remains among ten draws for
// one condition.
#include <numeric>

#include "engine/base/statistics.h"
#include "mld/evaluate/context.h"

namespace mld {
namespace {

using namespace shown;

constexpr std::int64_t kConditions = 100;  // at most, of each set
constexpr std::int64_t kDraws = 10;        // for each condition

// Unbiased, summed over the columns.
double variance(const Tensor& x) {
  const std::int64_t rows = x.shape()[0], dim = x.shape()[1];
  double total = 0;
  for (std::int64_t j = 0; j < dim; ++j) {
    Moments column;
    for (std::int64_t k = 0; k < rows; ++k) column.add(static_cast<double>(x.data<float>()[k * dim + j]));
    total += column.variance();
  }
  return total;
}

class DiversityMeasure : public Measure {
 public:
  using Measure::Measure;

  void given(Subset set) override {
    const Model& model = context_.model;
    const std::vector<std::int64_t> conditions = context_.rows.draw(set, kConditions, "conditions");
    const std::int64_t count = std::ssize(conditions);
    if (count < 2) return context_.note("diversity is left out where fewer than 2 samples can be given");
    std::vector<std::int64_t> repeated;
    for (const std::int64_t row : conditions) repeated.insert(repeated.end(), kDraws, row);
    std::vector<std::int32_t> ids(repeated.size());
    std::iota(ids.begin(), ids.end(), 0);
    const Tensor drawn = context_.draw("diversity " + context_.name_of(set), set,
                                       rows_of(context_.z, repeated), ids, "diversity/");
    for (int i = 0; i < model.modalities(); ++i) {
      if (contains(set, i)) continue;
      const Tensor part = model.layout().slice(drawn, i);
      double within = 0;
      for (std::int64_t c = 0; c < count; ++c)
        within += variance(part.rows(c * kDraws, kDraws)) / static_cast<double>(count);
      const double all = variance(part);
      context_.result.diversity.push_back({set, i, all > 0 ? within / all : 0, kDraws, count});
    }
  }
};

std::unique_ptr<Measure> start(EvaluationContext& context) {
  return std::make_unique<DiversityMeasure>(context);
}

std::string table(const Evaluation& e) {
  std::string rows;
  for (const auto& c : e.diversity) rows += row(e.arrow(c.given, c.target), format("%6.3f", c.ratio));
  return under("Diversity (0: draws for one condition are alike, 1: the condition does not matter)", rows);
}

std::vector<Section> sections(const Evaluation& e) {
  Table draws{
      "Diversity of conditionals: 0, all draws for one condition are alike; 1, the condition does not matter",
      {{"Generated from"}, {"Target"}, {"Ratio", true}, {"Draws", true}, {"Conditions", true}},
      {}};
  for (const auto& c : e.diversity)
    draws.rows.push_back({source(e, c.given, c.target), e.name(c.target), number(c.ratio), count(c.draws),
                          count(c.conditions)});
  return {{"Diversity and memorisation", {std::move(draws)}}};
}

}  // namespace

extern constinit const Metric kDiversity{
    .name = "diversity", .latents = true, .start = start, .table = table, .sections = sections};

}  // namespace mld
