#include "data/audio/wav.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <numbers>
#include <numeric>
#include <string>

#include "data/audio/audio.h"
#include "data/audio/wav_header.h"
#include "data/formats/encode.h"
#include "data/formats/mmap_file.h"
#include "engine/base/error.h"

#ifdef MLD_HAVE_SNDFILE
#include <sndfile.h>
#endif

namespace mld::data {
namespace {

constexpr std::int64_t kMinRate = 1000, kMaxRate = 768000;

#ifdef MLD_HAVE_SNDFILE

constexpr std::int64_t kMaxSeconds = 600, kMaxChannels = 64;

struct CloseSound {
  void operator()(SNDFILE* file) const { sf_close(file); }
};
using Sound = std::unique_ptr<SNDFILE, CloseSound>;

// A file in memory, as libsndfile reads it.
struct Memory {
  std::vector<std::uint8_t> bytes;
  sf_count_t at = 0;
};

SF_VIRTUAL_IO memory_access() {
  const auto size = [](void* m) { return static_cast<sf_count_t>(static_cast<Memory*>(m)->bytes.size()); };
  const auto seek = [](sf_count_t offset, int whence, void* m) {
    Memory& memory = *static_cast<Memory*>(m);
    const auto end = static_cast<sf_count_t>(memory.bytes.size());
    memory.at = std::clamp<sf_count_t>(offset + (whence == SEEK_CUR   ? memory.at
                                                 : whence == SEEK_END ? end
                                                                      : 0),
                                       0, end);
    return memory.at;
  };
  const auto read = [](void* to, sf_count_t count, void* m) {
    Memory& memory = *static_cast<Memory*>(m);
    const auto got = std::min(count, static_cast<sf_count_t>(memory.bytes.size()) - memory.at);
    std::memcpy(to, memory.bytes.data() + memory.at, static_cast<std::size_t>(got));
    memory.at += got;
    return got;
  };
  const auto write = [](const void*, sf_count_t, void*) -> sf_count_t { return 0; };
  const auto tell = [](void* m) { return static_cast<Memory*>(m)->at; };
  return {size, seek, read, write, tell};
}

struct OpenSound {
  std::unique_ptr<Memory> memory;  // outlives the file
  Sound file;
  SF_INFO info;
};

OpenSound open_sound(const std::filesystem::path& path) {
  const std::string name = path.string();
  OpenSound sound{std::make_unique<Memory>(), nullptr, {}};
  {
    const MmapFile file(path);
    check_riff_length(file.bytes(), name);
    sound.memory->bytes = completed_wave(file.bytes());
  }
  SF_VIRTUAL_IO access = memory_access();
  sound.file.reset(sound.memory->bytes.empty()
                       ? sf_open(path.c_str(), SFM_READ, &sound.info)
                       : sf_open_virtual(&access, SFM_READ, &sound.info, sound.memory.get()));
  MLD_CHECK_AS(ErrorKind::data, sound.file != nullptr, name,
               ": not a readable sound file: ", sf_strerror(nullptr));
  const SF_INFO& info = sound.info;
  MLD_CHECK_AS(ErrorKind::data, info.frames > 0, name, ": holds no samples; leave the file out");
  MLD_CHECK_AS(ErrorKind::data, info.samplerate >= kMinRate && info.samplerate <= kMaxRate, name,
               ": sampling rate ", info.samplerate, " Hz; expected 1000 .. 768000");
  MLD_CHECK_AS(ErrorKind::data, info.channels >= 1 && info.channels <= kMaxChannels, name, ": ",
               info.channels, " channels; expected 1 .. 64");
  MLD_CHECK_AS(ErrorKind::data, info.frames <= kMaxSeconds * info.samplerate, name, ": ",
               info.frames / info.samplerate, " seconds long; cut it to at most 600");
  return sound;
}

Wave read_mixed(const OpenSound& sound, const std::string& name) {
  const auto frames = static_cast<std::size_t>(sound.info.frames),
             channels = static_cast<std::size_t>(sound.info.channels);
  std::vector<float> all(frames * channels);
  const sf_count_t got = sf_readf_float(sound.file.get(), all.data(), sound.info.frames);
  MLD_CHECK_AS(ErrorKind::data, got == sound.info.frames, name, ": truncated or corrupt: ", got, " of ",
               sound.info.frames, " frames can be read; fetch or export it again");
  Wave wave{std::vector<float>(frames), sound.info.samplerate};
  for (std::size_t i = 0; i < frames; ++i) {
    float sum = 0;
    for (std::size_t c = 0; c < channels; ++c) sum += all[i * channels + c];
    wave.samples[i] = sum / static_cast<float>(channels);
    MLD_CHECK_AS(ErrorKind::data, std::isfinite(wave.samples[i]), name, ": sample ", i, " is not finite");
  }
  return wave;
}

#else

[[noreturn]] void no_sndfile(const std::filesystem::path& path) {
  fail(ErrorKind::usage, path.string(),
       ": this build has no libsndfile, which sound files need; install it and build again");
}

#endif

// Modified Bessel function of order 0, by its power series (for Kaiser's window).
double bessel_i0(double x) {
  double term = 1, sum = 1;
  for (int k = 1; k < 64 && term > 1e-17 * sum; ++k) {
    term *= (0.5 * x / k) * (0.5 * x / k);
    sum += term;
  }
  return sum;
}

double sinc(double x) { return x == 0 ? 1.0 : std::sin(std::numbers::pi * x) / (std::numbers::pi * x); }

}  // namespace

bool have_sndfile() {
#ifdef MLD_HAVE_SNDFILE
  return true;
#else
  return false;
#endif
}

#ifdef MLD_HAVE_SNDFILE

Wave read_wave_any(const std::filesystem::path& path) { return read_mixed(open_sound(path), path.string()); }

std::vector<float> read_wave(const std::filesystem::path& path, Conform conform) {
  const OpenSound sound = open_sound(path);
  MLD_CHECK_AS(
      ErrorKind::data,
      conform == Conform::convert || (sound.info.samplerate == kSampleRate && sound.info.channels == 1),
      path.string(), ": ", sound.info.samplerate, " Hz with ", sound.info.channels,
      " channel(s), expected 16000 Hz mono; --resample-audio converts it");
  const Wave wave = read_mixed(sound, path.string());
  return resample(wave.samples, wave.rate, kSampleRate);
}

#else

Wave read_wave_any(const std::filesystem::path& path) { no_sndfile(path); }
std::vector<float> read_wave(const std::filesystem::path& path, Conform) { no_sndfile(path); }

#endif

void write_wave(const std::filesystem::path& path, std::span<const float> samples, std::int64_t rate) {
  write_file(path, encode_wave(samples, rate));
}

std::vector<float> resample(std::span<const float> samples, std::int64_t from, std::int64_t to) {
  MLD_CHECK(from >= kMinRate && from <= kMaxRate && to >= kMinRate && to <= kMaxRate, "resample: from ", from,
            " to ", to, " Hz; expected 1000 .. 768000");
  if (from == to) return {samples.begin(), samples.end()};
  constexpr double kZeros = 32, kBeta = 9, kRollOff = 0.95;
  const double cutoff = kRollOff * std::min(1.0, static_cast<double>(to) / static_cast<double>(from));
  const double reach = kZeros / cutoff;  // input samples either side
  const auto side = static_cast<std::int64_t>(std::ceil(reach));
  const std::int64_t common = std::gcd(from, to), up = to / common, down = from / common;
  const auto length = static_cast<std::int64_t>(samples.size()), out_length = (length * up + down - 1) / down;
  std::vector<float> out(static_cast<std::size_t>(out_length));
  std::vector<double> weights(static_cast<std::size_t>(2 * side + 1));
  // Output i lies at i * down / up; those with the same fractional part share their weights.
  for (std::int64_t phase = 0; phase < std::min(up, out_length); ++phase) {
    const double fraction = static_cast<double>(phase * down % up) / static_cast<double>(up);
    for (std::int64_t k = -side; k <= side; ++k) {
      const double distance = fraction - static_cast<double>(k),
                   inside = std::min(1.0, std::abs(distance) / reach);
      const double window =
          inside < 1 ? bessel_i0(kBeta * std::sqrt(1 - inside * inside)) / bessel_i0(kBeta) : 0.0;
      weights[static_cast<std::size_t>(k + side)] = cutoff * sinc(cutoff * distance) * window;
    }
    for (std::int64_t i = phase; i < out_length; i += up) {
      const std::int64_t first = i * down / up - side;
      double sum = 0;
      for (std::int64_t j = std::max<std::int64_t>(0, first); j <= std::min(length - 1, first + 2 * side);
           ++j)
        sum += static_cast<double>(samples[static_cast<std::size_t>(j)]) *
               weights[static_cast<std::size_t>(j - first)];
      out[static_cast<std::size_t>(i)] = static_cast<float>(sum);
    }
  }
  return out;
}

std::vector<float> fit_length(std::span<const float> samples, std::int64_t length) {
  MLD_CHECK(length >= 0, "fit_length: length ", length);
  std::vector<float> out(static_cast<std::size_t>(length), 0.0F);
  const std::size_t count = std::min(samples.size(), out.size());
  const auto kept = samples.subspan((samples.size() - count) / 2, count);
  std::copy(kept.begin(), kept.end(), out.begin() + static_cast<std::ptrdiff_t>((out.size() - count) / 2));
  return out;
}

}  // namespace mld::data
