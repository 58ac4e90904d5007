#include "data/digits/digits_sound.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numbers>
#include <vector>

#include "engine/base/error.h"

namespace mld::data {
namespace {

constexpr double kRate = 16000.0;

struct Phone {
  double f1, f2, f3;
  double voice, breath, friction;
  double friction_hz, friction_width_hz;
  double milliseconds;
};

// Formant targets after Peterson & Barney (vowels) and Klatt (consonants).
constexpr Phone vowel(double f1, double f2, double f3, double ms) {
  return {f1, f2, f3, 1.0, 0, 0, 4000, 2000, ms};
}
constexpr Phone sonorant(double f1, double f2, double f3, double level, double ms) {
  return {f1, f2, f3, level, 0, 0, 4000, 2000, ms};
}
constexpr Phone fricative(double f1, double f2, double level, double hz, double width, double ms) {
  return {f1, f2, 2500, 0, 0, level, hz, width, ms};
}
constexpr Phone closure(double f1, double f2, double ms) { return {f1, f2, 2500, 0, 0, 0, 4000, 2000, ms}; }

// clang-format off
const std::vector<Phone> kWords[10] = {
    // zero
    {{250, 1600, 2500, 0.25, 0, 0.10, 5200, 1200, 80}, vowel(380, 1950, 2550, 80),
     sonorant(340, 1150, 1600, 0.7, 80), vowel(520, 900, 2400, 100), vowel(380, 800, 2300, 80)},
    // one
    {sonorant(300, 620, 2200, 0.6, 90), vowel(660, 1200, 2400, 150), sonorant(280, 1500, 2500, 0.30, 120)},
    // two
    {fricative(320, 1700, 0.22, 4200, 2000, 30), {320, 1600, 2400, 0, 0.12, 0.05, 4200, 2000, 45},
     vowel(320, 1100, 2250, 100), vowel(310, 880, 2250, 130)},
    // three
    {fricative(320, 1300, 0.035, 5500, 3500, 90), sonorant(340, 1120, 1550, 0.7, 80),
     vowel(290, 2250, 2950, 190)},
    // four
    {fricative(320, 900, 0.04, 3500, 4500, 90), vowel(580, 860, 2450, 150),
     sonorant(460, 1200, 1650, 0.75, 110)},
    // five
    {fricative(320, 1000, 0.04, 3500, 4500, 90), vowel(740, 1200, 2450, 120), vowel(420, 2000, 2550, 100),
     {260, 1150, 2250, 0.25, 0, 0.02, 3500, 4500, 70}},
    // six
    {fricative(320, 1500, 0.18, 5200, 1200, 100), vowel(400, 1950, 2550, 80), closure(320, 1900, 50),
     fricative(320, 1800, 0.12, 2200, 700, 25), fricative(320, 1500, 0.18, 5200, 1200, 110)},
    // seven
    {fricative(320, 1500, 0.18, 5200, 1200, 100), vowel(560, 1780, 2500, 90),
     {260, 1150, 2250, 0.25, 0, 0.02, 3500, 4500, 50}, vowel(560, 1300, 2400, 70),
     sonorant(280, 1500, 2500, 0.30, 100)},
    // eight
    {vowel(520, 1900, 2550, 110), vowel(350, 2200, 2700, 90), closure(320, 1900, 60),
     fricative(320, 1700, 0.15, 4200, 2000, 60)},
    // nine
    {sonorant(280, 1450, 2500, 0.30, 90), vowel(740, 1250, 2450, 130), vowel(420, 2000, 2550, 100),
     sonorant(280, 1500, 2500, 0.30, 110)}};
// clang-format on

// The word as this speaker says it this time.
std::vector<Phone> speak(int digit, double tract, double tempo, ItemRandom& random) {
  std::vector<Phone> word = kWords[digit];
  for (Phone& phone : word) {
    phone.f1 *= tract * std::exp(random.normal(0, 0.04));
    phone.f2 *= tract * std::exp(random.normal(0, 0.04));
    phone.f3 *= tract * std::exp(random.normal(0, 0.03));
    phone.friction *= std::exp(random.normal(0, 0.2));
    phone.friction_hz *= std::sqrt(tract);
    phone.milliseconds *= tempo * std::exp(random.normal(0, 0.08));
  }
  return word;
}

VoiceTrack::Point target(const Phone& p, bool speaking) {
  const double loud = speaking ? 1.0 : 0.0;
  const auto f = [](double value) { return static_cast<float>(value); };
  return {f(p.f1),
          f(p.f2),
          f(p.f3),
          f(loud * p.voice),
          f(loud * p.breath),
          f(loud * p.friction),
          f(p.friction_hz),
          f(p.friction_width_hz)};
}

// Moving average over 2 * half + 1 control points: how fast the articulators move.
template <class Member>
void smooth(std::array<VoiceTrack::Point, kControls>& points, Member member, std::int64_t half) {
  std::array<double, kControls + 1> sums{};
  for (std::size_t i = 0; i < points.size(); ++i)
    sums[i + 1] = sums[i] + static_cast<double>(points[i].*member);
  for (std::int64_t i = 0; i < kControls; ++i) {
    const auto from = static_cast<std::size_t>(std::max<std::int64_t>(0, i - half));
    const auto to = static_cast<std::size_t>(std::min<std::int64_t>(kControls, i + half + 1));
    points[static_cast<std::size_t>(i)].*member =
        static_cast<float>((sums[to] - sums[from]) / static_cast<double>(to - from));
  }
}

}  // namespace

VoiceTrack draw_voice_track(int digit, ItemRandom& random) {
  using Point = VoiceTrack::Point;
  const double tract = random.uniform(0.87, 1.15), tempo = random.uniform(0.85, 1.2);
  const std::vector<Phone> word = speak(digit, tract, tempo, random);
  double seconds = 0;
  for (const Phone& phone : word) seconds += phone.milliseconds / 1000;
  const double onset = std::clamp(random.uniform(0.08, 0.40), 0.04, std::max(0.04, 0.95 - seconds));

  VoiceTrack track;
  const double base = 90 * std::pow(2.0, random.uniform(0, 1.2)), fall = random.uniform(-0.05, 0.35),
               curve = random.normal(0, 0.06);
  std::size_t phone = 0;
  double ends = onset + word[0].milliseconds / 1000;
  for (std::size_t i = 0; i < track.points.size(); ++i) {
    const double now = static_cast<double>(i) * kControl / kRate;
    while (phone + 1 < word.size() && now >= ends) ends += word[++phone].milliseconds / 1000;
    track.points[i] = target(word[phone], now >= onset && now < onset + seconds);
    const double along = std::clamp((now - onset) / seconds, 0.0, 1.0);
    track.pitch_hz[i] = static_cast<float>(
        base * (1 + fall * (0.5 - along) + curve * std::sin(2 * std::numbers::pi * along)));
  }
  for (auto member : {&Point::f1, &Point::f2, &Point::f3, &Point::friction_hz, &Point::friction_width_hz})
    smooth(track.points, member, 5);
  for (auto member : {&Point::voice, &Point::breath, &Point::friction}) smooth(track.points, member, 2);
  track.upper_scale = static_cast<float>(tract);
  track.open_quotient = static_cast<float>(random.uniform(0.5, 0.75));
  track.loudness = static_cast<float>(0.1 * std::pow(10.0, random.uniform(-8, 4) / 20));
  track.background = static_cast<float>(1e-5 * std::pow(10.0, random.uniform(-10, 10) / 20));
  track.noise_seed = random.bits();
  return track;
}

namespace {

constexpr int kFormants = 5;
constexpr double kBandwidth[kFormants] = {70, 100, 140, 220, 280};
constexpr double kUpperHz[2] = {3500, 4500};
constexpr float kFloor = 1e-7F;  // inaudible; keeps the filters away from denormal numbers

using Lanes = std::array<float, kVoices>;

// y = a x + b y1 + c y2, one resonance in every lane.
struct Resonator {
  Lanes a{}, b{}, c{}, y1{}, y2{};

  void tune(std::size_t lane, double hz, double width, bool unit_peak) {
    const double r = std::exp(-std::numbers::pi * width / kRate),
                 angle = 2 * std::numbers::pi * std::min(hz, 7600.0) / kRate;
    const double bb = 2 * r * std::cos(angle), cc = -r * r;
    b[lane] = static_cast<float>(bb);
    c[lane] = static_cast<float>(cc);
    a[lane] = static_cast<float>(unit_peak ? (1 - r) * std::sqrt(1 - 2 * r * std::cos(2 * angle) + r * r)
                                           : 1 - bb - cc);
  }
};

struct Synthesizer {
  Resonator formants[kFormants], friction;
  Lanes phase{}, increment{}, increment_step{}, voice{}, voice_step{}, breath{}, breath_step{}, hiss{},
      hiss_step{};
  Lanes open_quotient{}, loudness{}, background{};
  std::array<std::uint32_t, kVoices> noise{};

  void start(std::span<const VoiceTrack> tracks);
  void control(std::span<const VoiceTrack> tracks, std::size_t step);
  void sample(Lanes& out);
};

void Synthesizer::start(std::span<const VoiceTrack> tracks) {
  for (std::size_t l = 0; l < tracks.size(); ++l) {
    open_quotient[l] = tracks[l].open_quotient;
    loudness[l] = tracks[l].loudness;
    background[l] = tracks[l].background;
    noise[l] = tracks[l].noise_seed | 1U;
  }
}

void Synthesizer::control(std::span<const VoiceTrack> tracks, std::size_t step) {
  for (std::size_t l = 0; l < tracks.size(); ++l) {
    const VoiceTrack::Point &now = tracks[l].points[step], &next = tracks[l].points[step + 1];
    const double hz[kFormants] = {now.f1, now.f2, now.f3, kUpperHz[0] * tracks[l].upper_scale,
                                  kUpperHz[1] * tracks[l].upper_scale};
    for (int f = 0; f < kFormants; ++f) formants[f].tune(l, hz[f], kBandwidth[f], false);
    friction.tune(l, now.friction_hz, now.friction_width_hz, true);
    const auto ramp = [](float from, float to) { return (to - from) / static_cast<float>(kControl); };
    increment[l] = tracks[l].pitch_hz[step] / static_cast<float>(kRate);
    increment_step[l] = ramp(increment[l], tracks[l].pitch_hz[step + 1] / static_cast<float>(kRate));
    voice[l] = now.voice, voice_step[l] = ramp(now.voice, next.voice);
    breath[l] = now.breath, breath_step[l] = ramp(now.breath, next.breath);
    hiss[l] = now.friction, hiss_step[l] = ramp(now.friction, next.friction);
  }
}

inline float resonate(Resonator& r, std::size_t l, float x) {
  const float y = r.a[l] * x + r.b[l] * r.y1[l] + r.c[l] * r.y2[l];
  r.y2[l] = r.y1[l];
  r.y1[l] = y;
  return y;
}

void Synthesizer::sample(Lanes& out) {
  for (std::size_t l = 0; l < kVoices; ++l) {
    std::uint32_t bits = noise[l];
    bits ^= bits << 13, bits ^= bits >> 17, bits ^= bits << 5;
    noise[l] = bits;
    const float white = static_cast<float>(static_cast<std::int32_t>(bits)) * 0x1p-31F;
    float p = phase[l] + increment[l];
    p = p >= 1.0F ? p - 1.0F : p;
    phase[l] = p;
    const float u = p / open_quotient[l];
    const float pulse = u < 1.0F ? u * (2.0F - 3.0F * u) : 0.0F;  // derivative of the glottal flow u^2 - u^3
    float y = voice[l] * pulse + (breath[l] + kFloor) * white;
    for (Resonator& formant : formants) y = resonate(formant, l, y);
    y += hiss[l] * resonate(friction, l, white);
    out[l] = loudness[l] * y + background[l] * white;
    increment[l] += increment_step[l];
    voice[l] += voice_step[l];
    breath[l] += breath_step[l];
    hiss[l] += hiss_step[l];
  }
}

}  // namespace

void synthesize_voices(std::span<const VoiceTrack> tracks, std::span<const std::span<float>> waves) {
  MLD_CHECK(tracks.size() <= kVoices && tracks.size() == waves.size(), "synthesize_voices: ", tracks.size(),
            " tracks and ", waves.size(), " waves, at most ", kVoices);
  const auto synthesizer = std::make_unique<Synthesizer>();
  synthesizer->start(tracks);
  Lanes out{};
  for (std::size_t step = 0; step + 1 < static_cast<std::size_t>(kControls); ++step) {
    synthesizer->control(tracks, step);
    for (std::size_t k = 0; k < static_cast<std::size_t>(kControl); ++k) {
      synthesizer->sample(out);
      for (std::size_t l = 0; l < tracks.size(); ++l)
        waves[l][step * static_cast<std::size_t>(kControl) + k] = out[l];
    }
  }
}

}  // namespace mld::data
