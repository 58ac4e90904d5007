#include "data/formats/orientation.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace mld::data {
namespace {

// Unsigned numbers of a TIFF structure in its byte order; 0 beyond its end.
struct Tiff {
  std::span<const std::uint8_t> bytes;
  bool big_endian;

  std::uint32_t number(std::size_t at, std::size_t size) const {
    if (at > bytes.size() || size > bytes.size() - at) return 0;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value = value << 8U | bytes[at + (big_endian ? i : size - 1 - i)];
    return value;
  }
};

}  // namespace

int exif_orientation(std::span<const std::uint8_t> bytes) {
  constexpr std::uint32_t kOrientation = 0x0112, kShort = 3;
  constexpr std::size_t kEntry = 12;
  if (bytes.size() < 8 || bytes[0] != bytes[1] || (bytes[0] != 'I' && bytes[0] != 'M')) return 1;
  const Tiff tiff{bytes, bytes[0] == 'M'};
  if (tiff.number(2, 2) != 42) return 1;
  const std::size_t directory = tiff.number(4, 4), entries = tiff.number(directory, 2);
  for (std::size_t i = 0; i < entries; ++i) {  // at most 65535; an entry beyond the end reads as zeros
    const std::size_t at = directory + 2 + i * kEntry;
    if (tiff.number(at, 2) != kOrientation || tiff.number(at + 2, 2) != kShort || tiff.number(at + 4, 4) != 1)
      continue;
    const std::uint32_t value = tiff.number(at + 8, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

Picture upright(Picture picture, int orientation) {
  if (orientation <= 1 || orientation > 8) return picture;
  const auto height = static_cast<std::size_t>(picture.size.height),
             width = static_cast<std::size_t>(picture.size.width),
             channels = static_cast<std::size_t>(picture.size.channels);
  const bool swaps = orientation >= 5;
  // Of the stored picture: 2 mirrored, 3 turned by 180 degrees, 4 upside down; 5 to 8 transposed, then those.
  const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool from_below = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  Picture out{picture.size, std::vector<std::uint8_t>(picture.bytes.size()), std::move(picture.done)};
  if (swaps) std::swap(out.size.height, out.size.width);
  std::uint8_t* to = out.bytes.data();
  for (std::size_t row = 0; row < (swaps ? width : height); ++row)
    for (std::size_t column = 0; column < (swaps ? height : width); ++column) {
      std::size_t y = swaps ? column : row, x = swaps ? row : column;
      if (from_below) y = height - 1 - y;
      if (from_right) x = width - 1 - x;
      to = std::copy_n(picture.bytes.data() + (y * width + x) * channels, channels, to);
    }
  return out;
}

}  // namespace mld::data
