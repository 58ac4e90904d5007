#include "mld/evaluate/feature_set.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/base/error.h"
#include "engine/random/philox.h"

namespace mld {
namespace {

doctest::Approx relative(double value) { return doctest::Approx(value).scale(0); }

// As in golden/make_frechet.py.
std::vector<float> rows(std::int64_t n, std::int64_t dim, std::uint64_t seed) {
  std::vector<double> u(static_cast<std::size_t>(n * dim));
  for (std::size_t i = 0; i < u.size(); ++i) {
    std::uint64_t x = (i + seed * 1'000'003) * 2654435761u % (std::uint64_t{1} << 32);
    x = (x ^ (x >> 15)) * 2246822519u % (std::uint64_t{1} << 32);
    u[i] = static_cast<double>((x ^ (x >> 13)) % 65536) / 65536;
  }
  std::vector<float> out;
  for (std::int64_t r = 0; r < n; ++r)
    for (std::int64_t j = 0; j < dim; ++j) {
      const auto at = [&](std::int64_t k) { return u[static_cast<std::size_t>(r * dim + k)]; };
      const double before = at((j + dim - 1) % dim),
                   place = static_cast<double>(j) / static_cast<double>(dim);
      out.push_back(static_cast<float>(at(j) + 0.5 * before + place * (1 + static_cast<double>(seed) / 10)));
    }
  return out;
}

FeatureSet feature_set(const std::vector<float>& values, std::int64_t dim, std::size_t portion = 1'000'000) {
  FeatureSet set(dim);
  const std::size_t step = portion * static_cast<std::size_t>(dim);
  for (std::size_t first = 0; first < values.size(); first += step)
    set.add(std::span(values).subspan(first, std::min(step, values.size() - first)));
  return set;
}

std::vector<float> gaussian(std::int64_t n, std::int64_t dim, std::uint64_t seed, double shift,
                            double scale) {
  std::vector<float> out;
  for (std::int64_t i = 0; i < n * dim; ++i) {
    const Words w = draw(seed, 0, 0, static_cast<std::uint32_t>(i), 0);
    const double radius = std::sqrt(-2 * std::log1p(-u01_double(w.v[0], w.v[1])));
    out.push_back(static_cast<float>(shift + scale * radius *
                                                 std::cos(6.283185307179586 * u01_double(w.v[2], w.v[3]))));
  }
  return out;
}

// Rows +-sqrt(n-1)/sqrt(2) times the columns of `factor` [2,2] about `mean`: their covariance is factor
// factor^T.
FeatureMoments exact(const double (&factor)[2][2], const double (&mean)[2]) {
  FeatureMoments moments(2);
  std::vector<float> values;
  for (int column = 0; column < 2; ++column)
    for (const double sign : {-1.0, 1.0})
      for (int i = 0; i < 2; ++i)
        values.push_back(static_cast<float>(mean[i] + sign * std::sqrt(1.5) * factor[i][column]));
  moments.add(values);
  return moments;
}

}  // namespace

TEST_CASE("frechet distance: closed forms of Gaussians") {
  // Covariances diag(4, 9) and diag(1, 16): |mu - mu'|^2 + (2-1)^2 + (3-4)^2.
  const FeatureMoments a = exact({{2, 0}, {0, 3}}, {1, 2}), b = exact({{1, 0}, {0, 4}}, {0, 4});
  CHECK(frechet_distance(a, b) == relative(1 + 4 + 1 + 1).epsilon(1e-6));
  CHECK(std::abs(frechet_distance(a, a)) < 1e-6);
  // In two dimensions tr (S T)^1/2 = sqrt(tr ST + 2 sqrt(det ST)), though S and T do not commute.
  const double f[2][2] = {{1, 0.5}, {-0.25, 2}}, g[2][2] = {{0.75, -1}, {1.5, 0.25}};
  double s[2][2], t[2][2];
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 2; ++j) {
      s[i][j] = f[i][0] * f[j][0] + f[i][1] * f[j][1];
      t[i][j] = g[i][0] * g[j][0] + g[i][1] * g[j][1];
    }
  const double trace = s[0][0] * t[0][0] + s[0][1] * t[1][0] + s[1][0] * t[0][1] + s[1][1] * t[1][1];
  const double det = (s[0][0] * s[1][1] - s[0][1] * s[1][0]) * (t[0][0] * t[1][1] - t[0][1] * t[1][0]);
  const double want =
      s[0][0] + s[1][1] + t[0][0] + t[1][1] - 2 * std::sqrt(trace + 2 * std::sqrt(det)) + 0.25 + 9;
  CHECK(frechet_distance(exact(f, {0.5, 0}), exact(g, {0, 3})) == relative(want).epsilon(1e-6));
  // A covariance of rank one: the other's standard deviation along it is what they share.
  const FeatureMoments line = exact({{2, 0}, {0, 0}}, {1, 2});
  CHECK(frechet_distance(line, a) == relative(9).epsilon(1e-6));
}

TEST_CASE("frechet distance: as the general matrix square root gives it, singular covariances included") {
  struct Row {
    std::int64_t n, m, dim;
    double distance;
  };
  for (const Row& row : {Row{500, 400, 16, 0.085639103824}, Row{900, 700, 64, 0.421798273385},
                         Row{40, 40, 64, 4.633450581640}}) {
    const double found = frechet_distance(feature_set(rows(row.n, row.dim, 1), row.dim).moments(),
                                          feature_set(rows(row.m, row.dim, 2), row.dim).moments());
    CHECK(found == relative(row.distance).epsilon(row.n > row.dim ? 1e-6 : 1e-5));
  }
}

TEST_CASE("feature set: portions do not show") {
  const auto values = rows(777, 6, 3), others = rows(500, 6, 4);
  const FeatureSet whole = feature_set(values, 6), other = feature_set(others, 6);
  const FeatureDistance want = feature_distance(whole, other);
  for (const std::size_t portion : {1U, 7U, 64U}) {
    const FeatureDistance got = feature_distance(feature_set(values, 6, portion), other);
    CHECK(got.frechet == want.frechet);
    CHECK(got.low == want.low);
    CHECK(got.kernel.value == want.kernel.value);
    CHECK(got.real_halves == want.real_halves);
  }
  CHECK(want.real == 777);
  CHECK(want.made == 500);
  FeatureSet set(2);
  CHECK_THROWS_AS(set.add(std::vector<float>{1, std::numeric_limits<float>::quiet_NaN()}), Error);
}

TEST_CASE("feature set: rows of one item stay together") {
  // 400 rows, each five times: halves are as far apart as those of the 400, and the interval is as wide.
  // Taken for 2000 rows, the halves share most items.
  constexpr std::int64_t kDim = 6, kItems = 400;
  const auto values = gaussian(kItems, kDim, 5, 0, 1), others = gaussian(kItems, kDim, 6, 0.2, 1);
  FeatureSet copies(kDim), rows_alone(kDim);
  for (int copy = 0; copy < 5; ++copy) {
    std::vector<std::int64_t> items(kItems);
    std::iota(items.begin(), items.end(), 0);
    copies.add(values, items);
    rows_alone.add(values);
  }
  const FeatureSet once = feature_set(values, kDim), made = feature_set(others, kDim);
  const FeatureDistance want = feature_distance(once, made), got = feature_distance(copies, made);
  CHECK(got.real == 5 * kItems);
  CHECK(*got.real_halves == relative(*want.real_halves).epsilon(0.05));
  CHECK(*feature_distance(rows_alone, made).real_halves < 0.4 * *want.real_halves);
  CHECK(*got.high - *got.low == relative(*want.high - *want.low).epsilon(0.05));
  CHECK(got.kernel.value == want.kernel.value);
  CHECK(got.frechet == relative(want.frechet).epsilon(0.02));
}

TEST_CASE("feature distance: what rests on too few rows is left out") {
  for (const std::int64_t n : {4, 5, 6, 7, 12}) {
    const FeatureDistance d = feature_distance(feature_set(rows(n, 3, 1), 3), feature_set(rows(n, 3, 2), 3));
    CHECK(d.frechet > 0);
    CHECK_FALSE(d.low);
    if (d.real_halves) CHECK(std::isfinite(*d.real_halves));
  }
  CHECK_FALSE(feature_distance(feature_set(rows(500, 3, 1), 3), feature_set(rows(5, 3, 2), 3)).low);
  CHECK(feature_distance(feature_set(rows(500, 3, 1), 3), feature_set(rows(500, 3, 2), 3)).low);
}

TEST_CASE("feature distance: the interval holds what the distance is on average, halves tell the floor") {
  // 600 rows of N(0,1) against 600 of N(0.3, 1.2) in 8 dimensions.
  const double truth = 8 * (0.09 + 0.04);
  int inside = 0;
  double halves = 0;
  double mean = 0;
  constexpr int kTrials = 20;
  std::vector<FeatureDistance> trials;
  for (std::uint64_t k = 0; k < kTrials; ++k) {
    trials.push_back(feature_distance(feature_set(gaussian(600, 8, 2 * k, 0, 1), 8),
                                      feature_set(gaussian(600, 8, 2 * k + 1, 0.3, 1.2), 8)));
    mean += trials.back().frechet / kTrials;
  }
  for (const FeatureDistance& d : trials) {
    CHECK(*d.low < *d.high);
    halves += *d.real_halves / kTrials;
    inside += *d.low <= mean && mean <= *d.high;
  }
  CHECK(mean == relative(truth).epsilon(0.1));  // the bias of 600 rows is a few per cent
  CHECK(inside >= 16);                          // of 20; 19 expected
  // What 300 rows and 300 of N(0,1) are apart by chance: p (1/n + 1/m) of the means and a quarter of
  // E |S - T|^2 = p (p + 1) (1/n + 1/m) of the covariances.
  CHECK(halves == relative((8 + 8 * 9 / 4.0) * 2 / 300).epsilon(0.1));
  CHECK(!feature_distance(feature_set(rows(40, 600, 1), 600), feature_set(rows(40, 600, 2), 600)).low);
}

TEST_CASE(
    "feature set: halves are alike though the rows come in the order of their classes, again and again") {
  std::vector<float> values = gaussian(2000, 2, 5, 0, 1);
  for (std::size_t row = 0; row < 2000; ++row) values[2 * row] += static_cast<float>(10 * (row % 10));
  const FeatureSet set = feature_set(values, 2);
  CHECK(frechet_distance(set.half(0), set.half(1)) < 15);  // of classes 0, 2, ... and 1, 3, ...: 100
}

TEST_CASE("kernel distance: the mean over subsets is the distance over all rows") {
  const auto a = rows(3000, 16, 1), b = rows(3000, 16, 2);
  const KernelDistance found = kernel_distance(a, b, 16);
  CHECK(found.error > 0);
  CHECK(std::abs(found.value - 0.130811795) < 4 * found.error);
  CHECK(found.error < 0.2 * 0.130811795);
  CHECK(found.subset == 1000);
  // Row k of the one set belongs to row k of the other: here it is the same. A row that met itself, whose
  // kernel is 6.8 above the mean, would take 2 * 6.8 / 2000 off.
  const auto row = gaussian(2000, 16, 3, 0, 1);
  const KernelDistance paired = kernel_distance(row, row, 16);
  CHECK(std::abs(paired.value) < 6.8 / 2000);
}

TEST_CASE("kernel distance: unbiased, and the error is that of another set of samples") {
  const auto law = [](double mean) {
    constexpr int kTrials = 100;
    double sum = 0, squares = 0, errors = 0;
    for (std::uint64_t k = 0; k < kTrials; ++k) {
      const KernelDistance d =
          kernel_distance(gaussian(400, 4, 2 * k, 0, 1), gaussian(400, 4, 2 * k + 1, mean, 1), 4);
      sum += d.value / kTrials;
      squares += d.value * d.value / kTrials;
      errors += d.error / kTrials;
    }
    return std::array{sum, std::sqrt(squares - sum * sum), errors};
  };
  const auto [near_mean, near_spread, near_error] = law(0);
  CHECK(std::abs(near_mean) < 3 * near_spread / 10);
  CHECK(near_error > near_spread);  // of one law the distance converges faster, and the error is too large
  const auto [mean, spread, error] = law(0.5);
  CHECK(mean > 5 * spread);
  CHECK(error == relative(spread).epsilon(0.25));
}

}  // namespace mld
