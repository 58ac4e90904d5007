// Importance-sampled likelihoods against sums over a grid of the latent (docs/method.md section 20.4).
#include "mld/methods/vae/likelihood.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "mld/evaluate/evaluate.h"
#include "mld/modality/item_feed.h"
#include "mld/train/train.h"
#include "tests/expect_error.h"
#include "tests/mld/vector_data.h"
#include "tests/temp_folder.h"

namespace mld {
namespace {

ModalityConfig with(Likelihood likelihood, double scale = 1) {
  ModalityConfig config;
  config.likelihood = likelihood;
  config.scale = scale;
  return config;
}

Tensor column(const std::vector<float>& values) { return Tensor::from(values, {std::ssize(values), 1}); }

constexpr double kStep = 1.0 / 512, kEnd = 9;

}  // namespace

TEST_CASE("vae likelihood: densities integrate to one, masses sum to one") {
  std::vector<float> grid;
  for (double v = -40; v < 40; v += kStep) grid.push_back(static_cast<float>(v));
  const Tensor x = column(grid), at = column(std::vector<float>(grid.size(), 0.7f));
  const auto integral = [&](const std::vector<double>& logs) {
    double sum = 0;
    for (const double v : logs) sum += std::exp(v) * kStep;
    return sum;
  };
  CHECK(integral(vae::log_density(with(Likelihood::normal), at, x)) == doctest::Approx(1).epsilon(1e-5));
  CHECK(integral(vae::log_density(with(Likelihood::laplace, 0.75), at, x)) ==
        doctest::Approx(1).epsilon(1e-5));
  CHECK(integral(vae::log_prior(x)) == doctest::Approx(1).epsilon(1e-5));
  const vae::Gaussian q{column(std::vector<float>(grid.size(), -1.5f)),
                        column(std::vector<float>(grid.size(), 0.9f))};
  CHECK(integral(vae::log_density(q, x)) == doctest::Approx(1).epsilon(1e-5));
  // By size: half the loss's variance, and the loss's own exponent.
  CHECK(vae::log_density(with(Likelihood::normal), column({1}), column({3})).at(0) ==
        doctest::Approx(-4 - 0.5 * std::log(std::numbers::pi)));
  CHECK(vae::log_density(with(Likelihood::laplace, 0.5), column({1}), column({3})).at(0) ==
        doctest::Approx(-4));

  // Two positions of three categories; the shares are not normalised, and one position is a hole.
  const Tensor shares = Tensor::from(std::vector<float>{1, 2, 1, 0.5f, 0.25f, 0.25f}, {1, 2, 3});
  double sum = 0;
  for (int a = 0; a < 3; ++a)
    for (int b = 0; b < 3; ++b)
      sum += std::exp(vae::log_density(with(Likelihood::categorical), shares,
                                       Tensor::from(std::vector<std::int32_t>{a, b}, {1, 2}))
                          .at(0));
  CHECK(sum == doctest::Approx(1));
  const Tensor hole = Tensor::from(std::vector<std::int32_t>{1, -1}, {1, 2});
  CHECK(vae::log_density(with(Likelihood::categorical), shares, hole).at(0) ==
        doctest::Approx(std::log(0.5)));
}

TEST_CASE("vae likelihood: means of exponentials far from what a double can hold") {
  vae::LogMeanExp mean(2);
  for (const auto& values : std::vector<std::vector<double>>{{-2000, 5}, {-2001, 1500}, {-1999, 7}})
    mean.add(values);
  CHECK(mean.result().at(0) ==
        doctest::Approx(-2000 + std::log((1 + std::exp(-1.0) + std::exp(1.0)) / 3)).epsilon(1e-12));
  CHECK(mean.result().at(1) == doctest::Approx(1500 - std::log(3.0)).epsilon(1e-12));
  CHECK(mean.effective().at(1) == doctest::Approx(1));
  const double ones = 1 + std::exp(-1.0) + std::exp(1.0), squares = 1 + std::exp(-2.0) + std::exp(2.0);
  CHECK(mean.effective().at(0) == doctest::Approx(ones * ones / squares));
}

TEST_CASE(
    "vae likelihood: of every kind what a sum over the latent's axis says, whatever it is drawn given") {
  const test::TempFolder folder;
  test::make_vectors(folder / "store");
  const data::Store store = data::Store::open(folder / "store");
  constexpr std::int64_t kRows = 5;
  constexpr std::uint64_t kDraws = 1500;
  for (const std::string kind : {"mvae", "mmvae", "mopoe", "mvtcae", "nexus"}) {
    CAPTURE(kind);
    const Config config = test::vector_config(
        folder / "store",
        {"model.kind=" + kind, "vae.latent=1", "vae.nexus_latent=1", "vae.message=4", "vae.hidden=[5]",
         "vae.steps=3", "vae.batch=8", "modalities.a.units=declared", "modalities.b.units=declared",
         "modalities.b.likelihood=laplace", "modalities.a.latent=2", "modalities.b.latent=2"});
    const std::filesystem::path run = folder / kind;
    REQUIRE(train({.config = config, .out = run}, {}) == StageEnd::finished);
    const Model model = Model::open(run);
    const Method& method = model.method();

    std::vector<Tensor> x;
    Tensor codes = Tensor::zeros({kRows, method.codes().total});
    const std::vector<std::int32_t> items{0, 1, 2, 3, 4}, ids{10, 11, 12, 13, 14};
    for (int i = 0; i < 2; ++i) {
      x.push_back(gather_items(store.split("test"), i, store.modality(i), items));
      method.codes().set_slice(codes, i, method.encode(i, x.back()));
    }

    // log p(x_of) by the trapezoid rule, of what decode() makes of the grid.
    std::vector<float> grid;
    for (double h = -kEnd; h <= kEnd; h += kStep) grid.push_back(static_cast<float>(h));
    const std::array<Tensor, 2> decoded{method.decode(0, column(grid)), method.decode(1, column(grid))};
    const auto exact = [&](Subset of, std::int64_t row) {
      double sum = 0;
      for (std::size_t g = 0; g < grid.size(); ++g) {
        const double h = static_cast<double>(grid[g]);
        double log = -0.5 * h * h - 0.5 * std::log(2 * std::numbers::pi);
        for (int i = 0; i < 2; ++i) {
          if (!contains(of, i)) continue;
          const Tensor& values = x[static_cast<std::size_t>(i)];
          const std::int64_t size = values.shape()[1];
          for (std::int64_t k = 0; k < size; ++k) {
            const double apart =
                static_cast<double>(values.data<float>()[row * size + k]) -
                static_cast<double>(decoded[static_cast<std::size_t>(i)]
                                        .data<float>()[static_cast<std::int64_t>(g) * size + k]);
            const double scale = config.modalities[1].scale;
            log += i == 0 ? -apart * apart - 0.5 * std::log(std::numbers::pi)
                          : -std::abs(apart) / scale - std::log(2 * scale);
          }
        }
        sum += std::exp(log) * kStep;
      }
      return std::log(sum);
    };

    for (const Subset of : {Subset{1}, Subset{2}, Subset{3}})
      for (const Subset given : {Subset{1}, Subset{2}, Subset{3}}) {
        CAPTURE(of);
        CAPTURE(given);
        vae::LogMeanExp mean(kRows);
        for (std::uint64_t seed = 0; seed < kDraws; ++seed)
          mean.add(method.log_weights(of, given, x, codes, ids, seed));
        const std::vector<double> found = mean.result(), effective = mean.effective();
        for (std::int64_t row = 0; row < kRows; ++row) {
          const auto b = static_cast<std::size_t>(row);
          // The relative variance of a mean of weights is 1/effective - 1/K.
          const double error = std::sqrt(1 / effective[b] - 1.0 / static_cast<double>(kDraws));
          REQUIRE(effective[b] > 60);
          CHECK(std::abs(found[b] - exact(of, row)) < 4.5 * error + 1e-3);
        }
      }

    // As a metric: both, each given each, and each alone.
    if (kind != "mmvae") continue;
    const Evaluation e = evaluate(model, store, {.samples = 10, .metrics = parse_metrics("all")});
    REQUIRE(e.likelihood.size() == 5);
    for (const char* left_out :
         {"mutual information is left out: a VAE has no scores", "diversity is left out"})
      CHECK(std::ranges::any_of(e.notes, [&](const std::string& n) { return test::contains(n, left_out); }));
    for (const LikelihoodCell& cell : e.likelihood) {
      CHECK(cell.n == 10);
      CHECK(cell.effective > 1);
      CHECK(cell.effective <= static_cast<double>(cell.draws));
    }
    CHECK(e.likelihood[0].nats == doctest::Approx(e.likelihood[1].nats).epsilon(0.02));
    const Evaluation again = parse_evaluation(to_json(e), "evaluation.json");
    CHECK(again.likelihood.at(3).nats == e.likelihood[3].nats);
    CHECK(again.likelihood.at(3).of == 1);
    CHECK(test::contains(to_table(e), "Log likelihood, nats (K = 200 draws, N = 10"));
  }
}

}  // namespace mld
