#include "data/sources/test_rows.h"

#include <cmath>

#include "engine/base/error.h"
#include "engine/random/philox.h"

namespace mld::data {

std::array<std::vector<std::int32_t>, 2> split_rows(std::int64_t n, double test_fraction,
                                                    std::uint64_t seed) {
  MLD_CHECK_AS(ErrorKind::usage, test_fraction >= 0 && test_fraction < 1, "import: test fraction ",
               test_fraction, ", expected 0 to below 1");
  const auto test = static_cast<std::int64_t>(std::llround(test_fraction * static_cast<double>(n)));
  MLD_CHECK_AS(ErrorKind::usage, test < n, "import: test fraction ", test_fraction, " of ", n,
               " samples leaves nothing to train on");
  const Permutation order(static_cast<std::uint64_t>(n), seed, 0);
  std::vector<bool> in_test(order.size());
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(test); ++i) in_test[order(i)] = true;
  std::array<std::vector<std::int32_t>, 2> rows;
  for (std::size_t i = 0; i < in_test.size(); ++i) rows[in_test[i]].push_back(static_cast<std::int32_t>(i));
  return rows;
}

}  // namespace mld::data
