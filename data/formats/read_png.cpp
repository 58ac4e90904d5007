#include <cmath>
#include <string>

#include "data/formats/orientation.h"
#include "data/formats/picture_readers.h"
#include "engine/base/error.h"
#include "engine/io/crc32.h"

#ifdef MLD_HAVE_PNG
#include <png.h>
#endif

namespace mld::data {

#ifdef MLD_HAVE_PNG

namespace formats {
namespace {

// What the chunks of a PNG say that libpng's simple interface keeps to itself.
struct PngChunks {
  double gamma = 0;  // that libpng undoes; 0: none
  int orientation = 1;
};

PngChunks read_chunks(Bytes bytes) {
  constexpr std::size_t kSignature = 8, kAround = 12;  // length, type and checksum of a chunk
  const auto number = [&](std::size_t at) {
    return static_cast<std::uint32_t>(bytes[at]) << 24U | static_cast<std::uint32_t>(bytes[at + 1]) << 16U |
           static_cast<std::uint32_t>(bytes[at + 2]) << 8U | bytes[at + 3];
  };
  PngChunks found;
  bool profile = false;  // which says more than the gamma
  for (std::size_t at = kSignature; at + kAround <= bytes.size();) {
    const std::size_t length = number(at);
    if (length > bytes.size() - at - kAround) break;
    const std::string type(reinterpret_cast<const char*>(bytes.data()) + at + 4, 4);
    const Bytes data = bytes.subspan(at + 8, length);
    if (type == "sRGB" || type == "iCCP") profile = true;
    if (type == "gAMA" && length == 4) found.gamma = static_cast<double>(number(at + 8)) / 100'000;
    if (type == "eXIf" && crc32(std::as_bytes(bytes.subspan(at + 4, length + 4))) == number(at + 8 + length))
      found.orientation = exif_orientation(data);
    at += length + kAround;
  }
  constexpr double kSrgb = 0.45455, kNear = 0.05;  // libpng takes what is as near as that for sRGB
  if (profile || std::abs(found.gamma / kSrgb - 1) <= kNear) found.gamma = 0;
  return found;
}

// Owns what libpng allocates in a png_image.
struct PngImage {
  png_image image{};
  PngImage() { image.version = PNG_IMAGE_VERSION; }
  ~PngImage() { png_image_free(&image); }
  PngImage(const PngImage&) = delete;
  PngImage& operator=(const PngImage&) = delete;
};

}  // namespace

Picture read_png(Bytes bytes, const std::string& name) {
  PngImage png;
  png_image& image = png.image;
  if (png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()) == 0)
    corrupt(name, "PNG", image.message);
  check_size(image.height, image.width, name);
  const bool colour = (image.format & PNG_FORMAT_FLAG_COLOR) != 0;
  const bool alpha = (image.format & PNG_FORMAT_FLAG_ALPHA) != 0;
  image.format = (colour ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY) | (alpha ? PNG_FORMAT_FLAG_ALPHA : 0U);
  image.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  Picture picture{{image.height, image.width, (colour ? 3 : 1) + (alpha ? 1 : 0)}, {}, {}};
  picture.bytes.resize(static_cast<std::size_t>(picture.size.count()));
  if (png_image_finish_read(&image, nullptr, picture.bytes.data(), 0, nullptr) == 0)
    corrupt(name, "PNG", image.message);
  const PngChunks chunks = read_chunks(bytes);
  if (chunks.gamma > 0) picture.done.push_back(cat("gamma ", chunks.gamma, " converted to sRGB's"));
  if (alpha) picture = blended(std::move(picture));
  return oriented(std::move(picture), chunks.orientation);
}

}  // namespace formats

bool have_png() { return true; }

#else

Picture formats::read_png(Bytes, const std::string& name) { missing_library(name, "PNG", "libpng"); }

bool have_png() { return false; }

#endif

}  // namespace mld::data
