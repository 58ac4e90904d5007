// The voice of `digits`: the spoken word of a digit as a source-filter synthesis (a glottal pulse train and
// noise through five formant resonators, frication beside them), with random pitch, vocal-tract length,
// tempo, onset, loudness and background noise. Source: D. Klatt, "Software for a cascade/parallel formant
// synthesizer", JASA 67 (1980); pulse of Klatt & Klatt, JASA 87 (1990).
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "data/draws.h"

namespace mld::data {

constexpr std::int64_t kVoiceSamples = 16000;  // 1 s at 16 kHz
constexpr std::int64_t kControl = 80;          // samples between two control points (5 ms)
constexpr std::int64_t kControls = kVoiceSamples / kControl + 1;

// What the vocal tract does over the second, one value every 5 ms.
struct VoiceTrack {
  struct Point {
    float f1, f2, f3;                      // formants, Hz
    float voice, breath, friction;         // linear amplitudes
    float friction_hz, friction_width_hz;  // resonance of the friction noise
  };
  std::array<Point, kControls> points;
  std::array<float, kControls> pitch_hz;
  float upper_scale;  // vocal-tract factor of the fixed formants 4 and 5
  float open_quotient, loudness, background;
  std::uint32_t noise_seed;
};

// digit in 0 .. 9. Consumes numbers of `random`.
VoiceTrack draw_voice_track(int digit, ItemRandom& random);

// Synthesises up to kVoices tracks at once into waves[i] of 16 000 samples; a wave depends on its track only.
constexpr std::size_t kVoices = 16;
void synthesize_voices(std::span<const VoiceTrack> tracks, std::span<const std::span<float>> waves);

}  // namespace mld::data
