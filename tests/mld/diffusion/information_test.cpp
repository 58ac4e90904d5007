#include "mld/diffusion/information.h"

#include <doctest/doctest.h>

#include <cmath>

#include "engine/base/error.h"
#include "engine/ops/ops.h"
#include "engine/random/philox.h"
#include "engine/threads/threads.h"
#include "mld/diffusion/networks/resmlp.h"
#include "mld/diffusion/score_batch.h"
#include "mld/diffusion/sde.h"
#include "mld/evaluate/record.h"
#include "nn/parameter.h"
#include "nn/train_step.h"

namespace mld {
namespace {

constexpr double kRho = 0.7;
const double kTruth = -0.5 * std::log(1 - kRho * kRho);  // of a pair

using Matrix = std::vector<std::vector<double>>;

// Lower triangle l with l l^T = k.
Matrix cholesky(const Matrix& k) {
  Matrix l(k.size(), std::vector<double>(k.size()));
  for (std::size_t i = 0; i < k.size(); ++i)
    for (std::size_t j = 0; j <= i; ++j) {
      double rest = k[i][j];
      for (std::size_t m = 0; m < j; ++m) rest -= l[i][m] * l[j][m];
      l[i][j] = i == j ? std::sqrt(rest) : rest / l[j][j];
    }
  return l;
}

// A normal distribution of mean 0 and variances 1 over the coordinates of a layout.
struct Gaussian {
  LatentLayout layout;
  Matrix covariance;

  std::size_t dim() const { return covariance.size(); }

  std::vector<float> samples(std::int64_t rows, std::uint64_t seed) const {
    const Matrix l = cholesky(covariance);
    std::vector<float> z;
    for (std::int64_t row = 0; row < rows; ++row) {
      std::vector<double> normal;
      for (std::uint32_t pair = 0; normal.size() < dim(); ++pair) {
        const Words w = draw(seed, 1, 0, static_cast<std::uint32_t>(row), pair);
        const double radius = std::sqrt(-2 * std::log1p(-u01_double(w.v[0], w.v[1])));
        const double angle = 6.283185307179586 * u01_double(w.v[2], w.v[3]);
        normal.push_back(radius * std::cos(angle));
        normal.push_back(radius * std::sin(angle));
      }
      for (std::size_t i = 0; i < dim(); ++i) {
        double sum = 0;
        for (std::size_t j = 0; j <= i; ++j) sum += l[i][j] * normal[j];
        z.push_back(static_cast<float>(sum));
      }
    }
    return z;
  }
  Tensor tensor(std::int64_t rows, std::uint64_t seed) const {
    return Tensor::from(samples(rows, seed), {rows, layout.total});
  }

  // Covariance with every modality at its time; the variances stay 1.
  Matrix diffused(const std::vector<double>& time) const {
    std::vector<double> mean;
    for (std::size_t i = 0; i < layout.dims.size(); ++i)
      mean.insert(mean.end(), static_cast<std::size_t>(layout.dims[i]), VpSde::mean(time[i]));
    Matrix k = covariance;
    for (std::size_t i = 0; i < dim(); ++i)
      for (std::size_t j = 0; j < dim(); ++j)
        if (i != j) k[i][j] *= mean[i] * mean[j];
    return k;
  }

  // sigma times the exact score at the given times.
  MultiTimeScore score() const {
    return [this](const Tensor& r, const Tensor& tau) {
      const Tensor n = Tensor::empty(r.shape());
      const auto modalities = static_cast<std::size_t>(layout.modalities());
      for (std::int64_t b = 0; b < r.shape()[0]; ++b) {
        const Tensor row_times = tau.rows(b, 1), x = r.rows(b, 1);
        const std::vector<double> time(row_times.data<float>(), row_times.data<float>() + modalities);
        std::vector<double> y(x.data<float>(), x.data<float>() + dim());
        const Matrix l = cholesky(diffused(time));
        for (std::size_t i = 0; i < dim(); ++i) {
          for (std::size_t j = 0; j < i; ++j) y[i] -= l[i][j] * y[j];
          y[i] /= l[i][i];
        }
        for (std::size_t i = dim(); i-- > 0;) {
          for (std::size_t j = i + 1; j < dim(); ++j) y[i] -= l[j][i] * y[j];
          y[i] /= l[i][i];
        }
        float* out = n.data<float>() + b * layout.total;
        for (std::size_t m = 0; m < modalities; ++m)
          for (std::int64_t j = 0; j < layout.dims[m]; ++j) {
            const std::int64_t at = layout.offsets[m] + j;
            out[at] = static_cast<float>(-VpSde::std_dev(time[m]) * y[static_cast<std::size_t>(at)]);
          }
      }
      return n;
    };
  }

  // I(Z_given; R_rest | R_given) in closed form, the rest at time v and `given` at t.
  double gap(Subset given, double v, double t) const {
    const auto log_det = [&](double time_rest, double time_given, bool alone) {
      std::vector<double> time;
      std::vector<std::size_t> keep;
      for (int m = 0; m < layout.modalities(); ++m) {
        const auto k = static_cast<std::size_t>(m);
        time.push_back(contains(given, m) ? time_given : time_rest);
        for (std::int64_t j = 0; j < layout.dims[k]; ++j)
          if (!alone || contains(given, m)) keep.push_back(static_cast<std::size_t>(layout.offsets[k] + j));
      }
      const Matrix whole = diffused(time);
      Matrix part;
      for (const std::size_t i : keep) {
        part.emplace_back();
        for (const std::size_t j : keep) part.back().push_back(whole[i][j]);
      }
      const Matrix l = cholesky(part);
      double sum = 0;
      for (std::size_t i = 0; i < l.size(); ++i) sum += 2 * std::log(l[i][i]);
      return sum;
    };
    // Entropies of R_rest given R_given and given Z_given.
    return 0.5 * (log_det(v, t, false) - log_det(v, t, true) - log_det(v, 0, false) + log_det(v, 0, true));
  }
};

Gaussian pair(double rho) { return {LatentLayout({1, 1}), {{1, rho}, {rho, 1}}}; }

}  // namespace

TEST_CASE("mutual information: exact scores of Gaussians give the closed form") {
  const Gaussian truth = pair(kRho);
  const Tensor z = truth.tensor(4000, 3);
  const auto found = [&](Subset group, std::int64_t chunk = 1024) {
    return mutual_information(truth.score(), truth.layout, z, group,
                              {.repeats = 10, .seed = 4, .chunk = chunk});
  };
  const MutualInformation first = found(1);
  CHECK(std::abs(first.nats - kTruth) < 4 * first.error);
  CHECK(std::abs(first.nats / kTruth - 1) < 0.05);
  CHECK(first.error < 0.02);
  CHECK(found(2).nats == first.nats);       // the group and its complement are one question
  CHECK(found(1, 333).nats == first.nats);  // rows at a time do not matter
  CHECK_THROWS_AS(found(3), Error);
}

TEST_CASE("in-painting gap: exact scores of Gaussians give the closed form") {
  const Gaussian scalars = pair(0.8);
  // docs/method.md section 13.2: 1/2 log[(1 - a^4 rho^2) / (1 - a^2 rho^2)], here at a = 0.9.
  const double nine = VpSde::time_of_integral(-2 * std::log(0.9));
  CHECK(std::abs(scalars.gap(1, nine, nine) -
                 0.5 * std::log((1 - 0.9 * 0.9 * 0.9 * 0.9 * 0.64) / (1 - 0.81 * 0.64))) < 1e-12);
  // Three coordinates in two modalities that both tell of the third.
  const Gaussian vectors{LatentLayout({1, 2}), {{1, 0.7, -0.5}, {0.7, 1, 0.1}, {-0.5, 0.1, 1}}};
  for (const Gaussian* truth : {&scalars, &vectors}) {
    const Tensor z = truth->tensor(20000, 8);
    for (const Subset given : {1U, 2U})
      for (const double t : {0.05, nine, 0.3, 0.6, 0.9}) {
        const InpaintingGap found =
            inpainting_gap(truth->score(), truth->layout, z, given, t, {.repeats = 4, .seed = 9});
        // Less what is left at time 1 and not integrated. Three standard errors, which are 5 % at most: wide
        // enough for chance, and nothing that is off by a tenth passes.
        const double exact = truth->gap(given, t, t) - truth->gap(given, 1, t);
        CAPTURE(given);
        CAPTURE(t);
        CHECK(found.given == given);
        CHECK(found.t == t);
        CHECK(std::abs(found.nats - exact) < 3 * found.error);
        CHECK(found.error < 0.05 / 3 * exact);
      }
  }
}

TEST_CASE("in-painting gap: rows at a time do not matter, nothing or all given is refused") {
  const Gaussian truth = pair(kRho);
  const Tensor z = truth.tensor(500, 3);
  const auto found = [&](Subset given, double t, std::int64_t chunk = 1024) {
    return inpainting_gap(truth.score(), truth.layout, z, given, t, {.repeats = 2, .seed = 4, .chunk = chunk})
        .nats;
  };
  CHECK(found(1, 0.3, 77) == found(1, 0.3));
  for (const Subset given : {0U, 3U}) CHECK_THROWS_AS(found(given, 0.3), Error);
  for (const double t : {0.0, 1.0}) CHECK_THROWS_AS(found(1, t), Error);
}

TEST_CASE("in-painting gap: as it is written down") {
  Evaluation e;
  e.modalities = {"image", "sound"};
  e.classifier_hash = {"", ""};
  CHECK(to_table(e).find("In-painting") == std::string::npos);
  CHECK(to_json(e).find("inpainting_gap") == std::string::npos);
  e.inpainting_gap = {
      {1, 0.25, 0.5, 0.0625, 7}, {1, 0.5, 0.125, 0.03125, 7}, {2, 0.25, 1.5, 0.25, 7}, {2, 0.5, 2, 0.5, 7}};
  const std::string table = to_table(e);
  CHECK(table.find("lack of clean ones (N = 7)") != std::string::npos);
  for (const std::string line :
       {"t =                                         0.25    0.50\n",
        "given image                               0.5000  0.1250   +- 0.0625 at most\n",
        "given sound                               1.5000  2.0000   +- 0.5000 at most\n"})
    CHECK_MESSAGE(table.find("\n  " + line) != std::string::npos, table);
  const std::string third = R"({"error":0.25,"given":"sound","n":7,"nats":1.5,"t":0.25})";
  CHECK_MESSAGE(to_json(e).find(third) != std::string::npos, to_json(e));
}

#if !MLD_CUDA_EMULATED  // the same on the cpu; half a minute of training
TEST_CASE("mutual information: a trained network's is the truth within 5 %") {
  constexpr std::int64_t kRows = 20000, kSteps = 9000;
  constexpr double kStrong = 0.9;
  const double truth = -0.5 * std::log(1 - kStrong * kStrong);
  const int threads = max_threads();
  set_threads(1);  // the matrices are small
  const std::vector<float> z = pair(kStrong).samples(kRows, 5);
  std::vector<float> parts[2];
  std::vector<std::int32_t> samples;
  for (std::int64_t row = 0; row < kRows; ++row) {
    for (int i = 0; i < 2; ++i) {
      parts[i].push_back(z[static_cast<std::size_t>(2 * row + i)]);
      samples.push_back(static_cast<std::int32_t>(row));
    }
  }
  const LatentStore latents(LatentLayout({1, 1}),
                            {Tensor::from(parts[0], {kRows, 1}), Tensor::from(parts[1], {kRows, 1})},
                            Tensor::from(samples, {kRows, 2}));
  ResMlpNetwork network(
      {.dim = 2, .times = 2, .width = 64, .time_dim = 64, .groups = 8, .mults = {1}, .fourier = 4});
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
      const double t = static_cast<double>(tau.data<float>()[i]);
      n.data<float>()[i] = -(static_cast<float>(VpSde::std_dev(t)) * r.data<float>()[i] +
                             static_cast<float>(VpSde::mean(t)) * f.data<float>()[i]);
    }
    return n;
  };
  const Tensor test = pair(kStrong).tensor(4000, 6);
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

TEST_CASE("in-painting gap: one given or all but one") {
  CHECK(inpainting_conditions(1).empty());
  CHECK(inpainting_conditions(2) == std::vector<Subset>{1, 2});
  CHECK(inpainting_conditions(3) == std::vector<Subset>{1, 2, 4, 3, 5, 6});
  CHECK(inpainting_conditions(4) == std::vector<Subset>{1, 2, 4, 8, 0b0111, 0b1011, 0b1101, 0b1110});
}

}  // namespace mld
