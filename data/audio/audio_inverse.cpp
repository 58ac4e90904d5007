#include <algorithm>
#include <cmath>
#include <numbers>

#include "data/audio/audio.h"
#include "data/audio/wav.h"
#include "data/draws.h"
#include "engine/base/error.h"

namespace mld::data {
namespace {

constexpr auto kBinCount = static_cast<std::size_t>(kBins);
constexpr auto kBandCount = static_cast<std::size_t>(kMelBands);

// min over x >= 0 of |A x - b|^2 with the rows of A scaled to unit length: neighbouring triangles overlap by
// about a quarter, so A A^T is well conditioned and a few hundred cheap steps of Nesterov's method suffice.
// Bands two apart do not overlap: A A^T is tridiagonal.
class MelInverse {
 public:
  MelInverse()
      : rows_(mel_basis()), scale_(kBandCount), estimate_(kBinCount), ahead_(kBinCount), band_(kBandCount) {
    for (std::size_t b = 0; b < kBandCount; ++b) {
      float square = 0;
      for (const float w : rows_[b].weights) square += w * w;
      scale_[b] = 1.0F / std::sqrt(square);
      for (float& w : rows_[b].weights) w *= scale_[b];
    }
    std::vector<float> column(kBinCount, 0.0F);
    for (const MelBand& row : rows_)
      for (std::size_t j = 0; j < row.weights.size(); ++j)
        column[static_cast<std::size_t>(row.first) + j] += row.weights[j];
    // Largest row sum of A A^T: an upper bound of its eigenvalues (Gershgorin).
    float bound = 0;
    for (const MelBand& row : rows_) bound = std::max(bound, dot(row, column));
    step_ = 1.0F / bound;
    std::vector<float> spread(kBinCount);
    for (std::size_t b = 0; b + 1 < kBandCount; ++b) {
      std::fill(spread.begin(), spread.end(), 0.0F);
      add(rows_[b], 1.0F, spread);
      overlap_.push_back(dot(rows_[b + 1], spread));
    }
  }

  // mel_power [128] -> power [1025]
  const std::vector<float>& solve(std::span<const float> mel_power, MelSolver solver) {
    return solver == MelSolver::clipped ? clipped(mel_power) : non_negative(mel_power);
  }

 private:
  // max(A^T (A A^T)^-1 b, 0)
  const std::vector<float>& clipped(std::span<const float> mel_power) {
    std::vector<double> y(kBandCount), pivot(kBandCount, 1.0);
    for (std::size_t b = 0; b < kBandCount; ++b) {
      y[b] = static_cast<double>(mel_power[b]) * static_cast<double>(scale_[b]);
      if (b == 0) continue;
      const auto overlap = static_cast<double>(overlap_[b - 1]), ratio = overlap / pivot[b - 1];
      pivot[b] -= ratio * overlap;
      y[b] -= ratio * y[b - 1];
    }
    for (std::size_t b = kBandCount; b-- > 0;) {
      if (b + 1 < kBandCount) y[b] -= static_cast<double>(overlap_[b]) * y[b + 1];
      y[b] /= pivot[b];
    }
    std::fill(estimate_.begin(), estimate_.end(), 0.0F);
    for (std::size_t b = 0; b < kBandCount; ++b) add(rows_[b], static_cast<float>(y[b]), estimate_);
    for (float& v : estimate_) v = std::max(v, 0.0F);
    return estimate_;
  }

  const std::vector<float>& non_negative(std::span<const float> mel_power) {
    constexpr int kIterations = 300;
    std::fill(estimate_.begin(), estimate_.end(), 0.0F);
    std::fill(ahead_.begin(), ahead_.end(), 0.0F);
    float t = 1;
    for (int iteration = 0; iteration < kIterations; ++iteration) {
      for (std::size_t b = 0; b < kBandCount; ++b)
        band_[b] = mel_power[b] * scale_[b] - dot(rows_[b], ahead_);
      for (std::size_t b = 0; b < kBandCount; ++b) add(rows_[b], step_ * band_[b], ahead_);
      const float next = 0.5F * (1 + std::sqrt(1 + 4 * t * t)), momentum = (t - 1) / next;
      for (std::size_t k = 0; k < kBinCount; ++k) {
        const float value = std::max(ahead_[k], 0.0F);
        ahead_[k] = value + momentum * (value - estimate_[k]);
        estimate_[k] = value;
      }
      t = next;
    }
    return estimate_;
  }

  static float dot(const MelBand& row, const std::vector<float>& values) {
    float sum = 0;
    for (std::size_t j = 0; j < row.weights.size(); ++j)
      sum += row.weights[j] * values[static_cast<std::size_t>(row.first) + j];
    return sum;
  }

  static void add(const MelBand& row, float factor, std::vector<float>& values) {
    for (std::size_t j = 0; j < row.weights.size(); ++j)
      values[static_cast<std::size_t>(row.first) + j] += factor * row.weights[j];
  }

  std::vector<MelBand> rows_;
  std::vector<float> scale_, overlap_, estimate_, ahead_, band_;
  float step_;
};

}  // namespace

std::vector<float> invert_mel(std::span<const float> mel_power, MelSolver solver) {
  MLD_CHECK(mel_power.size() % kBandCount == 0, "invert_mel: ", mel_power.size(),
            " values are no frames of 128 bands");
  const std::size_t frames = mel_power.size() / kBandCount;
  std::vector<float> magnitudes(frames * kBinCount);
  MelInverse inverse;
  for (std::size_t f = 0; f < frames; ++f) {
    const std::vector<float>& power = inverse.solve(mel_power.subspan(f * kBandCount, kBandCount), solver);
    for (std::size_t k = 0; k < kBinCount; ++k) magnitudes[f * kBinCount + k] = std::sqrt(power[k]);
  }
  return magnitudes;
}

Spectrum random_phases(std::span<const float> magnitudes, std::uint64_t seed, std::uint32_t item) {
  MLD_CHECK(!magnitudes.empty() && magnitudes.size() % kBinCount == 0, "random_phases: ", magnitudes.size(),
            " values are no frames of 1025 bins");
  Spectrum spectrum{static_cast<std::int64_t>(magnitudes.size() / kBinCount),
                    std::vector<float>(magnitudes.size()), std::vector<float>(magnitudes.size())};
  ItemRandom random(seed, kPhaseSite, 0, item);
  for (std::size_t i = 0; i < magnitudes.size(); ++i) {
    const double phase = random.uniform(0, 2 * std::numbers::pi);
    spectrum.re[i] = magnitudes[i] * static_cast<float>(std::cos(phase));
    spectrum.im[i] = magnitudes[i] * static_cast<float>(std::sin(phase));
  }
  return spectrum;
}

std::vector<float> griffin_lim(std::span<const float> magnitudes, std::uint64_t seed, int iterations) {
  return griffin_lim(magnitudes, random_phases(magnitudes, seed), iterations);
}

std::vector<float> griffin_lim(std::span<const float> magnitudes, Spectrum guess, int iterations) {
  MLD_CHECK(!magnitudes.empty() && guess.re.size() == magnitudes.size() &&
                guess.im.size() == magnitudes.size() && iterations >= 0,
            "griffin_lim: ", magnitudes.size(), " magnitudes, a guess of ", guess.re.size(), " values, ",
            iterations, " iterations");
  constexpr float kMomentum = 0.99F, kPull = kMomentum / (1 + kMomentum);
  Spectrum previous{guess.frames, std::vector<float>(magnitudes.size()),
                    std::vector<float>(magnitudes.size())};
  for (int iteration = 0; iteration < iterations && guess.frames > 1; ++iteration) {
    Spectrum rebuilt = stft(istft(guess));
    for (std::size_t i = 0; i < magnitudes.size(); ++i) {
      const float re = rebuilt.re[i] - kPull * previous.re[i], im = rebuilt.im[i] - kPull * previous.im[i];
      const float length = std::sqrt(re * re + im * im);
      guess.re[i] = length > 0 ? magnitudes[i] * re / length : magnitudes[i];
      guess.im[i] = length > 0 ? magnitudes[i] * im / length : 0.0F;
    }
    previous = std::move(rebuilt);
  }
  return istft(guess);
}

std::vector<float> synthesize_wave(std::span<const float> spectrogram, ValueRange range, std::uint64_t seed) {
  MLD_CHECK(spectrogram.size() == static_cast<std::size_t>(kSecondFrames * kMelBands),
            "synthesize_wave: needs a spectrogram of 32 x 128 values, got ", spectrogram.size());
  std::vector<float> power(spectrogram.size());
  for (std::size_t i = 0; i < power.size(); ++i)
    power[i] = power_of_decibels(range.from_unit(std::clamp(spectrogram[i], 0.0F, 1.0F)));
  return fit_length(griffin_lim(invert_mel(power), seed), kSampleRate);
}

}  // namespace mld::data
