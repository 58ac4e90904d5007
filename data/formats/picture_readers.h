// What read_picture() is made of: a reader for each format, given a whole file, and what they share. A reader whose
// library this build lacks fails as read_picture() says.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "data/formats/image_io.h"

namespace mld::data::formats {

using Bytes = std::span<const std::uint8_t>;

// The file of read_picture().
Picture decode(Bytes bytes, const std::string& name);

Picture read_png(Bytes bytes, const std::string& name);
Picture read_jpeg(Bytes bytes, const std::string& name);
Picture read_webp(Bytes bytes, const std::string& name);
Picture read_tiff(Bytes bytes, const std::string& name);

inline constexpr std::int64_t kMaxPixels = 100'000'000;
void check_size(std::int64_t height, std::int64_t width, const std::string& name);
[[noreturn]] void corrupt(const std::string& name, const char* format, const std::string& reason);
[[noreturn]] void missing_library(const std::string& name, const char* format, const char* library);

// Drops the last of [.., 2 or 4] channels, the opacity, and blends; see read_picture. The colours may be multiplied by
// it already.
Picture blended(Picture picture, bool multiplied = false);
Picture oriented(Picture picture, int orientation);

inline constexpr const char* kWithoutInks = "CMYK converted to RGB without a colour profile";

}  // namespace mld::data::formats
