// Mean, variance and standard error of numbers as they come.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace mld {

// Sums in double, in the order in which the numbers are added.
class Moments {
 public:
  void add(double value) {
    ++count_;
    sum_ += value;
    squares_ += value * value;
  }
  std::int64_t count() const { return count_; }
  double mean() const { return sum_ / n(); }
  // Mean squared distance from the mean (divisor n), held at 0 where rounding leaves less.
  double spread() const { return std::max(0.0, squares_ / n() - mean() * mean()); }
  double variance() const { return (squares_ - sum_ * sum_ / n()) / (n() - 1); }  // unbiased; not held at 0
  double standard_error() const { return std::sqrt(spread() / (n() - 1)); }       // of the mean

 private:
  double n() const { return static_cast<double>(count_); }

  std::int64_t count_ = 0;
  double sum_ = 0, squares_ = 0;
};

}  // namespace mld
