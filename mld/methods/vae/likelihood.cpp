#include "mld/methods/vae/likelihood.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <span>

#include "engine/base/error.h"

namespace mld::vae {
namespace {

// f(k) summed over the `size` places k of each row.
template <class F>
std::vector<double> sums(std::int64_t rows, std::int64_t size, F f) {
  std::vector<double> out;
  for (std::int64_t row = 0; row < rows; ++row) {
    double sum = 0;
    for (std::int64_t k = row * size; k < (row + 1) * size; ++k) sum += f(k);
    out.push_back(sum);
  }
  return out;
}

// log N(apart; 0, exp(log_var))
double log_normal(double apart, double log_var) {
  return -0.5 * (apart * apart * std::exp(-log_var) + log_var + std::log(2 * std::numbers::pi));
}

// Over probabilities [N,...,K] of positions: log of the true number's share, held as the loss holds it. A position
// without a number (-1) counts nothing.
std::vector<double> log_mass(const Tensor& output, const Tensor& x) {
  constexpr double kLeast = std::numeric_limits<float>::epsilon();
  const std::int64_t rows = x.shape()[0], categories = output.numel() / x.numel();
  const float* p = output.data<float>();
  const auto* truth = x.data<std::int32_t>();
  return sums(rows, x.numel() / rows, [&](std::int64_t position) {
    if (truth[position] < 0) return 0.0;
    const std::span<const float> shares(p + position * categories, static_cast<std::size_t>(categories));
    const double all = std::accumulate(shares.begin(), shares.end(), 0.0);
    const double own = static_cast<double>(shares[static_cast<std::size_t>(truth[position])]);
    return std::log(std::clamp(own / all, kLeast, 1 - kLeast));
  });
}

}  // namespace

std::vector<double> log_density(const ModalityConfig& config, const Tensor& output, const Tensor& x) {
  const bool discrete = config.likelihood == Likelihood::categorical;
  MLD_CHECK(x.numel() > 0 && (discrete ? output.numel() % x.numel() == 0 : output.numel() == x.numel()),
            "likelihood: ", output.shape().str(), " of data ", x.shape().str());
  if (discrete) return log_mass(output, x);
  const float *y = output.data<float>(), *values = x.data<float>();
  const auto apart = [&](std::int64_t k) {
    return static_cast<double>(values[k]) - static_cast<double>(y[k]);
  };
  const std::int64_t rows = x.shape()[0], size = x.numel() / rows;
  switch (config.likelihood) {
    case Likelihood::laplace:
      return sums(rows, size, [&, constant = std::log(2 * config.scale)](std::int64_t k) {
        return -std::abs(apart(k)) / config.scale - constant;
      });
    case Likelihood::normal:
      return sums(rows, size, [&](std::int64_t k) { return log_normal(apart(k), -std::numbers::ln2); });
    case Likelihood::categorical:
      break;
  }
  fail(ErrorKind::internal, "likelihood: unknown");
}

std::vector<double> log_density(const Gaussian& q, const Tensor& z) {
  const float *mean = q.mean.value.data<float>(), *log_var = q.log_var.value.data<float>();
  const float* at = z.data<float>();
  return sums(z.shape()[0], z.shape()[1], [&](std::int64_t k) {
    return log_normal(static_cast<double>(at[k]) - static_cast<double>(mean[k]),
                      static_cast<double>(log_var[k]));
  });
}

std::vector<double> log_prior(const Tensor& z) {
  const float* at = z.data<float>();
  return sums(z.shape()[0], z.shape()[1],
              [&](std::int64_t k) { return log_normal(static_cast<double>(at[k]), 0); });
}

void LogMeanExp::add(const std::vector<double>& values) {
  MLD_CHECK(values.size() == sums_.size(), "likelihood: ", values.size(), " values of ", sums_.size(),
            " rows");
  for (std::size_t i = 0; i < values.size(); ++i) {
    Sum& s = sums_[i];
    if (count_ == 0 || values[i] > s.largest) {
      const double shrunk = count_ == 0 ? 0 : std::exp(s.largest - values[i]);
      s = {values[i], s.ones * shrunk + 1, s.squares * shrunk * shrunk + 1};
    } else {
      const double w = std::exp(values[i] - s.largest);
      s.ones += w;
      s.squares += w * w;
    }
  }
  ++count_;
}

std::vector<double> LogMeanExp::result() const {
  std::vector<double> out;
  for (const Sum& s : sums_) out.push_back(s.largest + std::log(s.ones / static_cast<double>(count_)));
  return out;
}

std::vector<double> LogMeanExp::effective() const {
  std::vector<double> out;
  for (const Sum& s : sums_) out.push_back(s.ones * s.ones / s.squares);
  return out;
}

}  // namespace mld::vae
