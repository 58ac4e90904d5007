#include "data/audio/audio.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <vector>

#include "data/audio/wav.h"
#include "tests/data/files.h"

namespace mld::data {
namespace {

using namespace test;
using std::numbers::pi;

std::vector<float> tone(double hz, double amplitude, std::int64_t samples, std::int64_t rate = kSampleRate) {
  std::vector<float> wave(static_cast<std::size_t>(samples));
  for (std::size_t t = 0; t < wave.size(); ++t)
    wave[t] = static_cast<float>(amplitude *
                                 std::sin(2 * pi * hz * static_cast<double>(t) / static_cast<double>(rate)));
  return wave;
}

// A tone, a chirp and a square wave: something in every band.
std::vector<float> test_signal() {
  std::vector<float> wave(16000);
  for (std::size_t i = 0; i < wave.size(); ++i) {
    const double t = static_cast<double>(i) / 16000;
    const double square = std::sin(2 * pi * 37 * t);
    wave[i] = static_cast<float>(0.5 * std::sin(2 * pi * 440 * t) +
                                 0.25 * std::sin(2 * pi * (300 * t + 1500 * t * t)) +
                                 0.05 * (square > 0   ? 1
                                         : square < 0 ? -1
                                                      : 0));
  }
  return wave;
}

std::vector<float> mel_decibels(const std::vector<float>& wave) {
  std::vector<float> decibels(
      static_cast<std::size_t>(frame_count(static_cast<std::int64_t>(wave.size())) * kMelBands));
  MelFrontEnd().decibels(wave, decibels);
  return decibels;
}

// Relative distance of two magnitude spectra: |a - b| / |a| (spectral convergence).
double distance(const std::vector<float>& magnitudes, const Spectrum& spectrum) {
  double error = 0, norm = 0;
  for (std::size_t i = 0; i < magnitudes.size(); ++i) {
    const double want = magnitudes[i], got = std::hypot(spectrum.re[i], spectrum.im[i]);
    error += (want - got) * (want - got);
    norm += want * want;
  }
  return std::sqrt(error / norm);
}

std::vector<float> magnitudes_of(const std::vector<float>& wave) {
  const Spectrum spectrum = stft(wave);
  std::vector<float> magnitudes(spectrum.re.size());
  for (std::size_t i = 0; i < magnitudes.size(); ++i)
    magnitudes[i] = std::hypot(spectrum.re[i], spectrum.im[i]);
  return magnitudes;
}

TEST_CASE("the transform agrees with the definition of the DFT, and its inverse undoes it") {
  for (const std::size_t n : {std::size_t{8}, std::size_t{32}, std::size_t{512}}) {
    CAPTURE(n);
    RealFft fft(n);
    constexpr std::size_t kLanes = RealFft::kLanes;
    std::vector<float> frames(n * kLanes), re(fft.bins() * kLanes), im(fft.bins() * kLanes), back(n * kLanes);
    for (std::size_t i = 0; i < frames.size(); ++i)
      frames[i] = static_cast<float>(std::sin(0.7 * static_cast<double>(i * i % 97)));
    fft.forward(frames, re, im);
    double worst = 0;
    for (std::size_t l = 0; l < kLanes; ++l) {
      for (std::size_t k = 0; k < fft.bins(); ++k) {
        std::complex<double> sum = 0;
        for (std::size_t t = 0; t < n; ++t)
          sum += static_cast<double>(frames[t * kLanes + l]) *
                 std::polar(1.0, -2 * pi * static_cast<double>(k * t % n) / static_cast<double>(n));
        worst = std::max(worst, std::abs(sum - std::complex<double>(re[k * kLanes + l], im[k * kLanes + l])));
      }
    }
    CHECK(worst < 2e-6 * std::sqrt(static_cast<double>(n)) * 4);
    fft.inverse(re, im, back);
    for (std::size_t i = 0; i < back.size(); ++i)
      REQUIRE(back[i] == doctest::Approx(frames[i]).epsilon(1e-5));
  }
  check_error(ErrorKind::internal, {"RealFft", "1000"}, [] { RealFft fft(1000); });
}

TEST_CASE("Slaney's mel scale") {
  CHECK(hz_to_mel(0) == doctest::Approx(0));
  CHECK(hz_to_mel(440) == doctest::Approx(6.6));
  CHECK(hz_to_mel(1000) == doctest::Approx(15));
  CHECK(hz_to_mel(6400) == doctest::Approx(42));  // 27 steps of the logarithmic part span a factor of 6.4
  CHECK(hz_to_mel(8000) == doctest::Approx(45.245640471924965));
  for (const double hz : {12.0, 999.0, 1001.0, 7777.0})
    CHECK(mel_to_hz(hz_to_mel(hz)) == doctest::Approx(hz));
}

TEST_CASE("the mel basis agrees with librosa's") {
  // librosa 0.11: librosa.filters.mel(sr=16000, n_fft=2048, n_mels=128)
  const std::vector<MelBand>& basis = mel_basis();
  REQUIRE(basis.size() == 128);
  const auto weight = [&](std::size_t b, std::int64_t bin) {
    return basis[b].weights.at(static_cast<std::size_t>(bin - basis[b].first));
  };
  CHECK(weight(0, 2) == doctest::Approx(0.02857778).epsilon(1e-5));
  CHECK(weight(0, 3) == doctest::Approx(0.04266643).epsilon(1e-5));
  CHECK(weight(10, 31) == doctest::Approx(0.015290074).epsilon(1e-5));
  CHECK(weight(127, 1000) == doctest::Approx(0.0052231885).epsilon(1e-5));
  CHECK(basis[64].first == 214);
  CHECK(basis[64].weights.size() == 11);
  CHECK(basis[127].first + static_cast<std::int64_t>(basis[127].weights.size()) == 1024);
  double sum = 0;
  for (const MelBand& band : basis)
    for (const float w : band.weights) sum += w;
  CHECK(sum == doctest::Approx(16.383911).epsilon(1e-6));
}

TEST_CASE("a pure tone has the power that its amplitude says, in its bands only") {
  constexpr std::int64_t kBin = 64;  // 500 Hz, exactly on a bin
  constexpr double kAmplitude = 0.3;
  const std::vector<float> decibels = mel_decibels(tone(kBin * 7.8125, kAmplitude, 16000));
  // |X| is amplitude/2 times the sum of the Hann window (1024), and half of that in the two neighbouring
  // bins.
  const double peak = std::pow(kAmplitude * 512, 2);
  constexpr std::size_t kFrame = 15;
  for (std::size_t b = 0; b < 128; ++b) {
    const MelBand& band = mel_basis()[b];
    double power = 0;
    for (const auto& [bin, share] :
         {std::pair{kBin - 1, 0.25}, std::pair{kBin, 1.0}, std::pair{kBin + 1, 0.25}}) {
      const std::int64_t j = bin - band.first;
      if (j >= 0 && j < static_cast<std::int64_t>(band.weights.size()))
        power += share * peak * band.weights[static_cast<std::size_t>(j)];
    }
    CAPTURE(b);
    if (power > 0)
      CHECK(decibels[kFrame * 128 + b] == doctest::Approx(10 * std::log10(power)).epsilon(1e-4));
    else
      CHECK(decibels[kFrame * 128 + b] < 10 * std::log10(peak) - 80);
  }
}

TEST_CASE("the front end agrees with librosa") {
  // librosa 0.11: 10 log10(max(melspectrogram(y, sr=16000, n_fft=2048, hop_length=512, n_mels=128,
  // window="hann", center=True, pad_mode="constant", power=2), 1e-10)) of test_signal().
  struct Golden {
    std::size_t frame, band;
    float decibels;
  };
  constexpr Golden kGolden[] = {{0, 3, 8.5316F},      {0, 40, -8.4467F},   {1, 0, 15.2391F},
                                {5, 18, 35.1622F},    {8, 57, -15.6534F},  {16, 18, 35.1636F},
                                {16, 60, -24.9006F},  {20, 90, -24.8528F}, {31, 70, -22.6379F},
                                {31, 127, -25.2180F}, {15, 100, -26.7790F}};
  const std::vector<float> decibels = mel_decibels(test_signal());
  REQUIRE(decibels.size() == 32 * 128);
  for (const Golden& g : kGolden) {
    CAPTURE(g.frame);
    CAPTURE(g.band);
    CHECK(std::abs(decibels[g.frame * 128 + g.band] - g.decibels) < 0.01);
  }
  const auto [low, high] = std::minmax_element(decibels.begin(), decibels.end());
  CHECK(std::abs(*high - 36.039406F) < 0.001);
  CHECK(std::abs(*low - -37.406532F) < 0.05);
}

TEST_CASE("silence is -100 dB; a set is clipped 80 dB below its maximum") {
  const std::vector<float> silence = mel_decibels(std::vector<float>(700, 0.0F));
  CHECK(silence.size() == 2 * 128);
  for (const float v : silence) REQUIRE(v == doctest::Approx(-100));
  CHECK(decibel_range(std::vector<float>{-100, 3, -20}) == ValueRange{-77, 3});
  CHECK(decibel_range(std::vector<float>{-30, 3, -20}) == ValueRange{-30, 3});
  CHECK(decibel_range(silence).to_unit(-100) == 0.0F);
  const ValueRange range{-77, 3};
  CHECK(range.to_unit(-100) == 0.0F);
  CHECK(range.to_unit(-37) == doctest::Approx(0.5));
  CHECK(range.from_unit(range.to_unit(-20)) == doctest::Approx(-20));
  std::vector<float> small(128);
  check_error(ErrorKind::internal, {"mel front end", "32 x 128"},
              [&] { MelFrontEnd().decibels(test_signal(), small); });
}

TEST_CASE("istft undoes stft") {
  const std::vector<float> wave = test_signal();
  const std::vector<float> back = istft(stft(wave));
  REQUIRE(back.size() == 15872);
  for (std::size_t i = 0; i < back.size(); ++i) REQUIRE(std::abs(back[i] - wave[i]) < 1e-5);
}

TEST_CASE("mel inversion gives non-negative magnitudes with the mel power asked for") {
  std::vector<float> power = mel_decibels(test_signal());
  for (float& v : power) v = std::pow(10.0F, v / 10);
  const std::vector<float> magnitudes = invert_mel(power);
  REQUIRE(magnitudes.size() == 32 * 1025);
  for (std::size_t f = 0; f < 32; ++f) {
    double error = 0, norm = 0;
    for (std::size_t b = 0; b < 128; ++b) {
      const MelBand& band = mel_basis()[b];
      double got = 0;
      for (std::size_t j = 0; j < band.weights.size(); ++j) {
        const double m = magnitudes[f * 1025 + static_cast<std::size_t>(band.first) + j];
        REQUIRE(m >= 0);
        got += m * m * band.weights[j];
      }
      error += std::pow(got - power[f * 128 + b], 2);
      norm += std::pow(power[f * 128 + b], 2);
    }
    CHECK(std::sqrt(error / norm) < 1e-3);
  }
}

TEST_CASE("Griffin-Lim finds a wave with the magnitudes asked for") {
  const std::vector<float> magnitudes = magnitudes_of(test_signal());
  const std::vector<float> start = griffin_lim(magnitudes, 7, 0), wave = griffin_lim(magnitudes, 7);
  REQUIRE(wave.size() == 15872);
  const double before = distance(magnitudes, stft(start)), after = distance(magnitudes, stft(wave));
  CAPTURE(before);
  CAPTURE(after);
  CHECK(after < 0.15);
  CHECK(after < 0.4 * before);
  CHECK(griffin_lim(magnitudes, 7) == wave);
  CHECK(griffin_lim(magnitudes, 8) != wave);
}

TEST_CASE("a spectrogram made audible sounds like it looks") {
  std::vector<float> spectrogram = mel_decibels(test_signal());
  const ValueRange range = decibel_range(spectrogram);
  for (float& v : spectrogram) v = range.to_unit(v);
  const std::vector<float> wave = synthesize_wave(spectrogram, range, 3);
  REQUIRE(wave.size() == 16000);
  CHECK(std::all_of(wave.begin(), wave.begin() + 64, [](float v) { return v == 0; }));
  CHECK(std::all_of(wave.end() - 64, wave.end(), [](float v) { return v == 0; }));
  // The 64 zeros shift the frames by an eighth of a hop; away from the edges the picture is the same.
  const std::vector<float> again = mel_decibels(wave);
  double error = 0, count = 0;
  for (std::size_t f = 3; f < 29; ++f)
    for (std::size_t b = 0; b < 128; ++b, ++count)
      error += std::abs(range.to_unit(again[f * 128 + b]) - spectrogram[f * 128 + b]);
  CHECK(error / count < 0.04);
}

TEST_CASE("resampling keeps tones in band, removes those above, and has the right length") {
  const std::vector<float> up = resample(tone(440, 0.5, 8000, 8000), 8000, 16000);
  const std::vector<float> want = tone(440, 0.5, 16000);
  REQUIRE(up.size() == 16000);
  for (std::size_t i = 200; i < 15800; ++i) REQUIRE(std::abs(up[i] - want[i]) < 2e-4);
  const std::vector<float> down = resample(tone(15000, 0.5, 44100, 44100), 44100, 16000);
  REQUIRE(down.size() == 16000);
  for (std::size_t i = 200; i < 15800; ++i) REQUIRE(std::abs(down[i]) < 2e-4);
  const std::vector<float> odd = resample(tone(1000, 0.5, 11025, 11025), 11025, 16000);
  const std::vector<float> odd_want = tone(1000, 0.5, 16000);
  REQUIRE(odd.size() == 16000);
  for (std::size_t i = 200; i < 15800; ++i) REQUIRE(std::abs(odd[i] - odd_want[i]) < 2e-4);
  CHECK(resample(want, 16000, 16000) == want);
  CHECK(resample(std::vector<float>(5, 0.0F), 16000, 8000).size() == 3);
  CHECK(resample({}, 16000, 8000).empty());
}

TEST_CASE("a wave is cut or padded around its middle") {
  const std::vector<float> wave{1, 2, 3, 4};
  CHECK(fit_length(wave, 4) == wave);
  CHECK(fit_length(wave, 2) == std::vector<float>{2, 3});
  CHECK(fit_length(wave, 7) == std::vector<float>{0, 1, 2, 3, 4, 0, 0});
}

TEST_CASE("sound files") {
  const TempFolder folder;
  const auto path = folder / "tone.wav";
  if (!have_sndfile()) {
    check_error(ErrorKind::usage, {"libsndfile"}, [&] { read_wave(path, Conform::strict); });
    return;
  }
  std::vector<float> wave = tone(440, 0.5, 3000);
  wave[0] = 2;
  wave[1] = -2;
  wave[2] = std::nanf("");
  write_wave(path, wave, 16000);
  const std::vector<float> back = read_wave(path, Conform::strict);
  REQUIRE(back.size() == wave.size());
  CHECK(back[0] == doctest::Approx(1).epsilon(1e-4));
  CHECK(back[1] == doctest::Approx(-1).epsilon(1e-4));
  CHECK(back[2] == 0);
  for (std::size_t i = 3; i < wave.size(); ++i) REQUIRE(std::abs(back[i] - wave[i]) < 1.0 / 16384);

  const auto slow = folder / "slow.wav";
  write_wave(slow, tone(440, 0.5, 2000, 8000), 8000);
  check_error(ErrorKind::data, {"slow.wav", "8000 Hz", "--resample-audio"},
              [&] { read_wave(slow, Conform::strict); });
  CHECK(read_wave(slow, Conform::convert).size() == 4000);
  CHECK(read_wave_any(slow).rate == 8000);

  std::string bytes = read_bytes(path);
  write_bytes(folder / "short.wav", bytes.substr(0, 2000));
  check_error(ErrorKind::data, {"short.wav", "truncated"},
              [&] { read_wave(folder / "short.wav", Conform::strict); });
  write_bytes(folder / "header.wav", bytes.substr(0, 20));
  check_error(ErrorKind::data, {"header.wav"}, [&] { read_wave(folder / "header.wav", Conform::strict); });
  write_bytes(folder / "text.wav", "not a sound");
  check_error(ErrorKind::data, {"text.wav", "not a readable sound file"},
              [&] { read_wave(folder / "text.wav", Conform::strict); });
  write_bytes(folder / "nothing.wav", "");
  check_error(ErrorKind::data, {"nothing.wav"}, [&] { read_wave(folder / "nothing.wav", Conform::strict); });
  check_error(ErrorKind::data, {"absent.wav", "no such file"},
              [&] { read_wave(folder / "absent.wav", Conform::strict); });
  write_wave(folder / "empty.wav", {}, 16000);
  check_error(ErrorKind::data, {"empty.wav", "no samples"},
              [&] { read_wave(folder / "empty.wav", Conform::strict); });
  check_error(ErrorKind::io, {"where.wav", "cannot write"},
              [&] { write_wave(folder / "no" / "where.wav", wave, 16000); });

  // Written by programs that did not know the length yet: what is there is read.
  for (const auto& [riff, data] :
       {std::pair{0U, 0U}, std::pair{8U, 0U}, std::pair{36U, 0U}, std::pair{0x7FFFFFFFU, 0x7FFFFFDBU},
        std::pair{0x7FFFFFFFU, 0x7FFFFFFFU}, std::pair{0xFFFFFFFFU, 0xFFFFFFFFU},
        std::pair{0xFFFFFFFFU, 0xFFFFFFDBU}}) {
    CAPTURE(riff);
    CAPTURE(data);
    std::string streamed = bytes;
    std::copy_n(reinterpret_cast<const char*>(&riff), 4, streamed.begin() + 4);
    std::copy_n(reinterpret_cast<const char*>(&data), 4, streamed.begin() + 40);
    write_bytes(folder / "streamed.wav", streamed);
    CHECK(read_wave(folder / "streamed.wav", Conform::strict) == back);
  }

  // Two channels: the 16-bit frames (a, b) mix to their mean.
  const auto stereo = folder / "stereo.wav";
  std::string two = bytes.substr(0, 44 + 8);
  two[22] = 2;  // channels
  const std::uint32_t riff = 36 + 8, data = 8;
  std::copy_n(reinterpret_cast<const char*>(&riff), 4, two.begin() + 4);
  std::copy_n(reinterpret_cast<const char*>(&data), 4, two.begin() + 40);
  two[32] = 4;  // bytes of a frame
  const std::int16_t frames[4] = {16384, 0, -16384, -16384};
  std::copy_n(reinterpret_cast<const char*>(frames), 8, two.begin() + 44);
  write_bytes(stereo, two);
  check_error(ErrorKind::data, {"stereo.wav", "2 channel"}, [&] { read_wave(stereo, Conform::strict); });
  CHECK(read_wave(stereo, Conform::convert) == std::vector<float>{0.25F, -0.5F});
}

}  // namespace
}  // namespace mld::data
