#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "data/audio/audio.h"
#include "data/audio/wav.h"
#include "engine/threads/threads.h"
#include "mld/evaluate/networks/audio_embedding.h"
#include "tests/expect_error.h"
#include "tests/mld/evaluate/metrics_golden.h"
#include "tests/mld/recipe.h"

namespace mld {
namespace {

// As waves() of golden/make_metrics.py: loud; below the threshold of normalisation; with its largest
// magnitude below zero.
Tensor waves() {
  const Tensor out = Tensor::empty({3, 16000});
  const test::Recipe recipe("wave");
  for (std::int64_t t = 0; t < 16000; ++t) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(t) / 16000;
    const double noise = t / 4000 % 2 == 1 ? 2 * recipe.uniform(static_cast<std::uint32_t>(t)) - 1 : 0;
    const double sound = 0.4 * std::sin(440 * angle) + 0.2 * std::sin(3100 * angle) + 0.3 * noise;
    float* to = out.data<float>() + t;
    to[0] = static_cast<float>(20000 * sound);
    to[16000] = static_cast<float>(0.05 * sound);
    to[32000] = static_cast<float>(3 * std::min(sound, 0.25));
  }
  return out;
}

// As spectrogram() of golden/make_metrics.py.
Tensor spectrogram() {
  const Tensor x = Tensor::empty({1, 32, 128});
  const test::Recipe recipe("spectrogram");
  for (std::uint32_t i = 0; i < 32 * 128; ++i) {
    const double t = i / 128, b = i % 128;
    const double hills = 0.55 + 0.3 * std::sin(0.11 * b + 0.2 * t) * std::cos(0.3 * t);
    x.data<float>()[i] = static_cast<float>(std::clamp(hills + 0.15 * (2 * recipe.uniform(i) - 1), 0.0, 1.0));
  }
  return x;
}

std::vector<float> magnitudes() {
  const Tensor x = spectrogram();
  std::vector<float> power;
  for (const float v : x.span<float>()) power.push_back(data::power_of_decibels(kMhdDecibels.from_unit(v)));
  return data::invert_mel(power, data::MelSolver::clipped);
}

}  // namespace

TEST_CASE("log-mel patches agree with torchvggish's") {
  const Tensor patches = log_mel_patches(waves());
  CHECK(patches.shape() == Shape({3, 96, 64, 1}));
  test::MetricsGolden golden;
  for (std::int64_t i = 0; i < 3; ++i)
    CHECK(golden.error("log_mel/" + std::to_string(i), patches.rows(i, 1)) < 1e-4);
  CHECK(golden.compared() == golden.entries("log_mel/"));
  const std::string message = test::error_of(ErrorKind::internal, [] {
    log_mel_patches(Tensor::zeros({1, 15872}));
  });
  CHECK(test::contains(message, "[1,15872]"));
}

TEST_CASE("mel inversion at the paper's loudness ends where librosa's does") {
  test::MetricsGolden golden;
  CHECK(golden.error("invert_mel", magnitudes()) < 1e-4);
}

TEST_CASE("Griffin-Lim follows librosa's from the same phases") {
  const std::vector<float> wanted = magnitudes();
  data::Spectrum guess{32, wanted, wanted};
  const test::Recipe recipe("phase");
  for (std::uint32_t i = 0; i < wanted.size(); ++i) {
    const double phase = 2 * std::numbers::pi * recipe.uniform(i);
    guess.re[i] *= static_cast<float>(std::cos(phase));
    guess.im[i] *= static_cast<float>(std::sin(phase));
  }
  test::MetricsGolden golden;
  // The iteration amplifies rounding: librosa itself, in single precision, is 2.6e-4 off after 60.
  for (const auto& [iterations, tolerance] : {std::pair{0, 1e-5}, {1, 1e-5}, {5, 1e-4}, {60, 1e-3}}) {
    const std::string name = "griffin_lim/" + std::to_string(iterations);
    CAPTURE(name);
    CHECK(golden.error(name, data::griffin_lim(wanted, guess, iterations)) < tolerance);
  }
  CHECK(golden.compared() == golden.entries("griffin_lim/"));
}

TEST_CASE("spectrograms become waves, each from phases of its own, however they are divided into calls") {
  const Tensor one = spectrogram(), three = Tensor::empty({3, 32, 128});
  for (std::int64_t i = 0; i < 3; ++i) three.rows(i, 1).copy_from(one);
  const int threads = max_threads();
  set_threads(2);
  const Tensor waves = spectrogram_waves(three, kMhdDecibels, 5, 10);
  set_threads(1);
  const Tensor last = spectrogram_waves(one, kMhdDecibels, 5, 12);
  set_threads(threads);
  CHECK(waves.shape() == Shape({3, 16000}));
  const auto row = [](const Tensor& x, std::int64_t i) {
    const std::span<const float> all = x.span<float>();
    const auto wave = all.subspan(static_cast<std::size_t>(i) * 16000, 16000);
    return std::vector<float>(wave.begin(), wave.end());
  };
  CHECK(row(waves, 2) == row(last, 0));
  CHECK(row(waves, 1) != row(waves, 2));

  const std::vector<float> wanted = magnitudes();
  std::vector<float> by_hand =
      data::fit_length(data::griffin_lim(wanted, data::random_phases(wanted, 5, 12)), 16000);
  for (float& v : by_hand) v *= 32767;
  CHECK(row(last, 0) == by_hand);
  CHECK(by_hand[63] == 0);
  CHECK(by_hand[64] != 0);

  // Values beyond [0,1] are decibels like others; what is no sound is refused by its number.
  Tensor beyond = one.clone();
  beyond.data<float>()[40] = 1.25F;
  CHECK(row(spectrogram_waves(beyond, kMhdDecibels, 5, 12), 0) != by_hand);
  for (const float bad : {std::nanf(""), 10.0F}) {
    beyond.data<float>()[40] = bad;
    const std::string message =
        test::error_of(ErrorKind::data, [&] { spectrogram_waves(beyond, kMhdDecibels, 5, 12); });
    CHECK(test::contains(message, "spectrogram 12"));
  }
}

}  // namespace mld
