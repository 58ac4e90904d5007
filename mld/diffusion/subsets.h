// Sets of modalities as bit masks, and the distribution of the conditioning set (docs/method.md section 6).
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace mld {

using Subset = std::uint32_t;  // bit i set: modality i is in

constexpr Subset full_set(int modalities) { return (Subset{1} << modalities) - 1; }
constexpr bool contains(Subset set, int modality) { return (set >> modality & 1u) != 0; }

// The k-th bit pattern laid over the set bits of `within`: 0 <= pattern < 2^popcount(within).
constexpr Subset deposit(std::uint32_t pattern, Subset within) {
  Subset out = 0;
  for (int i = 0; within >> i != 0; ++i)
    if (contains(within, i)) {
      if (pattern & 1u) out |= Subset{1} << i;
      pattern >>= 1;
    }
  return out;
}

// Conditioning set A2 of one sample: empty with probability d, otherwise uniform over the non-empty proper
// subsets of the modalities present (always empty if only one is). u and v are uniform in [0,1).
constexpr Subset draw_conditioning(Subset present, double d, double u, double v) {
  const int count = std::popcount(present);
  if (count <= 1 || u < d) return 0;
  const std::uint32_t proper = (std::uint32_t{1} << count) - 2;  // patterns 1 .. proper
  std::uint32_t pattern = 1 + static_cast<std::uint32_t>(v * proper);
  if (pattern > proper) pattern = proper;
  return deposit(pattern, present);
}

// All non-empty subsets, by size, then lexicographically; the full set is last.
std::vector<Subset> all_subsets(int modalities);
// "image,sound"
std::string subset_name(Subset set, std::span<const std::string> modalities);

}  // namespace mld
