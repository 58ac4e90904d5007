// The random numbers of one item of a data set that is made here, taken in order from the engine's
// counter-based generator: a pure function of (seed, split, item, site), so an item has the same bits whatever
// the number of threads, the size of the data set or the order of generation.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

#include "engine/random/philox.h"

namespace mld::data {

// Each keeps the numbers of one purpose apart from all other drawing calls of the library.
inline constexpr std::uint32_t kPenSite = kFirstReservedSite + 0x100;
inline constexpr std::uint32_t kVoiceSite = kFirstReservedSite + 0x101;
inline constexpr std::uint32_t kPhaseSite = kFirstReservedSite + 0x102;
inline constexpr std::uint32_t kSpokenSite = kFirstReservedSite + 0x103;
inline constexpr std::uint32_t kTextureSite = kFirstReservedSite + 0x104;
inline constexpr std::uint32_t kBirdSite = kFirstReservedSite + 0x105;
inline constexpr std::uint32_t kBirdCaptionSite = kFirstReservedSite + 0x106;
inline constexpr std::uint32_t kCropSite =
    kFirstReservedSite + 0x110;  // and one more for each modality, at most 64

class ItemRandom {
 public:
  ItemRandom(std::uint64_t seed, std::uint32_t site, std::uint32_t split, std::uint32_t item)
      : seed_(seed), site_(site), split_(split), item_(item) {}

  std::uint32_t bits() {
    if (next_ % 4 == 0) words_ = draw(seed_, site_, split_, item_, next_ / 4);
    return words_.v[next_++ % 4];
  }
  double uniform() { return (bits() + 0.5) * 0x1p-32; }  // in (0, 1)
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  double normal(double mean, double deviation) {
    const double radius = std::sqrt(-2.0 * std::log(uniform()));
    return mean + deviation * radius * std::cos(2.0 * std::numbers::pi * uniform());
  }
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(uniform() * n); }

 private:
  std::uint64_t seed_;
  std::uint32_t site_, split_, item_, next_ = 0;
  Words words_{};
};

}  // namespace mld::data
