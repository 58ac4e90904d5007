#include "engine/ops/random.h"

#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <set>

#include "engine/random/philox.h"
#include "engine/threads/threads.h"
#include "tests/engine/op_test.h"

namespace mld {
namespace {

using test::check_error;
using test::same_bits;

const DrawKey kKey{.seed = 0x123456789abcdef0u, .step = 17, .site = 4};

DrawKey from_row(std::int64_t first_row) {
  DrawKey key = kKey;
  key.first_row = first_row;
  return key;
}

Tensor normal(const Shape& shape, DrawKey key = kKey, DType dtype = DType::f32) {
  const Tensor t = Tensor::empty(shape, dtype);
  fill_normal(t, key);
  return t;
}

Tensor uniform(const Shape& shape, DrawKey key = kKey) {
  const Tensor t = Tensor::empty(shape);
  fill_uniform(t, key);
  return t;
}

std::vector<double> doubles(const Tensor& t) {
  const Tensor d = t.to(DType::f64);
  return {d.data<double>(), d.data<double>() + d.numel()};
}

double mean_power(const std::vector<double>& v, int power) {
  double sum = 0;
  for (const double x : v) sum += std::pow(x, power);
  return sum / static_cast<double>(v.size());
}

// Largest distance between the empirical and the given distribution function (Kolmogorov and Smirnov).
double distance(std::vector<double> v, const std::function<double(double)>& cdf) {
  std::sort(v.begin(), v.end());
  const double n = static_cast<double>(v.size());
  double worst = 0;
  for (std::size_t i = 0; i < v.size(); ++i) {
    const double f = cdf(v[i]), below = static_cast<double>(i) / n;
    worst = std::max({worst, f - below, below + 1 / n - f});
  }
  return worst;
}

}  // namespace

TEST_CASE("fills: element e of row r comes from word e mod 4 of the counter {e/4, r, site, step}") {
  const Tensor u = uniform({3, 2, 5}), z = normal({3, 2, 5});
  for (std::uint32_t row = 0; row < 3; ++row)
    for (std::uint32_t e = 0; e < 10; ++e) {
      const Words w = philox4x32_10({{e / 4, row, kKey.site, kKey.step}}, 0x9abcdef0u, 0x12345678u);
      CHECK(u.data<float>()[row * 10 + e] == u01(w.v[e % 4]));
      CHECK(z.data<float>()[row * 10 + e] == normal4(w).v[e % 4]);
    }
}

TEST_CASE("fills: a row depends on its number only") {
  const Tensor all = normal({64, 37});
  CHECK(same_bits(normal({1, 37}, from_row(5)), all.rows(5, 1)));
  CHECK(same_bits(normal({3, 37}, from_row(61)), all.rows(61, 3)));
  CHECK(same_bits(normal({64, 20}).rows(9, 1), normal({20, 20}).rows(9, 1)));
  const Tensor chosen = Tensor::empty({3, 37});
  fill_normal(chosen, kKey, Tensor::from(std::vector<std::int32_t>{63, 0, 5}, {3}));
  CHECK(same_bits(chosen.rows(0, 1), all.rows(63, 1)));
  CHECK(same_bits(chosen.rows(1, 1), all.rows(0, 1)));
  CHECK(same_bits(chosen.rows(2, 1), all.rows(5, 1)));
}

TEST_CASE("fills: threads, precision and device do not matter") {
  const int threads = max_threads();
  set_threads(1);
  const Tensor one = normal({50, 333});
  set_threads(2);
  CHECK(same_bits(one, normal({50, 333})));
  set_threads(threads);
  CHECK(same_bits(one.to(DType::f64), normal({50, 333}, kKey, DType::f64)));
  const Tensor queued = Tensor::empty({50, 333}, DType::f32, kSim);
  fill_normal(queued, kKey);
  CHECK(same_bits(one, queued));
}

TEST_CASE(
    "fills: seed, site and step each give other values; a train step's state is read when the work runs") {
  DrawKey key = kKey;
  const Tensor base = uniform({4, 8});
  for (int part = 0; part < 4; ++part) {
    key = kKey;
    if (part == 0) key.seed += 1;
    if (part == 1) key.seed += std::uint64_t{1} << 32;
    if (part == 2) key.site += 1;
    if (part == 3) key.step += 1;
    CHECK_FALSE(same_bits(base, uniform({4, 8}, key)));
  }
  StepCounter counter(kKey.seed, {}, 0.9, 0.999, kSim);
  const Tensor t = Tensor::empty({4, 8}, DType::f32, kSim);
  for (std::uint32_t step = 0; step < 3; ++step) {
    counter.tick();
    fill_uniform(t, {.state = counter.ptr(), .site = kKey.site});
    CHECK(same_bits(t, uniform({4, 8}, {.seed = kKey.seed, .step = step, .site = kKey.site})));
  }
}

TEST_CASE("fill_normal: moments and distribution of a million values") {
  const auto z = doubles(normal({1000, 1000}));
  // Five standard errors each: sqrt(var(z^k) / n) with var = 1, 2, 15, 96.
  CHECK(std::abs(mean_power(z, 1)) < 5 * 1e-3);
  CHECK(std::abs(mean_power(z, 2) - 1) < 5 * std::sqrt(2.0) * 1e-3);
  CHECK(std::abs(mean_power(z, 3)) < 5 * std::sqrt(15.0) * 1e-3);
  CHECK(std::abs(mean_power(z, 4) - 3) < 5 * std::sqrt(96.0) * 1e-3);
  CHECK(distance(z, [](double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }) < 2.2e-3);  // p = 1e-4
  // Neighbours within a row, and the same element of neighbouring rows, are uncorrelated.
  double along = 0, across = 0;
  for (std::size_t i = 0; i + 1000 < z.size(); ++i) {
    along += z[i] * z[i + 1];
    across += z[i] * z[i + 1000];
  }
  CHECK(std::abs(along) / 1e6 < 5e-3);
  CHECK(std::abs(across) / 1e6 < 5e-3);
}

TEST_CASE("fill_uniform: in [0,1), flat") {
  const auto u = doubles(uniform({1000, 1000}));
  CHECK(*std::min_element(u.begin(), u.end()) >= 0);
  CHECK(*std::max_element(u.begin(), u.end()) < 1);
  CHECK(distance(u, [](double x) { return x; }) < 2.2e-3);
}

TEST_CASE("dropout: rate, scale, and a mask per sample and element") {
  for (const double p : {0.2, 0.5, 0.9}) {
    const Tensor y = dropout(Tensor::full({400, 30, 25}, 3), p, kKey).value;
    std::int64_t kept = 0;
    for (const float v : y.span<float>()) {
      CHECK_MESSAGE((v == 0 || std::abs(v - 3 / (1 - p)) < 1e-5 * 3 / (1 - p)), v);
      kept += v != 0;
    }
    const double n = static_cast<double>(y.numel());
    CHECK(std::abs(static_cast<double>(kept) / n - (1 - p)) < 5 * std::sqrt(p * (1 - p) / n));
    CHECK_FALSE(same_bits(y.rows(0, 1), y.rows(1, 1)));
  }
}

TEST_CASE("dropout: backward uses the mask of forward; another step or site draws another") {
  const Tensor x = Tensor::full({8, 50}, 1);
  Tape tape;
  const Var in = tape.watch(x);
  const Var y = dropout(in, 0.4, kKey);
  tape.backward(y, Tensor::full({8, 50}, 1));
  CHECK(same_bits(tape.grad(in), y.value));
  CHECK_FALSE(same_bits(y.value, dropout(x, 0.4, {.seed = kKey.seed, .step = 18, .site = 4}).value));
  CHECK_FALSE(same_bits(y.value, dropout(x, 0.4, {.seed = kKey.seed, .step = 17, .site = 5}).value));
  CHECK(same_bits(y.value.rows(0, 3), dropout(x.rows(0, 3).clone(), 0.4, kKey).value));
  CHECK(same_bits(y.value.rows(5, 3), dropout(x.rows(5, 3).clone(), 0.4, from_row(5)).value));
}

TEST_CASE("dropout of channels: whole ones, at the same rate") {
  const Tensor y = dropout(Tensor::full({300, 3, 4, 20}, 1), 0.25, kKey, true).value;
  std::int64_t kept = 0;
  std::set<std::vector<bool>> masks;
  for (std::int64_t n = 0; n < 300; ++n) {
    std::vector<bool> mask;
    for (std::int64_t c = 0; c < 20; ++c) {
      const float* v = y.data<float>() + n * 240 + c;
      for (std::int64_t i = 1; i < 12; ++i) CHECK_MESSAGE(v[i * 20] == v[0], "sample ", n, " channel ", c);
      mask.push_back(v[0] != 0);
      kept += v[0] != 0;
    }
    masks.insert(mask);
  }
  CHECK(masks.size() > 250);
  const Tensor part = dropout(Tensor::full({2, 3, 4, 20}, 1), 0.25, from_row(7), true).value;
  CHECK(same_bits(part, y.rows(7, 2)));
  CHECK(std::abs(static_cast<double>(kept) / 6000 - 0.75) < 5 * std::sqrt(0.25 * 0.75 / 6000));
}

TEST_CASE("dropout: probability 0 is the identity and records nothing") {
  const Tensor x = test::random({3, 4}, 1);
  Tape tape;
  const Var in = tape.watch(x);
  const Var y = dropout(in, 0, kKey);
  CHECK(y.slot.index == in.slot.index);
  CHECK(y.value.raw() == x.raw());
}

TEST_CASE("random operators: what does not fit is refused with the reason") {
  const Tensor t = Tensor::empty({4, 8});
  check_error([&] { dropout(t, 1, kKey); }, {"dropout", "probability 1", "[0, 1)"});
  check_error([&] { dropout(t, -0.1, kKey); }, {"dropout", "-0.1"});
  check_error([&] { dropout(t, std::nan(""), kKey); }, {"dropout", "probability"});
  check_error([&] { dropout(Tensor::empty({4}), 0.5, kKey, true); }, {"dropout", "[N,...,C]"});
  check_error([&] { fill_normal(Tensor::empty({4, 8}, DType::i32), kKey); }, {"fill_normal", "i32"});
  check_error([&] { fill_normal({}, kKey); }, {"fill_normal", "empty"});
  check_error([&] { fill_uniform(t, from_row(-1)); }, {"fill_uniform", "-1", "32 bits"});
  check_error([&] { fill_uniform(t, from_row(std::int64_t{1} << 32)); }, {"fill_uniform", "32 bits"});
  check_error([&] { fill_uniform(t, kKey, Tensor::empty({3}, DType::i32)); },
              {"fill_uniform", "rows", "[3]", "[4]"});
  check_error([&] { fill_uniform(t, from_row(1), Tensor::empty({4}, DType::i32)); },
              {"fill_uniform", "first_row"});
}

}  // namespace mld
