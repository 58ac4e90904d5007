#include "mld/information.h"

#include <doctest/doctest.h>

#include <cmath>

#include "engine/core/error.h"
#include "engine/ops/ops.h"
#include "engine/random/philox.h"
#include "engine/runtime/threads.h"
#include "mld/score_batch.h"
#include "mld/score_network.h"
#include "mld/sde.h"
#include "nn/parameter.h"
#include "nn/train_step.h"

namespace mld {
namespace {

constexpr double kRho = 0.7;
const double kTruth = -0.5 * std::log(1 - kRho * kRho);  // of one pair of coordinates

// Two modalities of `pairs` coordinates each; coordinate k of one has correlation kRho with that of the
// other, and all else is independent. Standard normal.
std::vector<float> gaussian_pairs(std::int64_t rows, std::int64_t pairs, std::uint64_t seed,
                                  double rho = kRho) {
  std::vector<float> z(static_cast<std::size_t>(2 * rows * pairs));
  for (std::int64_t i = 0; i < rows * pairs; ++i) {
    const Words w = draw(seed, 1, 0, static_cast<std::uint32_t>(i), 0);
    const double radius = std::sqrt(-2 * std::log1p(-u01_double(w.v[0], w.v[1])));
    const double angle = 6.283185307179586 * u01_double(w.v[2], w.v[3]);
    const double x = radius * std::cos(angle), y = radius * std::sin(angle);
    const std::int64_t row = i / pairs, k = i % pairs;
    z[static_cast<std::size_t>(2 * row * pairs + k)] = static_cast<float>(x);
    z[static_cast<std::size_t>((2 * row + 1) * pairs + k)] =
        static_cast<float>(rho * x + std::sqrt(1 - rho * rho) * y);
  }
  return z;
}

// sigma times the exact score, joint or given the clean other coordinate.
Tensor exact_score(const Tensor& r, const Tensor& tau) {
  const Tensor n = Tensor::empty(r.shape());
  const std::int64_t pairs = r.shape()[1] / 2;
  for (std::int64_t b = 0; b < r.shape()[0]; ++b)
    for (std::int64_t k = 0; k < pairs; ++k) {
      const float *v = r.data<float>() + 2 * b * pairs + k, *t = tau.data<float>() + 2 * b;
      float* out = n.data<float>() + 2 * b * pairs + k;
      for (int i = 0; i < 2; ++i) {
        const double x = static_cast<double>(v[i * pairs]), y = static_cast<double>(v[(1 - i) * pairs]);
        const double mine = static_cast<double>(t[i]), other = static_cast<double>(t[1 - i]);
        const double a = VpSde::mean(mine), s = VpSde::std_dev(mine);
        const double c = a * a * kRho;  // covariance of the noisy pair, whose variances are 1
        const double score = mine == 0    ? 0
                             : other == 0 ? -(x - a * kRho * y) / (a * a * (1 - kRho * kRho) + s * s)
                                          : -(x - c * y) / (1 - c * c);
        out[i * pairs] = static_cast<float>(s * score);
      }
    }
  return n;
}

}  // namespace

TEST_CASE("mutual information: exact scores of Gaussians give the closed form") {
  const LatentLayout layout({1, 1});
  const Tensor z = Tensor::from(gaussian_pairs(4000, 1, 3), {4000, 2});
  const MutualInformation found = mutual_information(exact_score, layout, z, 1, {.repeats = 10, .seed = 4});
  CHECK(std::abs(found.nats - kTruth) < 4 * found.error);
  CHECK(std::abs(found.nats / kTruth - 1) < 0.05);
  CHECK(found.error < 0.02);
  // The group and its complement are one question.
  CHECK(mutual_information(exact_score, layout, z, 2, {.repeats = 10, .seed = 4}).nats == found.nats);
  // Rows at a time do not matter.
  CHECK(mutual_information(exact_score, layout, z, 1, {.repeats = 10, .seed = 4, .chunk = 333}).nats ==
        found.nats);
  CHECK_THROWS_AS(mutual_information(exact_score, layout, z, 3, {}), Error);
}

#if !MLD_CUDA_EMULATED  // the same on the cpu; half a minute of training
TEST_CASE("mutual information: a trained network's is the truth within 5 %") {
  constexpr std::int64_t kRows = 20000, kPairs = 1, kSteps = 9000;
  constexpr double kStrong = 0.9;
  const double truth = -0.5 * std::log(1 - kStrong * kStrong);
  const int threads = max_threads();
  set_threads(1);  // the matrices are small
  const std::vector<float> z = gaussian_pairs(kRows, kPairs, 5, kStrong);
  std::vector<float> parts[2];
  std::vector<std::int32_t> samples;
  for (std::int64_t row = 0; row < kRows; ++row) {
    for (int i = 0; i < 2; ++i) {
      const auto first = z.begin() + (2 * row + i) * kPairs;
      parts[i].insert(parts[i].end(), first, first + kPairs);
      samples.push_back(static_cast<std::int32_t>(row));
    }
  }
  const LatentStore latents(
      LatentLayout({kPairs, kPairs}),
      {Tensor::from(parts[0], {kRows, kPairs}), Tensor::from(parts[1], {kRows, kPairs})},
      Tensor::from(samples, {kRows, 2}));
  ScoreNetwork network(
      {.dim = 2 * kPairs, .times = 2, .width = 64, .time_dim = 64, .groups = 8, .mults = {1}, .fourier = 4});
  nn::ParameterStore parameters(network, {.ema = true});
  parameters.initialize(1);
  const ScoreBatchOptions options{
      .batch = 128, .d = 0.34, .time = {.kind = TimeSampling::lognormal}, .prediction = Prediction::velocity};
  const ScoreBatcher batcher(latents, options, 2);
  nn::TrainStep step(
      parameters, 2,
      {.schedule = LrSchedule::cosine, .lr = 3e-3, .lr_final = 1e-5, .warmup = 100, .total = kSteps},
      {.ema_decay = 0.999}, [&](const StepState* state) {
        const ScoreBatch batch = batcher.perturb(batcher.draw(state));
        return squared_error(network(batch.r, batch.tau), batch.target, 1.0 / 128, batch.weight);
      });
  for (std::int64_t k = 0; k < kSteps; ++k) step();
  const nn::EmaScope ema(parameters);
  const MultiTimeScore score = [&](const Tensor& r, const Tensor& tau) {
    const Tensor f = network(r, tau).value, n = Tensor::empty(r.shape());
    for (std::int64_t i = 0; i < r.numel(); ++i) {
      const double t = static_cast<double>(tau.data<float>()[i / kPairs]);
      n.data<float>()[i] = -(static_cast<float>(VpSde::std_dev(t)) * r.data<float>()[i] +
                             static_cast<float>(VpSde::mean(t)) * f.data<float>()[i]);
    }
    return n;
  };
  const Tensor test = Tensor::from(gaussian_pairs(4000, kPairs, 6, kStrong), {4000, 2 * kPairs});
  const MutualInformation found = mutual_information(score, latents.layout(), test, 1, {.seed = 7});
  set_threads(threads);
  MESSAGE("found ", found.nats, " +- ", found.error, ", truth ", truth);
  CHECK(std::abs(found.nats / truth - 1) < 0.05);
}

#endif

TEST_CASE("mutual information: every bipartition once") {
  CHECK(bipartitions(2) == std::vector<Subset>{1});
  CHECK(bipartitions(3) == std::vector<Subset>{1, 2, 4});
  CHECK(bipartitions(4) == std::vector<Subset>{1, 2, 4, 8, 0b0011, 0b0101, 0b1001});
}

}  // namespace mld
