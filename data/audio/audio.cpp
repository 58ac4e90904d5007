#include "data/audio/audio.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "engine/base/error.h"

namespace mld::data {
namespace {

constexpr std::size_t kLanes = RealFft::kLanes;
constexpr auto kFrame = static_cast<std::size_t>(kFrameLength);
constexpr auto kBinCount = static_cast<std::size_t>(kBins);
constexpr auto kBandCount = static_cast<std::size_t>(kMelBands);

constexpr double kMelLinear = 200.0 / 3.0;  // Hz per mel below 1 kHz
constexpr double kBreakHz = 1000.0, kBreakMel = kBreakHz / kMelLinear;
const double kLogStep = std::log(6.4) / 27.0;

const std::vector<float>& frame_window() {
  static const std::vector<float> window = hann_window(kFrameLength);
  return window;
}

std::vector<MelBand> make_mel_basis() {
  std::vector<double> edge(kBandCount + 2);
  const double top = hz_to_mel(kSampleRate / 2.0);
  for (std::size_t i = 0; i < edge.size(); ++i)
    edge[i] = mel_to_hz(top * static_cast<double>(i) / static_cast<double>(kBandCount + 1));
  std::vector<MelBand> basis(kBandCount);
  for (std::size_t b = 0; b < kBandCount; ++b) {
    const double low = edge[b], peak = edge[b + 1], high = edge[b + 2], area = 2.0 / (high - low);
    basis[b].first = -1;
    for (std::int64_t k = 0; k < kBins; ++k) {
      const double hz = static_cast<double>(k) * kSampleRate / kFrameLength;
      const double weight = area * std::min((hz - low) / (peak - low), (high - hz) / (high - peak));
      if (weight <= 0) continue;
      if (basis[b].first < 0) basis[b].first = k;
      basis[b].weights.push_back(static_cast<float>(weight));
    }
  }
  return basis;
}

// Windowed frames first .. first + 7 of the centred wave, interleaved [2048, 8]; frames
// past the end are zero.
void gather_frames(std::span<const float> wave, std::int64_t first, std::span<float> frames) {
  const std::vector<float>& window = frame_window();
  const auto length = static_cast<std::int64_t>(wave.size());
  const std::int64_t count = frame_count(length);
  for (std::size_t l = 0; l < kLanes; ++l) {
    const std::int64_t frame = first + static_cast<std::int64_t>(l);
    const std::int64_t begin = frame * kHop - kFrameLength / 2;
    const std::int64_t from =
        frame < count ? std::clamp<std::int64_t>(-begin, 0, kFrameLength) : kFrameLength;
    const std::int64_t to =
        frame < count ? std::clamp<std::int64_t>(length - begin, from, kFrameLength) : kFrameLength;
    for (std::int64_t t = 0; t < from; ++t) frames[static_cast<std::size_t>(t) * kLanes + l] = 0;
    for (std::int64_t t = from; t < to; ++t) {
      const auto i = static_cast<std::size_t>(t);
      frames[i * kLanes + l] = window[i] * wave[static_cast<std::size_t>(begin + t)];
    }
    for (std::int64_t t = to; t < kFrameLength; ++t) frames[static_cast<std::size_t>(t) * kLanes + l] = 0;
  }
}

}  // namespace

double hz_to_mel(double hz) {
  return hz < kBreakHz ? hz / kMelLinear : kBreakMel + std::log(hz / kBreakHz) / kLogStep;
}

double mel_to_hz(double mel) {
  return mel < kBreakMel ? mel * kMelLinear : kBreakHz * std::exp((mel - kBreakMel) * kLogStep);
}

const std::vector<MelBand>& mel_basis() {
  static const std::vector<MelBand> basis = make_mel_basis();
  return basis;
}

std::vector<float> hann_window(std::int64_t length) {
  std::vector<float> window(static_cast<std::size_t>(length));
  for (std::size_t t = 0; t < window.size(); ++t)
    window[t] = static_cast<float>(
        0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(t) / static_cast<double>(length)));
  return window;
}

void MelBand::sum(std::span<const float> bins, std::span<float, kLanes> sums) const {
  float total[kLanes] = {};
  const float* bin = bins.data() + static_cast<std::size_t>(first) * kLanes;
  for (const float weight : weights) {
    for (std::size_t l = 0; l < kLanes; ++l) total[l] += weight * bin[l];
    bin += kLanes;
  }
  std::copy_n(total, kLanes, sums.begin());
}

MelFrontEnd::MelFrontEnd()
    : fft_(kFrame), frames_(kFrame * kLanes), re_(kBinCount * kLanes), im_(kBinCount * kLanes) {}

void MelFrontEnd::decibels(std::span<const float> wave, std::span<float> decibels) {
  const std::int64_t count = frame_count(static_cast<std::int64_t>(wave.size()));
  MLD_CHECK(!wave.empty() && decibels.size() == static_cast<std::size_t>(count * kMelBands),
            "mel front end: a wave of ", wave.size(), " samples gives ", count,
            " x 128 values, the output holds ", decibels.size());
  const std::vector<MelBand>& basis = mel_basis();
  for (std::int64_t first = 0; first < count; first += static_cast<std::int64_t>(kLanes)) {
    gather_frames(wave, first, frames_);
    fft_.forward(frames_, re_, im_);
    for (std::size_t i = 0; i < re_.size(); ++i) re_[i] = re_[i] * re_[i] + im_[i] * im_[i];
    const auto lanes = static_cast<std::size_t>(std::min<std::int64_t>(count - first, kLanes));
    for (std::size_t b = 0; b < kBandCount; ++b) {
      float power[kLanes];
      basis[b].sum(re_, power);
      for (std::size_t l = 0; l < lanes; ++l)
        decibels[(static_cast<std::size_t>(first) + l) * kBandCount + b] =
            10.0F * std::log10(std::max(power[l], 1e-10F));
    }
  }
}

ValueRange decibel_range(std::span<const float> decibels) {
  MLD_CHECK(!decibels.empty(), "decibel_range: no values");
  const auto [low, high] = std::minmax_element(decibels.begin(), decibels.end());
  const float min = std::max(*low, *high - kDynamicRange);
  return {min, *high > min ? *high : min + 1.0F};
}

Spectrum stft(std::span<const float> wave) {
  MLD_CHECK(!wave.empty(), "stft: the wave is empty");
  RealFft fft(kFrame);
  std::vector<float> frames(kFrame * kLanes), re(kBinCount * kLanes), im(kBinCount * kLanes);
  Spectrum spectrum;
  spectrum.frames = frame_count(static_cast<std::int64_t>(wave.size()));
  spectrum.re.resize(static_cast<std::size_t>(spectrum.frames * kBins));
  spectrum.im.resize(spectrum.re.size());
  for (std::int64_t first = 0; first < spectrum.frames; first += static_cast<std::int64_t>(kLanes)) {
    gather_frames(wave, first, frames);
    fft.forward(frames, re, im);
    const auto lanes = static_cast<std::size_t>(std::min<std::int64_t>(spectrum.frames - first, kLanes));
    for (std::size_t l = 0; l < lanes; ++l) {
      const std::size_t row = (static_cast<std::size_t>(first) + l) * kBinCount;
      for (std::size_t k = 0; k < kBinCount; ++k) {
        spectrum.re[row + k] = re[k * kLanes + l];
        spectrum.im[row + k] = im[k * kLanes + l];
      }
    }
  }
  return spectrum;
}

std::vector<float> istft(const Spectrum& spectrum) {
  MLD_CHECK(spectrum.frames >= 1 && spectrum.re.size() == static_cast<std::size_t>(spectrum.frames * kBins) &&
                spectrum.im.size() == spectrum.re.size(),
            "istft: ", spectrum.frames, " frames with ", spectrum.re.size(), " values");
  RealFft fft(kFrame);
  const std::vector<float>& window = frame_window();
  std::vector<float> frames(kFrame * kLanes), re(kBinCount * kLanes), im(kBinCount * kLanes);
  const auto length = static_cast<std::size_t>((spectrum.frames - 1) * kHop + kFrameLength);
  std::vector<float> sum(length, 0.0F), weight(length, 0.0F);
  for (std::int64_t first = 0; first < spectrum.frames; first += static_cast<std::int64_t>(kLanes)) {
    const auto lanes = static_cast<std::size_t>(std::min<std::int64_t>(spectrum.frames - first, kLanes));
    for (std::size_t l = 0; l < lanes; ++l) {
      const std::size_t row = (static_cast<std::size_t>(first) + l) * kBinCount;
      for (std::size_t k = 0; k < kBinCount; ++k) {
        re[k * kLanes + l] = spectrum.re[row + k];
        im[k * kLanes + l] = spectrum.im[row + k];
      }
    }
    fft.inverse(re, im, frames);
    for (std::size_t l = 0; l < lanes; ++l) {
      const std::size_t begin = (static_cast<std::size_t>(first) + l) * static_cast<std::size_t>(kHop);
      for (std::size_t t = 0; t < kFrame; ++t) {
        sum[begin + t] += window[t] * frames[t * kLanes + l];
        weight[begin + t] += window[t] * window[t];
      }
    }
  }
  const auto samples = static_cast<std::size_t>((spectrum.frames - 1) * kHop);
  std::vector<float> wave(samples);
  constexpr std::size_t kCentre = kFrame / 2;
  for (std::size_t i = 0; i < samples; ++i) wave[i] = sum[kCentre + i] / weight[kCentre + i];
  return wave;
}

}  // namespace mld::data
