#include "mld/evaluate/feature_set.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/base/error.h"
#include "engine/base/statistics.h"
#include "engine/ops/linear.h"
#include "engine/random/philox.h"

namespace mld {
namespace {

constexpr std::size_t kBlocks = 20;
constexpr std::int64_t kPortion = 32;  // rows of a block that are summed together
constexpr int kReplicates = 100;
constexpr std::int64_t kSubsetRows = 1000, kSubsets = 20;
constexpr std::uint64_t kResampleSeed = 0x5eedf00d;
constexpr std::uint32_t kBlockSite = 2;  // 0 and 1 are the two sets

using Matrix = Eigen::MatrixXd;
using Rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

Eigen::Index index(std::int64_t i) { return static_cast<Eigen::Index>(i); }

Eigen::VectorXd mean_of(const FeatureMoments& m) {
  const std::vector<double> mean = m.mean();
  return Eigen::Map<const Eigen::VectorXd>(mean.data(), index(m.dim()));
}

Matrix covariance_of(const FeatureMoments& m) {
  const std::vector<double> covariance = m.covariance();
  return Eigen::Map<const Matrix>(covariance.data(), index(m.dim()), index(m.dim()));
}

// Mean of the kernel over all pairs of rows; over pairs of different rows if a set meets itself.
double mean_kernel(const Tensor& a, const Tensor& b, bool same) {
  const std::int64_t n = a.shape()[0], dim = a.shape()[1];
  const Tensor products = matmul(Var(a), Var(b), false, true).value;
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < n; ++j) {
      if (same && i == j) continue;
      const double k = static_cast<double>(products.data<float>()[i * n + j]) / static_cast<double>(dim) + 1;
      sum += k * k * k;
    }
  return sum / static_cast<double>(same ? n * (n - 1) : n * n);
}

// Rows order(first), order(first + 1), ..
Tensor pick_rows(std::span<const float> rows, std::int64_t dim, const Permutation& order, std::int64_t first,
                 std::int64_t count) {
  const Tensor picked = Tensor::empty({count, dim});
  for (std::int64_t i = 0; i < count; ++i)
    std::copy_n(rows.data() + static_cast<std::int64_t>(order(static_cast<std::uint64_t>(first + i))) * dim,
                dim, picked.data<float>() + i * dim);
  return picked;
}

// Drawn, as data may come in a regular order of their classes.
std::size_t block_of(std::int64_t item, std::size_t blocks) {
  const Words words = draw(kResampleSeed, kBlockSite, static_cast<std::uint32_t>(item >> 32),
                           static_cast<std::uint32_t>(item), 0);
  return words.v[0] % blocks;
}

FeatureMoments resampled(const std::vector<FeatureMoments>& blocks, std::uint32_t replicate,
                         std::uint32_t set) {
  FeatureMoments sum(blocks[0].dim());
  for (std::uint32_t k = 0; k < blocks.size(); ++k) {
    const Words words = draw(kResampleSeed, set, replicate, k, 0);
    sum.add(blocks[static_cast<std::size_t>(u01(words.v[0]) * static_cast<float>(blocks.size()))]);
  }
  return sum;
}

}  // namespace

FeatureMoments::FeatureMoments(std::int64_t dim)
    : dim_(dim), sum_(static_cast<std::size_t>(dim)), outer_(static_cast<std::size_t>(dim * dim)) {}

void FeatureMoments::add(std::span<const float> rows) {
  const auto n = static_cast<std::int64_t>(rows.size()) / dim_;
  const Matrix x = Eigen::Map<const Rows>(rows.data(), index(n), index(dim_)).cast<double>();
  Eigen::Map<Eigen::VectorXd>(sum_.data(), index(dim_)) += x.colwise().sum().transpose();
  Eigen::Map<Matrix> outer(outer_.data(), index(dim_), index(dim_));
  outer.selfadjointView<Eigen::Lower>().rankUpdate(x.transpose());
  count_ += n;
}

void FeatureMoments::add(const FeatureMoments& other) {
  for (std::size_t i = 0; i < sum_.size(); ++i) sum_[i] += other.sum_[i];
  for (std::size_t i = 0; i < outer_.size(); ++i) outer_[i] += other.outer_[i];
  count_ += other.count_;
}

std::vector<double> FeatureMoments::mean() const {
  std::vector<double> mean = sum_;
  for (double& v : mean) v /= static_cast<double>(count_);
  return mean;
}

std::vector<double> FeatureMoments::covariance() const {
  std::vector<double> out(outer_.size());
  const Eigen::Map<const Eigen::VectorXd> sum(sum_.data(), index(dim_));
  const Eigen::Map<const Matrix> outer(outer_.data(), index(dim_), index(dim_));
  Eigen::Map<Matrix> covariance(out.data(), index(dim_), index(dim_));
  covariance = outer.selfadjointView<Eigen::Lower>();
  covariance -= sum * sum.transpose() / static_cast<double>(count_);
  covariance /= static_cast<double>(count_ - 1);
  return out;
}

double frechet_distance(const FeatureMoments& a, const FeatureMoments& b) {
  MLD_CHECK(a.dim() == b.dim() && a.count() > 1 && b.count() > 1, "frechet distance: ", a.count(),
            " rows of ", a.dim(), " and ", b.count(), " of ", b.dim());
  const Matrix s = covariance_of(a), t = covariance_of(b);
  const Eigen::SelfAdjointEigenSolver<Matrix> solver(s);
  const Eigen::VectorXd root = solver.eigenvalues().cwiseMax(0).cwiseSqrt();
  // V^T (S^1/2 T S^1/2) V with S = V diag V^T has the same eigenvalues.
  Matrix middle = solver.eigenvectors().transpose() * t * solver.eigenvectors();
  middle = root.asDiagonal() * middle * root.asDiagonal();
  const Eigen::SelfAdjointEigenSolver<Matrix> product(middle, Eigen::EigenvaluesOnly);
  return (mean_of(a) - mean_of(b)).squaredNorm() + s.trace() + t.trace() -
         2 * product.eigenvalues().cwiseMax(0).cwiseSqrt().sum();
}

KernelDistance kernel_distance(std::span<const float> a, std::span<const float> b, std::int64_t dim) {
  const auto rows = static_cast<std::int64_t>(std::min(a.size(), b.size())) / dim;
  MLD_CHECK(rows >= 4, "kernel distance: ", rows, " rows, at least 4 expected");
  KernelDistance out{.subset = std::min(kSubsetRows, rows / 2), .subsets = kSubsets};
  Moments values;
  for (std::uint64_t k = 0; k < kSubsets; ++k) {
    const Permutation order(static_cast<std::uint64_t>(rows), kResampleSeed, k);
    const Tensor x = pick_rows(a, dim, order, 0, out.subset);
    const Tensor y = pick_rows(b, dim, order, out.subset, out.subset);
    values.add(mean_kernel(x, x, true) + mean_kernel(y, y, true) - 2 * mean_kernel(x, y, false));
  }
  const auto n = static_cast<double>(kSubsets);
  out.value = values.mean();
  // Subsets of a share f of the rows vary by s^2 (1 - f)/f around the value of all rows, which itself varies
  // by s^2 around the truth.
  const double share = static_cast<double>(out.subset) / static_cast<double>(rows);
  const double variance = values.spread() * n / (n - 1);
  out.error = std::sqrt(variance * (share / (1 - share) + 1 / n));
  return out;
}

FeatureSet::FeatureSet(std::int64_t dim)
    : dim_(dim),
      pending_(dim <= kLargestBlocked ? kBlocks : 2),
      blocks_(pending_.size(), FeatureMoments(dim)) {}

void FeatureSet::add(std::span<const float> rows) {
  std::vector<std::int64_t> items(rows.size() / static_cast<std::size_t>(dim_));
  std::iota(items.begin(), items.end(), count_);
  add(rows, items);
}

void FeatureSet::add(std::span<const float> rows, std::span<const std::int64_t> items) {
  const auto width = static_cast<std::size_t>(dim_);
  MLD_CHECK(rows.size() == items.size() * width, "features: ", rows.size(), " values are not ", items.size(),
            " rows of ", dim_);
  for (std::size_t k = 0; k < items.size(); ++k) {
    const auto row = rows.subspan(k * width, width);
    MLD_CHECK_AS(ErrorKind::diverged,
                 std::all_of(row.begin(), row.end(), [](float v) { return std::isfinite(v); }),
                 "features of sample ", count_, " are not finite; look at the samples themselves");
    const std::size_t block = block_of(items[k], blocks_.size());
    pending_[block].insert(pending_[block].end(), row.begin(), row.end());
    if (pending_[block].size() == static_cast<std::size_t>(kPortion) * width) {
      blocks_[block].add(pending_[block]);
      pending_[block].clear();
    }
    ++count_;
    if (std::ssize(rows_) < kRowsKept * dim_ && seen_.insert(items[k]).second)
      rows_.insert(rows_.end(), row.begin(), row.end());
  }
}

void FeatureSet::flush() const {
  for (std::size_t k = 0; k < blocks_.size(); ++k) {
    if (!pending_[k].empty()) blocks_[k].add(pending_[k]);
    pending_[k].clear();
  }
}

const std::vector<FeatureMoments>& FeatureSet::blocks() const {
  flush();
  return blocks_;
}

FeatureMoments FeatureSet::moments() const {
  FeatureMoments all(dim_);
  for (const FeatureMoments& block : blocks()) all.add(block);
  return all;
}

FeatureMoments FeatureSet::half(int which) const {
  FeatureMoments sum(dim_);
  for (std::size_t k = static_cast<std::size_t>(which); k < blocks().size(); k += 2) sum.add(blocks_[k]);
  return sum;
}

FeatureDistance feature_distance(const FeatureSet& real, const FeatureSet& made) {
  FeatureDistance out{.frechet = frechet_distance(real.moments(), made.moments()),
                      .kernel = kernel_distance(real.rows(), made.rows(), real.dim()),
                      .dim = real.dim(),
                      .real = real.count(),
                      .made = made.count()};
  if (const FeatureMoments a = real.half(0), b = real.half(1); a.count() > 1 && b.count() > 1)
    out.real_halves = frechet_distance(a, b);
  const auto filled = [](const FeatureSet& set) {
    return std::ranges::all_of(set.blocks(), [](const FeatureMoments& m) { return m.count() > 0; });
  };
  if (real.dim() > FeatureSet::kLargestBlocked || !filled(real) || !filled(made)) return out;
  std::vector<double> replicates;
  double sum = 0;
  for (std::uint32_t k = 0; k < kReplicates; ++k) {
    replicates.push_back(frechet_distance(resampled(real.blocks(), k, 0), resampled(made.blocks(), k, 1)));
    sum += replicates.back();
  }
  std::sort(replicates.begin(), replicates.end());
  const double shift = out.frechet - sum / kReplicates;
  out.low = std::max(0.0, replicates[kReplicates / 40] + shift);
  out.high = replicates[kReplicates - 1 - kReplicates / 40] + shift;
  return out;
}

}  // namespace mld
