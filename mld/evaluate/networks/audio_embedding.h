// From sounds to what VGGish sees, for the Frechet audio distance (docs/method.md section 18.2): real and
// generated spectrograms are both turned into waveforms first, by mel inversion and Griffin-Lim
// (data/audio/audio.h), then into VGGish's own log-mel patches.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "data/value_range.h"
#include "engine/core/tensor.h"
#include "mld/evaluate/networks/vggish.h"
#include "nn/parameter.h"

namespace mld {

// Decibels that the scaled spectrograms of MHD stand for.
inline constexpr data::ValueRange kMhdDecibels{-200.0F, -47.563736F};

// Scaled spectrograms [N,32,128], v standing for range.from_unit(v) dB (values beyond [0,1] are not clamped),
// to waves [N,16000] of 16 kHz in units of 16-bit samples: mel inversion (MelSolver::clipped, as librosa
// comes out at these powers), Griffin-Lim, 64 zeros either side, times 32767. The phases that Griffin-Lim
// starts from are drawn from (seed, first + row), so results do not depend on how the rows are divided into
// calls. ErrorKind::data, naming the row, for values that are not finite or too loud for a float.
Tensor spectrogram_waves(const Tensor& spectrograms, data::ValueRange range, std::uint64_t seed,
                         std::int64_t first = 0);

// Waves [N,16000] to patches [N,96,64,1]: divided by max(0.1, their maximum), magnitudes of frames of 25 ms
// every 10 ms, 64 HTK mel bands from 125 to 7500 Hz, log(mel + 0.01).
Tensor log_mel_patches(const Tensor& waves);

// VGGish with its published weights, from sounds to embeddings [N,128]. In- and output are on the cpu, all at
// once: callers cut long lists into chunks.
class AudioEmbedding {
 public:
  // The file as weights.h has it.
  explicit AudioEmbedding(const std::filesystem::path& weights, Device device = kCpu);
  Tensor of_waves(const Tensor& waves) const;  // see log_mel_patches
  Tensor of_spectrograms(const Tensor& spectrograms, data::ValueRange range, std::uint64_t seed,
                         std::int64_t first = 0) const;              // see spectrogram_waves
  const std::string& weights_hash() const { return weights_hash_; }  // see load_weights

 private:
  Device device_;
  Vggish network_;
  nn::ParameterStore store_;
  std::string weights_hash_;
};

}  // namespace mld
