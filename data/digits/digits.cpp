#include "data/digits/digits.h"

#include <algorithm>
#include <array>

#include "data/digits/digits_pen.h"
#include "data/digits/digits_sound.h"
#include "data/draws.h"
#include "engine/base/error.h"
#include "engine/threads/threads.h"

namespace mld::data {
namespace {

constexpr std::int64_t kMaxItems = 10'000'000;

ItemRandom random_of(std::uint64_t seed, std::uint32_t site, bool test_split, std::int64_t index) {
  return {seed, site, test_split ? 1U : 0U, static_cast<std::uint32_t>(index)};
}

int label_of(std::int64_t index) { return static_cast<int>(index % kDigitClasses); }

template <class T>
std::span<T> row(std::vector<T>& values, std::int64_t index, std::int64_t width) {
  return std::span<T>(values).subspan(static_cast<std::size_t>(index * width),
                                      static_cast<std::size_t>(width));
}

// Image and trajectory (in pixels) of one item.
void make_pen_views(std::uint64_t seed, bool test_split, std::int64_t index, DigitsSplit& split) {
  ItemRandom random = random_of(seed, kPenSite, test_split, index);
  const PenItem item = draw_pen_item(label_of(index), random);
  draw_path(item.x, item.y, item.radius, item.ink,
            {row(split.image, index, kDigitImage), kDigitSide, kDigitSide});
  const std::span<float> trajectory = row(split.trajectory, index, kTrajectory);
  std::copy(item.x.begin(), item.x.end(), trajectory.begin());
  std::copy(item.y.begin(), item.y.end(), trajectory.begin() + kPathPoints);
}

VoiceTrack voice_of(std::uint64_t seed, bool test_split, std::int64_t index) {
  ItemRandom random = random_of(seed, kVoiceSite, test_split, index);
  return draw_voice_track(label_of(index), random);
}

// Waves of a few voices, synthesised together.
class VoiceBatch {
 public:
  VoiceBatch() : samples_(kVoices * static_cast<std::size_t>(kVoiceSamples)) {}

  void synthesize(std::uint64_t seed, bool test_split, std::int64_t first, std::size_t count) {
    std::array<std::span<float>, kVoices> waves;
    for (std::size_t v = 0; v < count; ++v) {
      tracks_[v] = voice_of(seed, test_split, first + static_cast<std::int64_t>(v));
      waves[v] = wave(v);
    }
    synthesize_voices(std::span(tracks_).first(count), std::span<const std::span<float>>(waves).first(count));
  }
  std::span<float> wave(std::size_t v) {
    return std::span(samples_).subspan(v * static_cast<std::size_t>(kVoiceSamples),
                                       static_cast<std::size_t>(kVoiceSamples));
  }

 private:
  std::vector<VoiceTrack> tracks_ = std::vector<VoiceTrack>(kVoices);
  std::vector<float> samples_;
};

DigitsSplit make_split(std::uint64_t seed, bool test_split, std::int64_t size) {
  DigitsSplit split;
  split.image.resize(static_cast<std::size_t>(size * kDigitImage));
  split.sound.resize(static_cast<std::size_t>(size * kDigitSound));
  split.trajectory.resize(static_cast<std::size_t>(size * kTrajectory));
  split.label.resize(static_cast<std::size_t>(size));
  constexpr auto kBatch = static_cast<std::int64_t>(kVoices);
  const std::int64_t batches = (size + kBatch - 1) / kBatch;
  parallel_ranges(batches, [&](std::int64_t begin, std::int64_t batches_end) {
    VoiceBatch voices;
    MelFrontEnd front_end;
    for (std::int64_t batch = begin; batch < batches_end; ++batch) {
      const std::int64_t first = batch * kBatch, end = std::min(size, first + kBatch);
      voices.synthesize(seed, test_split, first, static_cast<std::size_t>(end - first));
      for (std::int64_t i = first; i < end; ++i) {
        split.label[static_cast<std::size_t>(i)] = label_of(i);
        make_pen_views(seed, test_split, i, split);
        front_end.decibels(voices.wave(static_cast<std::size_t>(i - first)),
                           row(split.sound, i, kDigitSound));
      }
    }
  });
  return split;
}

void scale(std::vector<float>& values, ValueRange range) {
  parallel_for(static_cast<std::int64_t>(values.size()), [&](std::int64_t i) {
    float& value = values[static_cast<std::size_t>(i)];
    value = range.to_unit(value);
  });
}

}  // namespace

void check(const DigitsConfig& config) {
  MLD_CHECK_AS(ErrorKind::usage,
               config.train >= 1 && config.train <= kMaxItems && config.test >= 0 && config.test <= kMaxItems,
               "digits: ", config.train, " training and ", config.test,
               " test items asked for; give 1 .. 10000000 and 0 .. 10000000");
}

Digits make_digits(const DigitsConfig& config) {
  check(config);
  Digits digits;
  digits.train = make_split(config.seed, false, config.train);
  digits.test = make_split(config.seed, true, config.test);
  const auto [low, high] =
      std::minmax_element(digits.train.trajectory.begin(), digits.train.trajectory.end());
  digits.trajectory_range = {*low, *high};
  digits.sound_range = decibel_range(digits.train.sound);
  for (DigitsSplit* split : {&digits.train, &digits.test}) {
    scale(split->trajectory, digits.trajectory_range);
    scale(split->sound, digits.sound_range);
  }
  return digits;
}

std::vector<float> digits_wave(const DigitsConfig& config, bool test_split, std::int64_t index) {
  MLD_CHECK_AS(ErrorKind::usage, index >= 0 && index < (test_split ? config.test : config.train),
               "digits_wave: no item ", index, " in the ", test_split ? "test" : "training", " split");
  VoiceBatch voices;
  voices.synthesize(config.seed, test_split, index, 1);
  const std::span<float> wave = voices.wave(0);
  return {wave.begin(), wave.end()};
}

}  // namespace mld::data
