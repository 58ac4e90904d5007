#include "mld/evaluate/latent_metrics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/ops/ops.h"
#include "mld/diffusion/noise.h"
#include "mld/diffusion/sde.h"
#include "mld/evaluate/choice/evaluation_rows.h"
#include "mld/modality/item_feed.h"

namespace mld {
namespace {

constexpr std::int64_t kDraws = 10;  // of diversity, for each condition
constexpr std::array kRobustnessTimes{0.0, 0.05, 0.08, 0.1, 0.15, 0.2, 0.3,
                                      0.4, 0.5,  0.6,  0.7, 0.8,  0.9, 1.0};

// first, first + 1, ..
std::vector<std::int32_t> numbers(std::int64_t first, std::int64_t n) {
  std::vector<std::int32_t> out(static_cast<std::size_t>(n));
  std::iota(out.begin(), out.end(), static_cast<std::int32_t>(first));
  return out;
}

// Unbiased, summed over the columns.
double variance(const Tensor& x) {
  const std::int64_t rows = x.shape()[0], dim = x.shape()[1];
  double total = 0;
  for (std::int64_t j = 0; j < dim; ++j) {
    double sum = 0, squares = 0;
    for (std::int64_t k = 0; k < rows; ++k) {
      const auto v = static_cast<double>(x.data<float>()[k * dim + j]);
      sum += v;
      squares += v * v;
    }
    const auto n = static_cast<double>(rows);
    total += (squares - sum * sum / n) / (n - 1);
  }
  return total;
}

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
  double sum = 0;
  for (double v : squares) sum += std::sqrt(std::max(0.0, v));
  return sum / static_cast<double>(squares.size());
}

// Latents [N,D_i] of all items of modality i in a split.
Tensor encode_items(const Model& model, const data::Split& split, int i, int column, const Tell& tell) {
  const std::int64_t items = split.num_items(column);
  const Tensor latents = Tensor::empty({items, model.layout().dims[static_cast<std::size_t>(i)]});
  for (std::int64_t first = 0; first < items; first += kMeasuredTogether) {
    tell("training items of " + model.modality(i).name, first, items);
    const std::int64_t n = std::min(kMeasuredTogether, items - first);
    const ItemBatch batch = make_item_batch(model.info(i), n);
    fill_items(split, column, model.info(i), numbers(first, n), batch);
    latents.rows(first, n).copy_from(model.encode(i, batch.x));
  }
  return latents;
}

}  // namespace

std::vector<DiversityCell> latent_diversity(const Model& model, Subset given, const Tensor& z,
                                            const LatentDraw& draw) {
  const std::int64_t conditions = z.shape()[0], rows = conditions * kDraws;
  const Tensor repeated = Tensor::empty({rows, model.layout().total});
  for (std::int64_t row = 0; row < rows; ++row) repeated.rows(row, 1).copy_from(z.rows(row / kDraws, 1));
  const Tensor drawn = draw(repeated);
  std::vector<DiversityCell> cells;
  for (int i = 0; i < model.modalities(); ++i) {
    if (contains(given, i)) continue;
    const Tensor part = model.layout().slice(drawn, i);
    double within = 0;
    for (std::int64_t c = 0; c < conditions; ++c)
      within += variance(part.rows(c * kDraws, kDraws)) / static_cast<double>(conditions);
    const double all = variance(part);
    cells.push_back({given, i, all > 0 ? within / all : 0, kDraws, conditions});
  }
  return cells;
}

std::vector<RobustnessPoint> latent_robustness(const Model& model, const Tensor& z,
                                               std::span<const std::vector<std::int32_t>> labels,
                                               std::uint64_t seed, const Tell& tell) {
  PhiloxNoise source(seed);
  std::vector<RobustnessPoint> points;
  for (std::size_t k = 0; k < kRobustnessTimes.size(); ++k) {
    const double t = kRobustnessTimes[k], a = VpSde::mean(t), s = VpSde::std_dev(t);
    std::vector<std::vector<std::int32_t>> predicted(labels.size());
    for (std::int64_t first = 0; first < z.shape()[0]; first += kMeasuredTogether) {
      tell("robustness", static_cast<std::int64_t>(k), static_cast<std::int64_t>(kRobustnessTimes.size()));
      const std::int64_t n = std::min(kMeasuredTogether, z.shape()[0] - first);
      const Tensor noise = Tensor::empty({n, model.layout().total});
      source.normal(noise, kSiteNoise, Tensor::full({1}, static_cast<double>(k), DType::i32),
                    Tensor::from(numbers(first, n), {n}));
      const Tensor noisy = add(affine(z.rows(first, n), a, 0), affine(noise, s, 0)).value;
      for (int i = 0; i < model.modalities(); ++i) {
        if (!model.has_classifier(i)) continue;
        const auto more = model.classify(i, model.decode(i, noisy));
        auto& all = predicted[static_cast<std::size_t>(i)];
        all.insert(all.end(), more.begin(), more.end());
      }
    }
    for (std::size_t i = 0; i < predicted.size(); ++i)
      if (!predicted[i].empty())
        if (const Proportion p = agreement(predicted[i], labels[i]); p.n > 0)
          points.push_back({t, static_cast<int>(i), p});
  }
  return points;
}

std::vector<MemorisationCell> latent_memorisation(const Model& model, const data::Split& train,
                                                  std::span<const int> columns, const Tensor& generated,
                                                  const Tensor& real,
                                                  std::span<const std::vector<std::int64_t>> there,
                                                  const Tell& tell) {
  std::vector<MemorisationCell> cells;
  for (int i = 0; i < model.modalities(); ++i) {
    const auto k = static_cast<std::size_t>(i);
    if (there[k].empty()) continue;
    const Tensor latents = encode_items(model, train, i, columns[k], tell);
    const auto made = nearest(model.layout().slice(generated, i), latents);
    auto unseen = nearest(model.layout().slice(rows_of(real, there[k]), i), latents);
    MemorisationCell cell{i, mean_root(made), mean_root(unseen), {}};
    std::sort(unseen.begin(), unseen.end());
    const double close = unseen[unseen.size() / 100];
    cell.closer = {std::count_if(made.begin(), made.end(), [&](double v) { return v < close; }),
                   static_cast<std::int64_t>(made.size())};
    cells.push_back(cell);
  }
  return cells;
}

}  // namespace mld
