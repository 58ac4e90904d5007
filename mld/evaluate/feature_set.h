// Sets of feature rows and the distances between them (docs/method.md section 18.2). What is kept of a set
// does not grow with its size: sums for mean and covariance, in double and over blocks of rows, and the first
// rows for the kernel distance. Rows are dealt to blocks by the number of the item they come of, so that rows
// of one item are resampled together, and summed in portions of fixed size: neither the portions they arrive
// in nor the threads show in any result.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_set>
#include <vector>

namespace mld {

// Count, sum and sum of outer products of rows [n, dim].
class FeatureMoments {
 public:
  explicit FeatureMoments(std::int64_t dim);
  void add(std::span<const float> rows);
  void add(const FeatureMoments& other);

  std::int64_t dim() const { return dim_; }
  std::int64_t count() const { return count_; }
  std::vector<double> mean() const;
  std::vector<double> covariance() const;  // [dim,dim], divisor n - 1

 private:
  std::int64_t dim_, count_ = 0;
  std::vector<double> sum_, outer_;  // of outer_ the lower triangle
};

// Squared Frechet distance of the Gaussians with these moments,
//   |mu - mu'|^2 + tr S + tr S' - 2 sum_k sqrt(lambda_k(S^1/2 S' S^1/2)),
// in the symmetric form, with negative eigenvalues of rounding taken as 0. Both need two rows.
double frechet_distance(const FeatureMoments& a, const FeatureMoments& b);

// Squared maximum mean discrepancy with the kernel (x.y / dim + 1)^3, unbiased (Binkowski et al. 2018,
// arXiv 1801.01401): mean over subsets of rows drawn without replacement, and its standard error, that of the
// rows themselves included. Rows of one number may belong together, as an item and its reconstruction: no
// subset of the one set meets its partners in the other, which would bias the distance downwards.
struct KernelDistance {
  double value = 0, error = 0;
  std::int64_t subset = 0, subsets = 0;
};
KernelDistance kernel_distance(std::span<const float> a, std::span<const float> b, std::int64_t dim);

class FeatureSet {
 public:
  static constexpr std::int64_t kRowsKept = 10'000;     // for the kernel distance
  static constexpr std::int64_t kLargestBlocked = 512;  // dim up to which there are blocks to resample

  explicit FeatureSet(std::int64_t dim);
  // Rows [n, dim] and the item that each comes of: the number of the first row of that item, so of its own
  // where no item comes twice. ErrorKind::diverged for a row with a value that is not finite.
  void add(std::span<const float> rows, std::span<const std::int64_t> items);
  void add(std::span<const float> rows);  // each of an item of its own

  std::int64_t dim() const { return dim_; }
  std::int64_t count() const { return count_; }
  FeatureMoments moments() const;
  FeatureMoments half(int which) const;  // of every second block, 0 or 1: halves that share no item
  const std::vector<FeatureMoments>& blocks() const;
  std::span<const float> rows() const { return rows_; }  // of each item the first

 private:
  void flush() const;

  std::int64_t dim_, count_ = 0;
  std::vector<float> rows_;
  std::unordered_set<std::int64_t> seen_;            // items of rows_
  mutable std::vector<std::vector<float>> pending_;  // of each block, not yet summed
  mutable std::vector<FeatureMoments> blocks_;
};

// The distance of what was made from what is real.
struct FeatureDistance {
  double frechet = 0;
  // 95 %: blocks of both sets resampled, shifted by what resampling adds to the mean. Not for large features,
  // nor for so few rows that a block is empty.
  std::optional<double> low = {}, high = {};
  KernelDistance kernel;
  // Frechet distance between two halves of the real items: what no model can be below. Not for fewer than two
  // rows in a half.
  std::optional<double> real_halves = {};
  std::int64_t dim = 0, real = 0, made = 0;  // rows
};
// Both need 4 items.
FeatureDistance feature_distance(const FeatureSet& real, const FeatureSet& made);

}  // namespace mld
