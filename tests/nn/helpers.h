// What the tests of this room share: seeded values and comparisons.
#pragma once

#include <doctest/doctest.h>

#include <unistd.h>
#include <cmath>
#include <cstdint>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "engine/core/tensor.h"
#include "tests/devices.h"

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

// The message of the mld::Error that f throws; fails if it does not or if its kind is another.
template <class F>
std::string error_of(ErrorKind kind, F&& f) {
  try {
    f();
  } catch (const Error& e) {
    CHECK(static_cast<int>(e.kind()) == static_cast<int>(kind));
    return e.what();
  }
  FAIL("no error");
  return {};
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// A folder that is removed at the end.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const std::string& name)
      : path_(std::filesystem::temp_directory_path() /
              ("mld-test-" + std::to_string(::getpid()) + "-" + name)) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace mld::test
