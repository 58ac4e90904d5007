// Operands for tests of the float kernels.
#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

namespace mld::test {

using Floats = std::vector<float>;

// -3 .. 3: sums of products of a few thousand of them are exact in float.
inline Floats integers(std::int64_t count, std::mt19937::result_type seed) {
  std::mt19937 bits(seed);
  Floats v(static_cast<std::size_t>(count));
  for (float& x : v) x = static_cast<float>(static_cast<int>(bits() % 7) - 3);
  return v;
}

// In [-1, 1).
inline Floats reals(std::int64_t count, std::uint32_t seed) {
  std::mt19937 bits(seed);
  Floats v(static_cast<std::size_t>(count));
  for (float& x : v) x = static_cast<float>(bits()) * 0x1p-31f - 1;
  return v;
}

inline bool same_bits(const Floats& a, const Floats& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace mld::test
