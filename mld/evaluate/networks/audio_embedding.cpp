#include "mld/evaluate/networks/audio_embedding.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "data/audio/audio.h"
#include "data/audio/fft.h"
#include "data/audio/wav.h"
#include "engine/threads/threads.h"
#include "mld/evaluate/networks/weights.h"

namespace mld {
namespace {

constexpr std::int64_t kSamples = data::kSampleRate;  // one window of VGGish, a second
constexpr float kFullScale = 32767.0F, kQuietest = 0.1F, kLogOffset = 0.01F;
constexpr std::int64_t kWindow = 400, kHop = 160;
constexpr std::size_t kFft = 512, kLanes = data::RealFft::kLanes;
constexpr double kLowestHz = 125, kHighestHz = 7500;
static_assert(kVggishFrames % static_cast<std::int64_t>(kLanes) == 0 &&
              (kVggishFrames - 1) * kHop + kWindow <= kSamples);

std::vector<float> mel_power(std::span<const float> spectrogram, data::ValueRange range) {
  std::vector<float> power(spectrogram.size());
  std::ranges::transform(spectrogram, power.begin(),
                         [&](float v) { return data::power_of_decibels(range.from_unit(v)); });
  return power;
}

double htk_mel(double hz) { return 1127.0 * std::log(1.0 + hz / 700.0); }

// Triangles that are linear in mel, not normalised; the bin of 0 Hz is in none.
std::vector<data::MelBand> make_htk_basis() {
  const double lowest = htk_mel(kLowestHz), width = (htk_mel(kHighestHz) - lowest) / (kVggishBands + 1);
  std::vector<data::MelBand> basis;
  for (std::int64_t b = 0; b < kVggishBands; ++b) {
    const double low = lowest + static_cast<double>(b) * width;
    data::MelBand band{-1, {}};
    for (std::int64_t k = 1; k <= static_cast<std::int64_t>(kFft) / 2; ++k) {
      const double mel = htk_mel(static_cast<double>(k) * data::kSampleRate / static_cast<double>(kFft));
      const double weight = std::min(mel - low, low + 2 * width - mel) / width;
      if (weight <= 0) continue;
      if (band.first < 0) band.first = k;
      band.weights.push_back(static_cast<float>(weight));
    }
    basis.push_back(std::move(band));
  }
  return basis;
}

// Reusable buffers; one object per thread.
class LogMel {
 public:
  LogMel() : fft_(kFft), frames_(kFft * kLanes), re_(fft_.bins() * kLanes), im_(re_.size()) {}

  // wave [16000] -> patch [96,64]
  void operator()(std::span<const float> wave, std::span<float> patch) {
    const float scale = std::max(kQuietest, *std::ranges::max_element(wave));
    for (std::size_t first = 0; first < kVggishFrames; first += kLanes) {
      for (std::size_t l = 0; l < kLanes; ++l) {
        const float* from = wave.data() + (first + l) * static_cast<std::size_t>(kHop);
        for (std::size_t t = 0; t < window_.size(); ++t)
          frames_[t * kLanes + l] = window_[t] * (from[t] / scale);
      }
      fft_.forward(frames_, re_, im_);
      for (std::size_t i = 0; i < re_.size(); ++i) re_[i] = std::sqrt(re_[i] * re_[i] + im_[i] * im_[i]);
      for (std::size_t b = 0; b < basis_.size(); ++b) {
        float mel[kLanes];
        basis_[b].sum(re_, mel);
        for (std::size_t l = 0; l < kLanes; ++l)
          patch[(first + l) * basis_.size() + b] = std::log(mel[l] + kLogOffset);
      }
    }
  }

 private:
  data::RealFft fft_;
  std::vector<float> frames_, re_, im_;  // frames_: zeros from kWindow on
  std::vector<float> window_ = data::hann_window(kWindow);
  std::vector<data::MelBand> basis_ = make_htk_basis();
};

std::span<float> row(const Tensor& x, std::int64_t i) {
  const std::int64_t size = x.numel() / x.shape()[0];
  return {x.data<float>() + i * size, static_cast<std::size_t>(size)};
}

}  // namespace

Tensor spectrogram_waves(const Tensor& spectrograms, data::ValueRange range, std::uint64_t seed,
                         std::int64_t first) {
  const std::int64_t n = spectrograms.shape()[0];
  MLD_CHECK(spectrograms.shape() == Shape({n, data::kSecondFrames, data::kMelBands}),
            "spectrogram_waves: ", spectrograms.shape(), ", expected [N,32,128]");
  for (std::int64_t i = 0; i < n; ++i)
    for (const float v : mel_power(row(spectrograms, i), range))
      MLD_CHECK_AS(ErrorKind::data, std::isfinite(v), "spectrogram ", first + i,
                   ": holds a value that is not finite, or louder than a sound can be");
  Tensor waves = Tensor::empty({n, kSamples});
  parallel_for(n, [&](std::int64_t i) {
    const std::vector<float> magnitudes =
        data::invert_mel(mel_power(row(spectrograms, i), range), data::MelSolver::clipped);
    const std::vector<float> wave = data::fit_length(
        data::griffin_lim(magnitudes,
                          data::random_phases(magnitudes, seed, static_cast<std::uint32_t>(first + i))),
        kSamples);
    std::ranges::transform(wave, row(waves, i).begin(), [](float v) { return v * kFullScale; });
  });
  return waves;
}

Tensor log_mel_patches(const Tensor& waves) {
  const std::int64_t n = waves.shape()[0];
  MLD_CHECK(waves.shape() == Shape({n, kSamples}), "log_mel_patches: waves ", waves.shape(),
            ", expected [N,16000]");
  Tensor patches = Tensor::empty({n, kVggishFrames, kVggishBands, 1});
  parallel_ranges(n, [&](std::int64_t first, std::int64_t last) {
    LogMel log_mel;
    for (std::int64_t i = first; i < last; ++i) log_mel(row(waves, i), row(patches, i));
  });
  return patches;
}

AudioEmbedding::AudioEmbedding(const std::filesystem::path& weights, Device device)
    : device_(device),
      store_(network_, {.device = device, .training = false}),
      weights_hash_(load_weights(weights, "vggish", store_)) {}

Tensor AudioEmbedding::of_waves(const Tensor& waves) const {
  return network_(log_mel_patches(waves).to(device_)).to(kCpu);
}

Tensor AudioEmbedding::of_spectrograms(const Tensor& spectrograms, data::ValueRange range, std::uint64_t seed,
                                       std::int64_t first) const {
  return of_waves(spectrogram_waves(spectrograms, range, seed, first));
}

}  // namespace mld
