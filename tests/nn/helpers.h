// What the tests of this room share: seeded values and comparisons.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>

#include <string>
#include <utility>
#include <vector>

#include "engine/core/tensor.h"
#include "tests/devices.h"
#include "tests/expect_error.h"
#include "tests/temp_folder.h"

namespace mld::test {

inline std::vector<double> values(std::int64_t n, std::uint64_t seed, double lo = -1, double hi = 1) {
  std::vector<double> v;
  std::uint64_t x = seed * 2654435761 + 88172645463325252;
  for (std::int64_t i = 0; i < n; ++i) {
    x ^= x << 13U;
    x ^= x >> 7U;
    x ^= x << 17U;
    v.push_back(lo + (hi - lo) * static_cast<double>(x >> 40U) / static_cast<double>(1U << 24U));
  }
  return v;
}

inline Tensor random(const Shape& shape, std::uint64_t seed, DType dtype = DType::f64, Device device = kCpu) {
  return Tensor::from(values(shape.numel(), seed), shape).to(dtype).to(device);
}

// Host copy, as doubles.
inline std::vector<double> host(const Tensor& t) {
  const Tensor copy = t.to(kCpu).to(DType::f64);
  return {copy.data<double>(), copy.data<double>() + copy.numel()};
}

inline bool near(double a, double b, double tolerance) {
  return std::abs(a - b) <= tolerance * std::max(1.0, std::abs(b));
}

inline void check_near(const std::vector<double>& found, const std::vector<double>& expected,
                       double tolerance) {
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    INFO("element " << i << ": " << found[i] << " instead of " << expected[i]);
    CHECK(near(found[i], expected[i], tolerance));
  }
}

}  // namespace mld::test
