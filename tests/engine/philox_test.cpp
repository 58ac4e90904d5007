#include "engine/random/philox.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "engine/base/error.h"

namespace {

using mld::Floats;
using mld::Permutation;
using mld::Words;

constexpr std::uint64_t kSeed = 0x0123456789abcdef;

std::vector<float> normal_row(std::int64_t n, std::uint64_t seed, std::uint32_t site, std::uint32_t step,
                              std::uint32_t row) {
  std::vector<float> out(static_cast<std::size_t>(n));
  mld::fill_row(out.data(), n, seed, site, step, row, mld::normal4);
  return out;
}

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

// sqrt(n) times the Kolmogorov-Smirnov distance to a distribution; above 1.95 with probability 0.001.
template <class F>
double kolmogorov_smirnov(std::vector<float> x, F cdf) {
  std::sort(x.begin(), x.end());
  const double n = static_cast<double>(x.size());
  double distance = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double p = cdf(static_cast<double>(x[i])), k = static_cast<double>(i);
    distance = std::max({distance, p - k / n, (k + 1) / n - p});
  }
  return distance * std::sqrt(n);
}

double chi_square(const std::vector<std::int64_t>& counts) {
  double total = 0, sum = 0;
  for (const auto count : counts) total += static_cast<double>(count);
  const double expected = total / static_cast<double>(counts.size());
  for (const auto count : counts) sum += std::pow(static_cast<double>(count) - expected, 2) / expected;
  return sum;
}

// What chi-square exceeds with probability 0.001 (Wilson and Hilferty).
double chi_square_limit(std::size_t cells) {
  const double k = static_cast<double>(cells - 1);
  return k * std::pow(1 - 2 / (9 * k) + 3.0902 * std::sqrt(2 / (9 * k)), 3);
}

// Correlation times sqrt(n): a standard normal for independent samples.
double correlation(const std::vector<float>& a, const std::vector<float>& b) {
  const double n = static_cast<double>(a.size());
  double sa = 0, sb = 0, saa = 0, sbb = 0, sab = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    sa += x, sb += y, saa += x * x, sbb += y * y, sab += x * y;
  }
  return (sab - sa * sb / n) / std::sqrt((saa - sa * sa / n) * (sbb - sb * sb / n)) * std::sqrt(n);
}

std::vector<float> squares(std::vector<float> x) {
  for (float& v : x) v *= v;
  return x;
}

std::tuple<std::uint32_t, std::uint32_t, std::uint32_t, std::uint32_t> as_tuple(Words w) {
  return {w.v[0], w.v[1], w.v[2], w.v[3]};
}

TEST_CASE("philox: the known answers published with Random123") {
  CHECK(as_tuple(mld::philox4x32_10({{0, 0, 0, 0}}, 0, 0)) ==
        as_tuple({{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}));
  CHECK(as_tuple(
            mld::philox4x32_10({{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}}, 0xffffffff, 0xffffffff)) ==
        as_tuple({{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}));
  CHECK(as_tuple(
            mld::philox4x32_10({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0)) ==
        as_tuple({{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}));
}

TEST_CASE("philox: draw places block, row, site, step in the counter and the seed in the key") {
  const std::uint64_t seed = 0x299f31d0a4093822;
  CHECK(as_tuple(mld::draw(seed, 0x13198a2e, 0x03707344, 0x85a308d3, 0x243f6a88)) ==
        as_tuple({{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}));
}

TEST_CASE("philox: ranges of the uniforms") {
  CHECK(mld::u01(0) == 0.0f);
  CHECK(mld::u01(0xffffffff) == 1 - 0x1p-24f);
  CHECK(mld::u01(0x80000000) == 0.5f);
  CHECK(mld::u01_open(0) == 0x1p-31f);
  CHECK(mld::u01_open(0xffffffff) == 1.0f);
  CHECK(mld::u01_open(0x80000000) == doctest::Approx(0.5));
  CHECK(mld::u01_double(0, 0) == 0.0);
  CHECK(mld::u01_double(0xffffffff, 0xffffffff) == 1 - 0x1p-53);
  CHECK(mld::u01_double(0x40000000, 0) == 0.25);
}

TEST_CASE("philox: fill_row gives element e the word e % 4 of block e / 4, for every length") {
  for (const std::int64_t n : {0, 1, 2, 3, 4, 5, 31, 32, 33, 80, 129}) {
    std::vector<float> out(static_cast<std::size_t>(n) + 1, 7.0f);
    mld::fill_row(out.data(), n, kSeed, 3, 4, 5, mld::uniform4);
    for (std::size_t e = 0; e < static_cast<std::size_t>(n); ++e)
      REQUIRE(out[e] == mld::u01(mld::draw(kSeed, 3, 4, 5, static_cast<std::uint32_t>(e / 4)).v[e % 4]));
    CHECK(out.back() == 7.0f);

    mld::fill_row(out.data(), n, kSeed, 3, 4, 5, mld::normal4);
    for (std::size_t e = 0; e < static_cast<std::size_t>(n); ++e)
      REQUIRE(out[e] == mld::normal4(mld::draw(kSeed, 3, 4, 5, static_cast<std::uint32_t>(e / 4))).v[e % 4]);
    CHECK(out.back() == 7.0f);
  }
}

TEST_CASE("philox: uniforms are uniform, as floats and bit by bit") {
  constexpr std::int64_t kCount = 1 << 18;
  std::vector<float> u(kCount);
  mld::fill_row(u.data(), kCount, kSeed, 1, 2, 3, mld::uniform4);
  CHECK(kolmogorov_smirnov(u, [](double x) { return x; }) < 1.95);

  std::array<std::vector<std::int64_t>, 4> bytes;  // of the whole words, since u01 drops the lowest
  bytes.fill(std::vector<std::int64_t>(256));
  for (std::uint32_t block = 0; block < 1 << 16; ++block)
    for (const std::uint32_t word : mld::draw(kSeed, 1, 2, 3, block).v)
      for (std::size_t k = 0; k < 4; ++k) ++bytes[k][word >> (8 * k) & 255];
  for (const auto& counts : bytes) CHECK(chi_square(counts) < chi_square_limit(256));

  double mean = 0, square = 0;
  for (std::uint32_t block = 0; block < 1 << 16; ++block) {
    const Words w = mld::draw(kSeed, 2, 2, 3, block);
    const double x = mld::u01_double(w.v[0], w.v[1]);
    mean += x / 65536, square += x * x / 65536;
  }
  CHECK(std::fabs(mean - 0.5) < 4 * std::sqrt(1 / 12.0 / 65536));
  CHECK(std::fabs(square - 1 / 3.0) < 4 * std::sqrt(4 / 45.0 / 65536));
}

TEST_CASE("philox: normals have the normal distribution") {
  constexpr std::int64_t kCount = 1 << 20;
  const auto x = normal_row(kCount, kSeed, 1, 2, 3);
  double moment[5] = {};
  for (const float v : x)
    for (int k = 1; k <= 4; ++k) moment[k] += std::pow(static_cast<double>(v), k) / kCount;
  const double sigma = 1 / std::sqrt(static_cast<double>(kCount));  // variances of x^k: 1, 2, 15, 96
  CHECK(std::fabs(moment[1]) < 4 * sigma);
  CHECK(std::fabs(moment[2] - 1) < 4 * std::sqrt(2.0) * sigma);
  CHECK(std::fabs(moment[3]) < 4 * std::sqrt(15.0) * sigma);
  CHECK(std::fabs(moment[4] - 3) < 4 * std::sqrt(96.0) * sigma);
  CHECK(kolmogorov_smirnov(x, normal_cdf) < 1.95);

  // Each of the four places in a block alone, and the far tail, where the distance above sees nothing.
  std::int64_t beyond_4 = 0;
  for (std::size_t place = 0; place < 4; ++place) {
    std::vector<float> part;
    for (std::size_t i = place; i < x.size(); i += 4) part.push_back(x[i]);
    CHECK(kolmogorov_smirnov(part, normal_cdf) < 1.95);
  }
  for (const float v : x) beyond_4 += std::fabs(v) > 4;
  const double expected = 2 * normal_cdf(-4) * kCount;  // 66
  CHECK(std::fabs(static_cast<double>(beyond_4) - expected) < 4 * std::sqrt(expected));
}

// Box-Muller in double from the same uniforms.
std::array<double, 2> exact_pair(std::uint32_t a, std::uint32_t b) {
  const double radius = std::sqrt(-2 * std::log(static_cast<double>(mld::u01_open(a))));
  const auto quarters = static_cast<std::int32_t>((b >> 8) + (1u << 21)) >> 22;  // nearest quarter turn
  const double angle = 1.57079632679489661923 * (4.0 * static_cast<double>(mld::u01(b)) - quarters);
  const double c = std::cos(angle), s = std::sin(angle);
  switch (quarters & 3) {
    case 0:
      return {radius * c, radius * s};
    case 1:
      return {-radius * s, radius * c};
    case 2:
      return {-radius * c, -radius * s};
    default:
      return {radius * s, -radius * c};
  }
}

TEST_CASE("philox: normals are finite at the ends and within 4 ulp of the exact transform") {
  const std::uint32_t words[] = {0,          1,          2,          255,        256,        0x3fffffff,
                                 0x40000000, 0x7fffffff, 0x80000000, 0x80000001, 0xbfffffff, 0xc0000000,
                                 0xfffffeff, 0xffffff00, 0xfffffffe, 0xffffffff};
  for (const auto a : words)
    for (const auto b : words)
      for (const float z : mld::normal4({{a, b, b, a}}).v) REQUIRE(std::fabs(z) <= 6.5556f);
  CHECK(mld::normal4({{0, 0, 0, 0}}).v[0] == doctest::Approx(std::sqrt(62 * std::log(2.0))));

  double worst = 0;
  for (std::uint32_t block = 0; block < 1 << 17; ++block) {
    const Words w = mld::draw(kSeed, 1, 2, 3, block);
    const Floats z = mld::normal4(w);
    for (std::size_t i = 0; i < 4; ++i) {
      const double want = exact_pair(w.v[i & 2], w.v[(i & 2) + 1])[i & 1];
      if (want == 0) continue;
      worst = std::max(
          worst, std::fabs(static_cast<double>(z.v[i]) - want) / std::ldexp(1.0, std::ilogb(want) - 23));
    }
  }
  CHECK(worst <= 4);
}

TEST_CASE("philox: rows, sites, steps, seeds and neighbouring elements are independent") {
  constexpr std::int64_t kCount = 1 << 16;
  const auto base = normal_row(kCount + 8, kSeed, 1, 2, 3);
  const std::vector<float> head(base.begin(), base.begin() + kCount);
  std::vector<std::vector<float>> others = {
      normal_row(kCount, kSeed, 1, 2, 4),                // row
      normal_row(kCount, kSeed, 1, 3, 3),                // step
      normal_row(kCount, kSeed, 2, 2, 3),                // site
      normal_row(kCount, kSeed, 2, 1, 3),                // site and step exchanged
      normal_row(kCount, kSeed, 3, 2, 1),                // site and row exchanged
      normal_row(kCount, kSeed + 1, 1, 2, 3),            // seed, low half
      normal_row(kCount, kSeed ^ 1ull << 32, 1, 2, 3)};  // seed, high half
  for (std::ptrdiff_t lag = 1; lag <= 8; ++lag)
    others.emplace_back(base.begin() + lag, base.begin() + lag + kCount);
  for (const auto& other : others) {
    CHECK(std::fabs(correlation(head, other)) < 4);
    CHECK(std::fabs(correlation(squares(head), squares(other))) < 4);  // Box-Muller pairs share a radius
  }

  // Across rows, element by element: how a batch of short rows is used.
  std::vector<float> first, second;
  for (std::uint32_t row = 0; row < 20000; ++row) {
    const auto x = normal_row(5, kSeed, 1, 2, row);
    first.push_back(x[0]), second.push_back(x[4]);
  }
  CHECK(kolmogorov_smirnov(first, normal_cdf) < 1.95);
  CHECK(std::fabs(correlation(first, second)) < 4);
}

TEST_CASE("permutation: a bijection for every size") {
  for (std::uint64_t n = 1; n <= 1100; n += n < 70 ? 1 : 103)
    for (const std::uint64_t epoch : {0ull, 1ull, 2ull}) {
      const Permutation p(n, kSeed, epoch);
      CHECK(p.size() == n);
      std::vector<bool> seen(n);
      for (std::uint64_t i = 0; i < n; ++i) {
        const std::uint64_t image = p(i);
        REQUIRE(image < n);
        REQUIRE(!seen[image]);
        seen[image] = true;
      }
    }
  for (const std::uint64_t n : {65535ull, 65536ull, 65537ull, 560680ull}) {
    const Permutation p(n, kSeed, 7);
    std::vector<bool> seen(n);
    for (std::uint64_t i = 0; i < n; ++i) {
      const std::uint64_t image = p(i);
      REQUIRE((image < n && !seen[image]));
      seen[image] = true;
    }
  }
  for (const std::uint64_t n : {(1ull << 63) + 1, ~0ull}) {  // too large to walk through
    const Permutation p(n, kSeed, 7);
    std::set<std::uint64_t> images;
    for (std::uint64_t i = 0; i < 1000; ++i) images.insert(p(n - 1 - i * i));
    CHECK(images.size() == 1000);
    CHECK(*images.rbegin() < n);
  }
  CHECK_THROWS_AS(Permutation(0, kSeed, 0), mld::Error);
}

TEST_CASE("permutation: places are uniform, for one element and for a pair") {
  for (const std::uint64_t n : {2ull, 3ull, 5ull, 10ull, 16ull, 100ull}) {
    CAPTURE(n);
    std::vector<std::int64_t> first(n), last(n), step(n - 1);
    for (std::uint64_t epoch = 0; epoch < 400 * n; ++epoch) {
      const Permutation p(n, kSeed, epoch);
      ++first[p(0)];
      ++last[p(n - 1)];
      ++step[(p(1) + n - p(0)) % n - 1];  // the distance of two neighbours, 1..n-1
    }
    CHECK(chi_square(first) < chi_square_limit(n));
    CHECK(chi_square(last) < chi_square_limit(n));
    if (n > 2) CHECK(chi_square(step) < chi_square_limit(n - 1));
  }

  std::map<std::array<std::uint64_t, 4>, std::int64_t> orders;  // all 24 of four elements
  for (std::uint64_t epoch = 0; epoch < 24 * 400; ++epoch) {
    const Permutation p(4, kSeed, epoch);
    ++orders[{p(0), p(1), p(2), p(3)}];
  }
  std::vector<std::int64_t> counts;
  for (const auto& [order, count] : orders) counts.push_back(count);
  CHECK(counts.size() == 24);
  CHECK(chi_square(counts) < chi_square_limit(24));
}

TEST_CASE("permutation: epochs and seeds give different orders, and no trace of the index remains") {
  constexpr std::uint64_t kCount = 10000;
  const auto order = [&](std::uint64_t seed, std::uint64_t epoch) {
    const Permutation p(kCount, seed, epoch);
    std::vector<float> x(kCount);
    for (std::uint64_t i = 0; i < kCount; ++i) x[i] = static_cast<float>(p(i));
    return x;
  };
  std::vector<float> index(kCount);
  for (std::uint64_t i = 0; i < kCount; ++i) index[i] = static_cast<float>(i);
  const auto base = order(kSeed, 0);
  CHECK(base == order(kSeed, 0));
  CHECK(std::fabs(correlation(base, index)) < 4);
  for (const auto& other : {order(kSeed, 1), order(kSeed, 1ull << 32), order(kSeed + 1, 0)}) {
    CHECK(base != other);
    CHECK(std::fabs(correlation(base, other)) < 4);
  }
}

}  // namespace
