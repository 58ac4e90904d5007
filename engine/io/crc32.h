// CRC-32 (IEEE 802.3, as zlib, gzip and PNG compute it): guards what is in files against corruption
// on disk.
#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "engine/base/hash.h"

namespace mld {

// Continues from `crc`, the value of the bytes before; 0 starts.
inline std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t crc = 0) {
  return static_cast<std::uint32_t>(
      ::crc32_z(crc, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
}

// Of two pieces in a row, from their own checksums and the size of the second.
inline std::uint32_t crc32_joined(std::uint32_t first, std::uint32_t second, std::int64_t second_bytes) {
  return static_cast<std::uint32_t>(::crc32_combine(first, second, static_cast<z_off_t>(second_bytes)));
}

// How one is written: eight lower-case hexadecimal digits.
constexpr int kCrcDigits = 8;
inline std::string crc_text(std::uint32_t crc) { return hex(crc, kCrcDigits); }

}  // namespace mld
