// FNV-1a with 64 bits: names streams of random numbers, fingerprints of configurations and of data. Not
// against forgery.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mld {

// Continues from `hash`, the value of the bytes before.
constexpr std::uint64_t fnv1a(std::string_view bytes, std::uint64_t hash = 0xcbf29ce484222325U) {
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return hash;
}

// The lowest `digits` hexadecimal digits, leading zeros included.
inline std::string hex(std::uint64_t value, int digits) {
  std::string text(static_cast<std::size_t>(digits), '0');
  for (auto digit = text.rbegin(); digit != text.rend(); ++digit, value >>= 4U)
    *digit = "0123456789abcdef"[value & 15U];
  return text;
}

}  // namespace mld
