// Accuracy of engine/math/vecmath.h against the C library in double, over a stride through all bit patterns
// of a float. MLDTEST_EXHAUSTIVE=1 takes every pattern instead (a few minutes) and prints the largest error of
// each function.
#include "engine/math/vecmath.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/threads/threads.h"

namespace {

namespace math = mld::math;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr double kWrong = 1e30;  // a wrong special value

bool exhaustive() {
  const char* value = std::getenv("MLDTEST_EXHAUSTIVE");
  return value != nullptr && std::string_view(value) == "1";
}

double ulp_error(float got, double want) {
  if (std::isnan(want)) return std::isnan(got) ? 0 : kWrong;
  if (std::isnan(got)) return kWrong;
  const float rounded = static_cast<float>(want);
  if (std::isinf(rounded) || std::isinf(got)) return got == rounded ? 0 : kWrong;
  if (want == 0) return got == 0 && std::signbit(got) == std::signbit(want) ? 0 : kWrong;
  const auto exponent = static_cast<int>(std::bit_cast<std::uint64_t>(want) >> 52 & 0x7ff) - 1023;
  const auto inverse_ulp = static_cast<std::uint64_t>(1023 - std::max(exponent - 23, -149)) << 52;
  return std::fabs(got - want) * std::bit_cast<double>(inverse_ulp);
}

struct Worst {
  double ulp = 0;
  float at = 0;
  void join(double error, float x) {
    if (error > ulp) ulp = error, at = x;
  }
};

// Largest error of f against g over the floats of magnitude up to `limit` (and NaN if it is infinite).
template <class F, class G>
Worst worst_over_floats(F f, G g, float limit = kInf) {
  constexpr std::int64_t kPatterns = std::int64_t{1} << 32;
  constexpr std::int64_t kChunk = 4096;
  const std::int64_t stride = exhaustive() ? 1 : 997;
  const std::int64_t chunks = (kPatterns + stride * kChunk - 1) / (stride * kChunk);
  Worst worst;
  std::mutex joining;
  mld::parallel_for(chunks, [&](std::int64_t c) {
    float x[kChunk], y[kChunk];
    for (std::int64_t i = 0; i < kChunk; ++i) {
      x[i] = std::bit_cast<float>(static_cast<std::uint32_t>((c * kChunk + i) * stride));
      if (std::fabs(x[i]) > limit) x[i] = 0;
    }
    for (std::int64_t i = 0; i < kChunk; ++i) y[i] = f(x[i]);
    Worst mine;
    for (std::int64_t i = 0; i < kChunk; ++i) mine.join(ulp_error(y[i], g(static_cast<double>(x[i]))), x[i]);
    const std::lock_guard lock(joining);
    worst.join(mine.ulp, mine.at);
  });
  return worst;
}

template <class F, class G>
void check_accuracy(const std::string& name, F f, G g, double allowed, float limit = kInf) {
  const Worst worst = worst_over_floats(f, g, limit);
  CAPTURE(name);
  CAPTURE(worst.at);
  CHECK(worst.ulp <= allowed);
  if (exhaustive()) MESSAGE(name, ": ", worst.ulp, " ulp at ", worst.at);
}

// The bounds are the contract's 2 ulp, tightened to what an exhaustive run measured, rounded up.
TEST_CASE("vecmath: error against the C library in double") {
  check_accuracy(
      "exp", [](float x) { return math::exp(x); }, [](double x) { return std::exp(x); }, 1.05);
  check_accuracy(
      "expm1", [](float x) { return math::expm1(x); }, [](double x) { return std::expm1(x); }, 1.6);
  check_accuracy(
      "log", [](float x) { return math::log(x); }, [](double x) { return std::log(x); }, 0.95);
  check_accuracy(
      "log1p", [](float x) { return math::log1p(x); }, [](double x) { return std::log1p(x); }, 1.6);
  check_accuracy(
      "tanh", [](float x) { return math::tanh(x); }, [](double x) { return std::tanh(x); }, 1.55);
  check_accuracy(
      "erf", [](float x) { return math::erf(x); }, [](double x) { return std::erf(x); }, 1.1);
  check_accuracy(
      "sigmoid", [](float x) { return math::sigmoid(x); },
      [](double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }, 1.6);
}

TEST_CASE("vecmath: sin and cos, by size of the argument") {
  for (const float limit : {0x1p13f, 0x1p40f}) {
    CAPTURE(limit);
    check_accuracy(
        "sin", [](float x) { return math::sin(x); }, [](double x) { return std::sin(x); }, 1.6, limit);
    check_accuracy(
        "cos", [](float x) { return math::cos(x); }, [](double x) { return std::cos(x); }, 1.6, limit);
  }
  CHECK(std::isfinite(math::sin(0x1p40f)));
  CHECK(std::isnan(math::sin(std::nextafter(0x1p40f, kInf))));
  CHECK(std::isnan(math::cos(-std::nextafter(0x1p40f, kInf))));
}

// cos(2 pi u) from the exact distance to the nearest quarter turn, so that the oracle is good near its zeros.
double cos_turns(double u) {
  const double quarters = std::nearbyint(4 * u);
  const double angle = 1.57079632679489661923 * (4 * u - quarters);
  switch (static_cast<std::int64_t>(quarters) & 3) {
    case 0:
      return std::cos(angle);
    case 1:
      return -std::sin(angle);
    case 2:
      return -std::cos(angle);
    default:
      return std::sin(angle);
  }
}
double sin_turns(double u) { return cos_turns(u - 0.25); }

TEST_CASE("vecmath: sine and cosine of turns") {
  // u - 1/4 must be exact in double: every multiple of 2^-24 in [0,1) that the Box-Muller transform uses.
  const std::uint32_t stride = exhaustive() ? 1 : 19;
  Worst worst;
  for (std::uint32_t i = 0; i < 1u << 24; i += stride) {
    const float u = static_cast<float>(i) * 0x1p-24f;
    const auto y = math::sincos_2pi(u);
    for (const auto& [got, want] : {std::pair{y.sin, sin_turns(u)}, std::pair{y.cos, cos_turns(u)}})
      worst.join(want == 0 ? std::fabs(static_cast<double>(got)) : ulp_error(got, want), u);
  }
  for (int quarter = -8; quarter <= 8; ++quarter) {
    const auto y = math::sincos_2pi(0.25f * static_cast<float>(quarter));
    CHECK(y.sin == static_cast<float>(sin_turns(0.25 * quarter)));
    CHECK(y.cos == static_cast<float>(cos_turns(0.25 * quarter)));
  }
  CAPTURE(worst.at);
  CHECK(worst.ulp <= 1.6);
  if (exhaustive()) MESSAGE("sincos_2pi: ", worst.ulp, " ulp at ", worst.at);

  for (const float turns : {-0x1p20f, -3.75f, -0.25f, 1.0f, 2.5f, 1000.125f, 0x1p20f}) {
    CAPTURE(turns);
    CHECK(math::sincos_2pi(turns).sin == doctest::Approx(sin_turns(turns)).epsilon(1e-6));
    CHECK(math::sincos_2pi(turns).cos == doctest::Approx(cos_turns(turns)).epsilon(1e-6));
  }
}

TEST_CASE("vecmath: log_regular is log on its domain") {
  for (std::uint32_t bits = 0x00800000u; bits < 0x7f800000u; bits += 10007) {
    const float x = std::bit_cast<float>(bits);
    REQUIRE(math::log_regular(x) == math::log(x));
  }
}

void check_same(float got, float want) {
  CAPTURE(got);
  CAPTURE(want);
  if (std::isnan(want))
    CHECK(std::isnan(got));
  else
    CHECK(std::bit_cast<std::uint32_t>(got) == std::bit_cast<std::uint32_t>(want));
}

TEST_CASE("vecmath: special values, as C99 Annex F gives them") {
  for (auto f : {+[](float x) { return math::exp(x); }, +[](float x) { return math::expm1(x); },
                 +[](float x) { return math::log(x); }, +[](float x) { return math::log1p(x); },
                 +[](float x) { return math::tanh(x); }, +[](float x) { return math::erf(x); },
                 +[](float x) { return math::sin(x); }, +[](float x) { return math::cos(x); },
                 +[](float x) { return math::sigmoid(x); }}) {
    check_same(f(kNaN), kNaN);
    check_same(f(-kNaN), kNaN);
  }
  for (auto f : {+[](float x) { return math::expm1(x); }, +[](float x) { return math::log1p(x); },
                 +[](float x) { return math::tanh(x); }, +[](float x) { return math::erf(x); },
                 +[](float x) { return math::sin(x); }})
    for (const float x : {0.0f, -0.0f, 0x1p-149f, -0x1p-149f}) check_same(f(x), x);

  check_same(math::exp(kInf), kInf);
  check_same(math::exp(-kInf), 0.0f);
  check_same(math::exp(-0.0f), 1.0f);
  check_same(math::exp(0x1.62e430p+6f), kInf);              // the first argument that overflows
  check_same(math::exp(0x1.62e42ep+6f), 0x1.ffff08p+127f);  // the last that does not
  check_same(math::exp(-103.0f), 0x1p-149f);
  check_same(math::exp(-104.0f), 0.0f);
  check_same(math::expm1(kInf), kInf);
  check_same(math::expm1(-kInf), -1.0f);
  check_same(math::log(0.0f), -kInf);
  check_same(math::log(-0.0f), -kInf);
  check_same(math::log(1.0f), 0.0f);
  check_same(math::log(kInf), kInf);
  check_same(math::log(-1.0f), kNaN);
  check_same(math::log(-kInf), kNaN);
  check_same(math::log(-0x1p-149f), kNaN);
  check_same(math::log1p(-1.0f), -kInf);
  check_same(math::log1p(kInf), kInf);
  check_same(math::log1p(std::nextafter(-1.0f, -2.0f)), kNaN);
  check_same(math::log1p(-kInf), kNaN);
  check_same(math::tanh(kInf), 1.0f);
  check_same(math::tanh(-kInf), -1.0f);
  check_same(math::erf(kInf), 1.0f);
  check_same(math::erf(-kInf), -1.0f);
  check_same(math::sin(kInf), kNaN);
  check_same(math::cos(-kInf), kNaN);
  check_same(math::cos(0.0f), 1.0f);
  check_same(math::sigmoid(kInf), 1.0f);
  check_same(math::sigmoid(-kInf), 0.0f);
  check_same(math::sigmoid(0.0f), 0.5f);
}

TEST_CASE("vecmath: a value's bits do not depend on its place in a vectorised loop") {
  constexpr std::size_t kCount = 257;
  std::vector<float> x(kCount), y(kCount);
  for (std::size_t i = 0; i < kCount; ++i) x[i] = static_cast<float>(i) * 0.37f - 45.0f;
  for (auto f : {+[](const float*a, float*b, std::size_t n) {
                   for (std::size_t i = 0; i < n; ++i) b[i] = math::exp(a[i]);
                 },
                 +[](const float*a, float*b, std::size_t n) {
                   for (std::size_t i = 0; i < n; ++i) b[i] = math::log(a[i]) + math::log1p(a[i]);
                 },
                 +[](const float*a, float*b, std::size_t n) {
                   for (std::size_t i = 0; i < n; ++i) b[i] = math::tanh(a[i]) + math::erf(a[i]);
                 },
                 +[](const float*a, float*b, std::size_t n) {
                   for (std::size_t i = 0; i < n; ++i) b[i] = math::sin(a[i]) + math::sigmoid(a[i]);
                 }}) {
    f(x.data(), y.data(), kCount);
    for (std::size_t i = 0; i < kCount; ++i) {
      float alone = 0;
      f(&x[i], &alone, 1);
      check_same(alone, y[i]);
    }
  }
}

TEST_CASE("vecmath: the double overloads are the C library's") {
  for (const double x : {-2.5, -0.3, 0.0, 1e-9, 0.7, 30.0}) {
    CAPTURE(x);
    CHECK(math::exp(x) == std::exp(x));
    CHECK(math::expm1(x) == std::expm1(x));
    CHECK(math::log(x + 3) == std::log(x + 3));
    CHECK(math::log_regular(x + 3) == std::log(x + 3));
    CHECK(math::log1p(x + 2) == std::log1p(x + 2));
    CHECK(math::tanh(x) == std::tanh(x));
    CHECK(math::erf(x) == std::erf(x));
    CHECK(math::sin(x) == std::sin(x));
    CHECK(math::cos(x) == std::cos(x));
    CHECK(math::sigmoid(x) == doctest::Approx(1 / (1 + std::exp(-x))).epsilon(1e-15));
    CHECK(std::fabs(math::sincos_2pi(x).sin - sin_turns(x)) < 1e-14);
    CHECK(std::fabs(math::sincos_2pi(x).cos - cos_turns(x)) < 1e-14);
  }
  CHECK(math::sigmoid(-800.0) == 0);
}

}  // namespace
