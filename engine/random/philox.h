// Random numbers as a pure function of (seed, step, site, row, element): Philox4x32-10, the counter-based
// generator of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). There
// is no generator object to seed, advance or save; any element can be drawn alone, on any thread or device,
// in any order.
//
// Convention: element e of a row comes from word e % 4 of the draw with counter {e / 4, row, site, step} and
// the seed as key. Row is the global batch row in training and the sample id in sampling, step the train step
// or transition, site a number fixed per drawing call. Words and uniforms are the same bits everywhere;
// normals agree to a few ulp between CPU and GPU.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "engine/base/error.h"
#include "engine/base/hd.h"
#include "engine/math/vecmath.h"

namespace mld {

struct Words {
  std::uint32_t v[4];
};

struct Floats {
  float v[4];
};

// The raw generator. Held in 64-bit lanes, of which the low halves count: in vector code that saves the
// shuffles between 32-bit factors and 64-bit products.
MLD_HD Words philox4x32_10(Words counter, std::uint32_t key0, std::uint32_t key1) {
  std::uint64_t c0 = counter.v[0], c1 = counter.v[1], c2 = counter.v[2], c3 = counter.v[3];
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * static_cast<std::uint32_t>(c0);
    const std::uint64_t b = std::uint64_t{0xCD9E8D57} * static_cast<std::uint32_t>(c2);
    c0 = (b >> 32) ^ c1 ^ key0;
    c1 = b;
    c2 = (a >> 32) ^ c3 ^ key1;
    c3 = a;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return {{static_cast<std::uint32_t>(c0), static_cast<std::uint32_t>(c1), static_cast<std::uint32_t>(c2),
           static_cast<std::uint32_t>(c3)}};
}

// Words of elements 4 block ... 4 block + 3 of a row.
MLD_HD Words draw(std::uint64_t seed, std::uint32_t site, std::uint32_t step, std::uint32_t row,
                  std::uint32_t block) {
  return philox4x32_10({{block, row, site, step}}, static_cast<std::uint32_t>(seed),
                       static_cast<std::uint32_t>(seed >> 32));
}

// Sites from here on belong to the library itself.
inline constexpr std::uint32_t kFirstReservedSite = 0xFFFF0000u;

// Uniform in [0, 1), multiples of 2^-24.
MLD_HD float u01(std::uint32_t word) {
  return static_cast<float>(static_cast<std::int32_t>(word >> 8)) * 0x1p-24f;
}

// Uniform in (0, 1], for a logarithm: centres of 2^30 cells, rounded to float, so that small
// values are fine-grained.
MLD_HD float u01_open(std::uint32_t word) {
  return static_cast<float>(static_cast<std::int32_t>(word >> 1 | 1)) * 0x1p-31f;
}

// Uniform in [0, 1), multiples of 2^-53.
MLD_HD double u01_double(std::uint32_t high, std::uint32_t low) {
  return static_cast<double>((std::uint64_t{high} << 32 | low) >> 11) * 0x1p-53;
}

MLD_HD Floats uniform4(Words w) { return {{u01(w.v[0]), u01(w.v[1]), u01(w.v[2]), u01(w.v[3])}}; }

// Four standard normals from two pairs of words, by Box and Muller. Their magnitude is at most sqrt(62 ln 2)
// = 6.56.
MLD_HD Floats normal4(Words w) {
  const float ra = std::sqrt(-2 * math::log_regular(u01_open(w.v[0])));
  const float rb = std::sqrt(-2 * math::log_regular(u01_open(w.v[2])));
  const auto a = math::sincos_2pi(u01(w.v[1]));
  const auto b = math::sincos_2pi(u01(w.v[3]));
  return {{ra * a.cos, ra * a.sin, rb * b.cos, rb * b.sin}};
}

// out[0..n) = the first n elements of a row, each four of them made by `values` (uniform4, normal4
// or a lambda: Words to Floats). Host; works on eight draws side by side, which the compiler turns
// into vector lanes.
template <class F>
void fill_row(float* out, std::int64_t n, std::uint64_t seed, std::uint32_t site, std::uint32_t step,
              std::uint32_t row, F values) {
  constexpr int kDraws = 8;
  constexpr std::int64_t kElements = 4 * kDraws;
  for (std::int64_t first = 0; first < n; first += kElements) {
    float lane[kElements];
    const auto block = static_cast<std::uint32_t>(first / 4);
    for (std::uint32_t i = 0; i < kDraws; ++i) {
      const Floats y = values(draw(seed, site, step, row, block + i));
      lane[4 * i] = y.v[0];
      lane[4 * i + 1] = y.v[1];
      lane[4 * i + 2] = y.v[2];
      lane[4 * i + 3] = y.v[3];
    }
    const std::int64_t count = n - first < kElements ? n - first : kElements;
    for (std::int64_t i = 0; i < count; ++i) out[first + i] = lane[i];
  }
}

// A pseudo-random order of 0..n-1 that needs no storage: a Feistel network over the next power of two, walked
// until it lands below n (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002). p(0), p(1), ...,
// p(n-1) is a permutation for every seed and epoch. The place of an element is uniform; as with any keyed
// family, not all n! orders are reachable once n! exceeds the number of keys. Not for cryptography.
class Permutation {
 public:
  // n must be positive; a kernel cannot be told that it is not.
  MLD_HD Permutation(std::uint64_t n, std::uint64_t seed, std::uint64_t epoch) : n_(n) {
#if !defined(__CUDA_ARCH__)
    MLD_CHECK(n >= 1, "permutation: needs at least one element");
#endif
    const int bits = static_cast<int>(std::bit_width(n - 1));
    low_bits_ = (bits + 1) / 2;
    low_mask_ = (std::uint64_t{1} << low_bits_) - 1;
    high_mask_ = (std::uint64_t{1} << (bits - low_bits_)) - 1;
    for (std::uint32_t round = 0; round < kRounds; ++round) {
      const Words w = draw(seed, kFirstReservedSite, static_cast<std::uint32_t>(epoch),
                           static_cast<std::uint32_t>(epoch >> 32), round);
      keys_[round] = std::uint64_t{w.v[1]} << 32 | w.v[0];
    }
  }

  std::uint64_t size() const { return n_; }

  // Image of i < n; on average fewer than two walks of the network.
  MLD_HD std::uint64_t operator()(std::uint64_t i) const {
    do {
      i = encrypt(i);
    } while (i >= n_);
    return i;
  }

 private:
  static constexpr std::uint32_t kRounds = 8;

  MLD_HD std::uint64_t encrypt(std::uint64_t i) const {
    std::uint64_t low = i & low_mask_, high = i >> low_bits_;
    for (std::uint32_t round = 0; round < kRounds; round += 2) {
      low ^= mix(high ^ keys_[round]) & low_mask_;
      high ^= mix(low ^ keys_[round + 1]) & high_mask_;
    }
    return high << low_bits_ | low;
  }

  // The finaliser of SplitMix64 (Steele, Lea, Flood, 2014).
  MLD_HD static std::uint64_t mix(std::uint64_t x) {
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
  }

  std::uint64_t n_;
  std::uint64_t low_mask_ = 0, high_mask_ = 0;
  int low_bits_ = 0;
  std::uint64_t keys_[kRounds];
};

}  // namespace mld
