// Seeds: as people write them, the same in options, configuration files, settings and variables, and the ones
// that are made of them.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mld {

constexpr const char* kSeedExpected = "expected an integer from 0 to 2^64-1";

// Decimal digits and nothing else, up to 2^64-1.
inline std::optional<std::uint64_t> parse_seed(std::string_view text) {
  std::uint64_t seed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return seed;
}

// Streams of different purposes of one run must differ: a hash of seed and name. Changing it
// changes every result.
std::uint64_t stage_seed(std::uint64_t seed, const std::string& name);

}  // namespace mld
