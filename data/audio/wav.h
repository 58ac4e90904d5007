// Sound files: mono waveforms in (through libsndfile) and out, and the change of sampling rate.
// Built without libsndfile, reading fails with an ErrorKind::usage error that names it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace mld::data {

bool have_sndfile();  // to read; writing needs no library

struct Wave {
  std::vector<float> samples;  // mono, full scale is [-1, 1]
  std::int64_t rate = 0;       // Hz
};

enum class Conform : std::uint8_t {
  strict,  // the file must already be as asked
  convert  // mix channels to one by their mean, resample
};

// Reads a WAV file (or whatever else libsndfile knows) as 16 kHz mono. Errors (data): missing, not a sound
// file, truncated, empty, longer than 10 minutes, non-finite samples; under `strict` also other rates or
// channel counts.
std::vector<float> read_wave(const std::filesystem::path& path, Conform conform);

// The file as it is, mixed down to one channel.
Wave read_wave_any(const std::filesystem::path& path);

// Writes a WAV file of 16-bit PCM; samples are clamped to [-1, 1], NaN becomes 0. Error (io) if that fails.
void write_wave(const std::filesystem::path& path, std::span<const float> samples, std::int64_t rate);

// Band-limited resampling by a sinc of 32 zero crossings either side under a Kaiser window (beta 9), the
// cutoff at 95 % of the lower Nyquist frequency. Length: ceil(N * to / from). Rates from 1000 to 768000 Hz.
std::vector<float> resample(std::span<const float> samples, std::int64_t from, std::int64_t to);

// Cuts or pads (zeros, both sides alike) to `length` samples around the middle.
std::vector<float> fit_length(std::span<const float> samples, std::int64_t length);

}  // namespace mld::data
