#include "data/store/pairing.h"

#include <algorithm>

#include "engine/base/error.h"
#include "engine/random/philox.h"

namespace mld::data {

std::vector<std::vector<std::int32_t>> items_by_class(std::span<const std::int32_t> labels,
                                                      std::int64_t classes) {
  std::vector<std::vector<std::int32_t>> items(static_cast<std::size_t>(classes));
  for (std::size_t i = 0; i < labels.size(); ++i)
    if (labels[i] >= 0) items.at(static_cast<std::size_t>(labels[i])).push_back(static_cast<std::int32_t>(i));
  return items;
}

Pairing pair_by_class(std::span<const std::int32_t> labels_a, std::span<const std::int32_t> labels_b,
                      std::int64_t classes, const PairingOptions& options) {
  MLD_CHECK_AS(ErrorKind::usage, options.repetitions >= 1 && options.max_per_class >= 1,
               "pairing: ", options.repetitions, " repetitions of at most ", options.max_per_class,
               " items per class, expected positive numbers");
  const auto a = items_by_class(labels_a, classes), b = items_by_class(labels_b, classes);
  std::vector<std::int64_t> kept;
  std::int64_t pairs = 0;
  for (std::size_t c = 0; c < a.size(); ++c) {
    kept.push_back(std::min({std::ssize(a[c]), std::ssize(b[c]), options.max_per_class}));
    pairs += kept.back();
  }
  MLD_CHECK_AS(ErrorKind::data, pairs > 0, "pairing: the two sets have no class in common");
  MLD_CHECK_AS(ErrorKind::data, pairs <= INT32_MAX / options.repetitions, "pairing: ", pairs, " pairs times ",
               options.repetitions, " repetitions are more than ", INT32_MAX);
  Pairing result;
  result.repetitions = options.repetitions;
  result.index.reserve(static_cast<std::size_t>(2 * pairs * options.repetitions));
  result.labels.reserve(static_cast<std::size_t>(pairs * options.repetitions));
  for (std::int64_t repetition = 0; repetition < options.repetitions; ++repetition) {
    for (std::size_t c = 0; c < kept.size(); ++c) {
      if (kept[c] == 0) continue;
      // One number per (repetition, class, stream, side) keys each permutation; fewer
      // repetitions are a prefix.
      const auto draw = static_cast<std::uint64_t>(repetition * classes) + c;
      const std::uint64_t key = (draw << 32) + 2 * std::uint64_t{options.stream};
      const auto count = static_cast<std::uint64_t>(kept[c]);
      const Permutation order_a(count, options.seed, key), order_b(count, options.seed, key + 1);
      for (std::uint64_t i = 0; i < count; ++i) {
        result.index.push_back(a[c][order_a(i)]);
        result.index.push_back(b[c][order_b(i)]);
        result.labels.push_back(static_cast<std::int32_t>(c));
      }
    }
  }
  return result;
}

}  // namespace mld::data
