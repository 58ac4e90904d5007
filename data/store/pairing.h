// Pairs items of two labelled sets by class, as MNIST-SVHN is made: for every class n = min(#a, #b, cap);
// the first n items of each set (in their order) are kept; then, for every repetition, both lists are
// permuted independently and paired position by position. Hence each kept item stands in exactly one pair
// of every repetition.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mld::data {

// Items of each class, in their order; those of class -1 are left out.
std::vector<std::vector<std::int32_t>> items_by_class(std::span<const std::int32_t> labels,
                                                      std::int64_t classes);

struct PairingOptions {
  std::int64_t repetitions = 20;
  std::int64_t max_per_class = 10000;
  std::uint64_t seed = 0;
  std::uint32_t stream = 0;  // another one for every split, so that splits are drawn independently
};

struct Pairing {
  std::vector<std::int32_t> index;   // [S, 2] item of a, item of b
  std::vector<std::int32_t> labels;  // [S]
  std::int64_t repetitions = 0;      // rows [r S/R, (r+1) S/R) are repetition r, classes ascending inside
};

// Labels are -1 (unknown: never paired) or 0 .. classes-1. A function of the labels and the options alone. No
// common class, or more than 2^31-1 pairs, is an ErrorKind::data error; a non-positive option an
// ErrorKind::usage error.
Pairing pair_by_class(std::span<const std::int32_t> labels_a, std::span<const std::int32_t> labels_b,
                      std::int64_t classes, const PairingOptions& options);

}  // namespace mld::data
