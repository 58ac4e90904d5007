// CRC-32 (IEEE 802.3, as zlib, gzip and PNG compute it): guards tensors in files against corruption on disk.
#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace mld {

// Continues from `crc`, the value of the bytes before; 0 starts.
inline std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t crc = 0) {
  return static_cast<std::uint32_t>(
      ::crc32_z(crc, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
}

}  // namespace mld
