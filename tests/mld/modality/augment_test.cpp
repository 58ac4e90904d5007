#include "mld/modality/augment.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "tests/devices.h"
#include "tests/expect_error.h"
#include "tests/nn/helpers.h"

namespace mld {
namespace {

constexpr std::int64_t kHeight = 5, kWidth = 7, kChannels = 2;

// Every value tells its place: no two pixels of a channel are alike.
Tensor places(std::int64_t pictures) {
  const Tensor x = Tensor::empty({pictures, kHeight, kWidth, kChannels});
  float* to = x.data<float>();
  for (std::int64_t b = 0; b < pictures; ++b)
    for (std::int64_t i = 0; i < kHeight * kWidth; ++i)
      for (std::int64_t c = 0; c < kChannels; ++c)
        *to++ = (static_cast<float>(i) + 0.5f * static_cast<float>(c)) / (kHeight * kWidth);
  return x;
}

Tensor augmented(const Tensor& x, const Augmentation& by, std::int64_t first = 0, std::uint32_t step = 0,
                 const data::ValueRange& range = {}) {
  const Tensor out = Tensor::empty(x.shape(), x.dtype(), x.device());
  augment(x, out, by, range, {.seed = 4, .step = step, .site = 1, .first_row = first});
  return out;
}

}  // namespace

TEST_CASE("augment: every shift within the limits comes, and what comes in at an edge repeats it") {
  const Tensor x = places(400), out = augmented(x, {.shift = 2});
  const auto at = [](const Tensor& t, std::int64_t b, std::int64_t row, std::int64_t column, std::int64_t c) {
    return t.data<float>()[((b * kHeight + row) * kWidth + column) * kChannels + c];
  };
  std::set<std::pair<int, int>> seen;
  for (std::int64_t b = 0; b < 400; ++b) {
    int fits = 0;
    for (int down = -2; down <= 2; ++down)
      for (int right = -2; right <= 2; ++right) {
        bool all = true;
        for (std::int64_t row = 0; all && row < kHeight; ++row)
          for (std::int64_t column = 0; all && column < kWidth; ++column)
            for (std::int64_t c = 0; all && c < kChannels; ++c)
              all = std::abs(at(out, b, row, column, c) -
                             at(x, b, std::clamp<std::int64_t>(row - down, 0, kHeight - 1),
                                std::clamp<std::int64_t>(column - right, 0, kWidth - 1), c)) < 1e-6f;
        if (!all) continue;
        ++fits;
        seen.insert({down, right});
      }
    CHECK(fits == 1);
  }
  CHECK(seen.size() == 25);
}

TEST_CASE("augment: contrast and brightness are one draw a picture, within their limits and the range") {
  const Tensor x = Tensor::full({2000, 1, 3, 1}, 0);
  for (std::int64_t b = 0; b < 2000; ++b)
    for (int i = 0; i < 3; ++i)
      x.data<float>()[3 * b + i] = 1.0f + static_cast<float>(i);  // middle of 0 to 4: 2
  const Tensor out = augmented(x, {.gain = 0.5, .offset = 0.1}, 0, 0, {0, 4});
  double gains = 0, offsets = 0, gain_squares = 0;
  for (std::int64_t b = 0; b < 2000; ++b) {
    const float* v = out.data<float>() + 3 * b;
    const double gain = static_cast<double>(v[2] - v[0]) / 2, offset = static_cast<double>(v[1]) - 2;
    CHECK(static_cast<double>(v[1] - v[0]) == doctest::Approx(gain).epsilon(1e-4));
    CHECK(std::abs(gain - 1) <= 0.5 + 1e-5);
    CHECK(std::abs(offset) <= 0.4 + 1e-5);
    gains += gain - 1;
    gain_squares += (gain - 1) * (gain - 1);
    offsets += offset;
  }
  // Uniform: variance of half its width squared over 3; five standard deviations.
  CHECK(std::abs(gains / 2000) < 5 * 0.5 / std::sqrt(3.0 * 2000));
  CHECK(std::abs(offsets / 2000) < 5 * 0.4 / std::sqrt(3.0 * 2000));
  CHECK(gain_squares / 2000 == doctest::Approx(0.25 / 3).epsilon(0.1));
  // Values stay within the range.
  const auto held = test::host(augmented(places(200), {.gain = 1, .offset = 1}));
  CHECK(*std::ranges::min_element(held) == 0);
  CHECK(*std::ranges::max_element(held) == 1);
}

TEST_CASE("augment: a picture's change depends on its row and step, not on the batch or the device") {
  const Augmentation by{.shift = 2, .gain = 0.3, .offset = 0.2};
  const Tensor x = places(10);
  const auto all = test::host(augmented(x, by));
  const auto part = test::host(augmented(x.rows(4, 3), by, 4));
  const std::size_t size = kHeight * kWidth * kChannels;
  CHECK(part == std::vector<double>(all.begin() + 4 * size, all.begin() + 7 * size));
  CHECK(test::host(augmented(x, by, 0, 1)) != all);
  for (const Device device : test::queued_devices()) {
    const auto there = test::host(augmented(x.to(device), by));
    if (device == kSim) CHECK(there == all);
    test::check_near(there, all, 1e-6);
  }
}

TEST_CASE("augment: only pictures and spectrograms can be") {
  data::Modality info;
  info.kind = data::ModalityKind::vector;
  ModalityConfig config;
  config.name = "path";
  config.stage1.shift = 1;
  test::error_of(ErrorKind::usage, [&] { augmentation(config, config.stage1, info); });
  CHECK_FALSE(augmentation(config, config.classifier_training, info).changes());
  for (const auto kind : {data::ModalityKind::image, data::ModalityKind::spectrogram}) {
    info.kind = kind;
    CHECK(augmentation(config, config.stage1, info).changes());
  }
}

}  // namespace mld
