// Sound as the method sees it: a mel spectrogram in decibels, min-max scaled, and the way back to a waveform.
//
// Front end: 16 kHz mono, frames of 2048 samples under a periodic Hann window every 512 samples, centred
// (1024 zeros either side), power spectrum, 128 Slaney mel bands (area normalised), 10 log10(max(p, 1e-10)),
// clipped to 80 dB below the maximum of the data set, min-max scaled. One second gives 32 frames. The way
// back: non-negative mel inversion, then fast Griffin-Lim (D. Griffin, J. Lim 1984; N. Perraudin, P. Balazs,
// P. Soendergaard 2013).
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "data/audio/fft.h"
#include "data/value_range.h"

namespace mld::data {

constexpr std::int64_t kSampleRate = 16000;
constexpr std::int64_t kFrameLength = 2048;
constexpr std::int64_t kHop = 512;
constexpr std::int64_t kBins = kFrameLength / 2 + 1;
constexpr std::int64_t kMelBands = 128;
constexpr float kDynamicRange = 80.0F;  // dB
constexpr int kGriffinLimIterations = 60;

constexpr std::int64_t frame_count(std::int64_t samples) { return samples / kHop + 1; }
constexpr std::int64_t kSecondFrames = frame_count(kSampleRate);  // of a spectrogram that can be heard

// Slaney's mel scale (Auditory Toolbox): linear below 1 kHz, logarithmic above.
double hz_to_mel(double hz);
double mel_to_hz(double mel);

// A band of bins [first, first + weights.size()).
struct MelBand {
  std::int64_t first;
  std::vector<float> weights;
  // Weighted sums of the bins of RealFft::kLanes frames, bins [*, kLanes].
  void sum(std::span<const float> bins, std::span<float, RealFft::kLanes> sums) const;
};
// The Slaney mel basis: triangles of unit area, linear in Hz.
const std::vector<MelBand>& mel_basis();

// 1/2 - 1/2 cos(2 pi t / length): the periodic form.
std::vector<float> hann_window(std::int64_t length);

inline float power_of_decibels(float decibels) { return std::pow(10.0F, decibels / 10.0F); }

// Reusable buffers of the front end; one object per thread.
class MelFrontEnd {
 public:
  MelFrontEnd();
  // wave [N], N >= 1 -> decibels [frame_count(N), 128], not clipped.
  void decibels(std::span<const float> wave, std::span<float> decibels);

 private:
  RealFft fft_;
  std::vector<float> frames_, re_, im_;
};

// Scaling constants of a whole set of spectrograms: its maximum, and its minimum after
// clipping to 80 dB below.
ValueRange decibel_range(std::span<const float> decibels);

// Short-time spectrum, row-major [frames, 1025].
struct Spectrum {
  std::int64_t frames = 0;
  std::vector<float> re, im;
};
Spectrum stft(std::span<const float> wave);
// Least-squares inverse (overlap-add over the sum of squared windows): 512 * (frames - 1) samples.
std::vector<float> istft(const Spectrum& spectrum);

// Which of the non-negative powers that explain a mel power (128 equations, 1025 unknowns) is taken.
enum class MelSolver : std::uint8_t {
  non_negative,  // non-negative least squares in each frame, by accelerated projected gradient
  clipped        // the shortest solution, negative values set to 0: where librosa's nnls starts and, its
                 // stopping rule being absolute, also ends for powers below 1
};

// Mel power [frames, 128] -> magnitudes [frames, 1025] >= 0 whose mel power is close to it.
std::vector<float> invert_mel(std::span<const float> mel_power, MelSolver solver = MelSolver::non_negative);

// The spectrum of given magnitudes [frames, 1025] with random phases; `item` tells apart those of one seed.
Spectrum random_phases(std::span<const float> magnitudes, std::uint64_t seed, std::uint32_t item = 0);

// Waveform with the given magnitudes [frames, 1025]: Griffin-Lim with momentum 0.99 from a first guess, or
// from random phases; 512 * (frames - 1) samples.
std::vector<float> griffin_lim(std::span<const float> magnitudes, Spectrum guess,
                               int iterations = kGriffinLimIterations);
std::vector<float> griffin_lim(std::span<const float> magnitudes, std::uint64_t seed,
                               int iterations = kGriffinLimIterations);

// Scaled spectrogram [32, 128] -> 16 000 samples for listening: the 15 872 of Griffin-Lim between 64 zeros
// either side. Values outside [0, 1] are clamped.
std::vector<float> synthesize_wave(std::span<const float> spectrogram, ValueRange range, std::uint64_t seed);

}  // namespace mld::data
