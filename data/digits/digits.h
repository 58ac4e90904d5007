// `digits`, the embedded data set: three views of a drawn digit, made in seconds from a seed.
//
// One pen path gives both the trajectory (100 points in time) and the image (that very path under an
// anti-aliased pen); the sound is the spoken word of the digit through the mel front end of
// data/audio/audio.h. Shapes and order are those of MHD. Classes are balanced: item i shows digit i mod 10.
// An item is a pure function of (seed, index); test items have other indices than training items and follow
// the same law. The scaling constants come from the training split.
#pragma once

#include <cstdint>
#include <vector>

#include "data/audio/audio.h"
#include "data/pictures/render.h"
#include "data/value_range.h"

namespace mld::data {

constexpr std::int64_t kDigitClasses = 10;
constexpr std::int64_t kDigitImage = kDigitSide * kDigitSide;  // [28, 28, 1]
constexpr std::int64_t kDigitSoundFrames = 32;
constexpr std::int64_t kDigitSound = kDigitSoundFrames * kMelBands;  // [32 frames, 128 mel bands]

struct DigitsConfig {
  std::uint64_t seed = 0;
  std::int64_t train = 20000;
  std::int64_t test = 4000;
};

// N items, row-major, all values in [0, 1].
struct DigitsSplit {
  std::vector<float> image;         // [N, 28, 28, 1]
  std::vector<float> sound;         // [N, 32, 128]
  std::vector<float> trajectory;    // [N, 200]: 100 x, then 100 y
  std::vector<std::int32_t> label;  // [N]
  std::int64_t size() const { return static_cast<std::int64_t>(label.size()); }
};

struct Digits {
  DigitsSplit train, test;
  ValueRange trajectory_range;  // pixels
  ValueRange sound_range;       // decibels
};

// Errors: usage if a size is negative, train is 0, or a split exceeds 10 million items.
void check(const DigitsConfig& config);
Digits make_digits(const DigitsConfig& config);

// The waveform behind the sound of an item (16 000 samples at 16 kHz), for listening to the original.
std::vector<float> digits_wave(const DigitsConfig& config, bool test_split, std::int64_t index);

}  // namespace mld::data
