// The IDX format of the MNIST files: two zero bytes, a type code, the rank, the extents as big-endian
// 32-bit numbers, then the elements in C order. Only unsigned bytes (type code 8), which is what every
// such data set uses.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "engine/base/shape.h"

namespace mld::data {

struct IdxArray {
  Shape shape;
  std::vector<std::uint8_t> values;
};

// `bytes` plain or gzip-compressed; `name` starts every message. Anything wrong is an ErrorKind::data error.
IdxArray parse_idx(std::span<const std::uint8_t> bytes, const std::string& name);
IdxArray read_idx(const std::filesystem::path& path);

}  // namespace mld::data
