#include "engine/base/statistics.h"

#include <doctest/doctest.h>

#include <cmath>

TEST_CASE("moments: mean, variance and standard error of 1, 2, 4, 9") {
  mld::Moments m;
  for (const double v : {1, 2, 4, 9}) m.add(v);
  CHECK(m.count() == 4);
  CHECK(m.mean() == 4);
  CHECK(m.spread() == 9.5);  // (9 + 4 + 0 + 25) / 4
  CHECK(m.variance() == doctest::Approx(38.0 / 3));
  CHECK(m.standard_error() == doctest::Approx(std::sqrt(38.0 / 12)));
  mld::Moments equal;  // of which rounding leaves a little less than 0
  for (int i = 0; i < 3; ++i) equal.add(0.1);
  CHECK(equal.spread() >= 0);
  CHECK(equal.standard_error() < 1e-8);
}
