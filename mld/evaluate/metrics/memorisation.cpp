// Memorisation: how near jointly generated latents are to those of the items that were trained on, beside how
// near real, unseen ones are.
#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/base/statistics.h"
#include "engine/ops/ops.h"
#include "mld/evaluate/context.h"

namespace mld {
namespace {

using namespace shown;

constexpr std::int64_t kNeighbours = 1000;  // samples whose nearest training item is looked for

// Squared distance of each row of a to the nearest row of b.
std::vector<double> nearest(const Tensor& a, const Tensor& b) {
  const std::int64_t n = a.shape()[0], dim = a.shape()[1];
  const auto norm = [&](const Tensor& t, std::int64_t row) {
    double sum = 0;
    for (std::int64_t j = 0; j < dim; ++j)
      sum += std::pow(static_cast<double>(t.data<float>()[row * dim + j]), 2);
    return sum;
  };
  std::vector<double> best(static_cast<std::size_t>(n), std::numeric_limits<double>::infinity());
  for (std::int64_t first = 0; first < b.shape()[0]; first += kMeasuredTogether) {
    const Tensor part = b.rows(first, std::min(kMeasuredTogether, b.shape()[0] - first));
    const Tensor products = matmul(a, part, false, true).value;
    for (std::int64_t k = 0; k < part.shape()[0]; ++k) {
      const double norm_b = norm(part, k);
      for (std::int64_t i = 0; i < n; ++i) {
        double& d = best[static_cast<std::size_t>(i)];
        d = std::min(d, norm_b - 2 * static_cast<double>(products.data<float>()[i * part.shape()[0] + k]));
      }
    }
  }
  for (std::int64_t i = 0; i < n; ++i) best[static_cast<std::size_t>(i)] += norm(a, i);
  return best;
}

double mean_root(const std::vector<double>& squares) {
  Moments roots;
  for (const double v : squares) roots.add(std::sqrt(std::max(0.0, v)));
  return roots.mean();
}

class MemorisationMeasure : public Measure {
 public:
  using Measure::Measure;

  void drawn(Subset given, const Tensor& z) override {
    if (given == 0) generated_ = rows_of(z, looked_at());
  }

  void finish() override {
    if (context_.options.split == "train" || !context_.store.has_split("train"))
      return context_.note("memorisation is left out: it compares a held-out split with the split 'train'");
    for (int i = 0; i < context_.model.modalities(); ++i) of(i);
  }

 private:
  std::vector<std::int64_t> looked_at() const { return context_.rows.draw(0, kNeighbours, "neighbours"); }

  void of(int i) {
    const Model& model = context_.model;
    std::vector<std::int64_t> unseen = looked_at();
    std::erase_if(unseen, [&](std::int64_t row) { return !context_.rows.has_all(Subset{1} << i, row); });
    if (unseen.empty()) return;
    const data::Split& train = context_.store.split("train");
    const int column = context_.columns[static_cast<std::size_t>(i)];
    const Tensor seen = map_items(
        train, column, model.info(i), kMeasuredTogether, model.layout().dims[static_cast<std::size_t>(i)],
        [&](std::int64_t first, const Tensor& x) {
          context_.tell("training items of " + model.modality(i).name, first, train.num_items(column));
          return model.encode(i, x);
        });
    const auto made = nearest(model.layout().slice(generated_, i), seen);
    auto real = nearest(model.layout().slice(rows_of(context_.z, unseen), i), seen);
    MemorisationCell cell{i, mean_root(made), mean_root(real), {}};
    std::sort(real.begin(), real.end());
    const double close = real[real.size() / 100];
    cell.closer = Proportion{std::ranges::count_if(made, [&](double v) { return v < close; }),
                             static_cast<std::int64_t>(made.size())};
    context_.result.memorisation.push_back(cell);
  }

  Tensor generated_;  // latents [n,D]
};

std::unique_ptr<Measure> start(EvaluationContext& context) {
  return std::make_unique<MemorisationMeasure>(context);
}

std::string table(const Evaluation& e) {
  std::string rows;
  for (const auto& c : e.memorisation)
    rows += row(e.name(c.target), format("%6.3f %6.3f   %.3f", c.generated, c.real, c.closer.value));
  return under("Distance to the nearest training item (generated, real; share closer than 1 % of real)",
               rows);
}

std::vector<Section> sections(const Evaluation& e) {
  Table memory{"Memorisation: distance of joint samples to the nearest training item, in latents",
               {{"Target"},
                {"Generated", true},
                {"Real, unseen", true},
                {"Closer than 1 % of real", true},
                {"N", true}},
               {}};
  for (const auto& c : e.memorisation)
    memory.rows.push_back(
        {e.name(c.target), number(c.generated), number(c.real), percent(c.closer.value), count(c.closer.n)});
  return {{"Diversity and memorisation", {std::move(memory)}}};
}

}  // namespace

extern constinit const Metric kMemorisation{.name = "memorisation",
                                            .samples = Metric::Samples::joint,
                                            .latents = true,
                                            .start = start,
                                            .table = table,
                                            .sections = sections};

}  // namespace mld
