#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "data/formats/orientation.h"
#include "data/formats/picture_readers.h"
#include "engine/base/error.h"

#ifdef MLD_HAVE_WEBP
#include <webp/decode.h>
#endif

namespace mld::data {

#ifdef MLD_HAVE_WEBP

namespace formats {
namespace {

const char* reason_of(VP8StatusCode status) {
  switch (status) {
    case VP8_STATUS_OUT_OF_MEMORY:
      return "no memory for it";
    case VP8_STATUS_NOT_ENOUGH_DATA:
      return "it ends early";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return "of an unknown kind";
    default:
      return "its data do not fit together";
  }
}

// Of the chunk EXIF, which libwebp leaves alone.
int orientation_of(Bytes bytes) {
  constexpr std::size_t kHead = 12, kChunkHead = 8;  // "RIFF", size, "WEBP"; type and size
  for (std::size_t at = kHead; at + kChunkHead <= bytes.size();) {
    const std::string_view type(reinterpret_cast<const char*>(bytes.data()) + at, 4);
    std::size_t length = 0;
    for (std::size_t i = 0; i < 4; ++i) length |= std::size_t{bytes[at + 4 + i]} << (8 * i);
    at += kChunkHead;
    if (length > bytes.size() - at) break;
    if (type == "EXIF") {
      constexpr std::string_view kExif("Exif\0\0", 6);  // as JPEG has it; some programs keep it
      const Bytes data = bytes.subspan(at, length);
      const bool headed = length >= kExif.size() && std::equal(kExif.begin(), kExif.end(), data.begin());
      return exif_orientation(data.subspan(headed ? kExif.size() : 0));
    }
    at += length + length % 2;
  }
  return 1;
}

}  // namespace

Picture read_webp(Bytes bytes, const std::string& name) {
  WebPDecoderConfig config;
  MLD_CHECK(WebPInitDecoderConfig(&config) != 0, "libwebp is of another version than its headers");
  VP8StatusCode status = WebPGetFeatures(bytes.data(), bytes.size(), &config.input);
  if (status != VP8_STATUS_OK) corrupt(name, "WebP", reason_of(status));
  MLD_CHECK_AS(ErrorKind::data, config.input.has_animation == 0, name,
               ": a WebP animation; convert the frame that is meant to PNG");
  check_size(config.input.height, config.input.width, name);
  const bool alpha = config.input.has_alpha != 0;
  Picture picture{{config.input.height, config.input.width, alpha ? 4 : 3}, {}, {}};
  picture.bytes.resize(static_cast<std::size_t>(picture.size.count()));
  config.output.colorspace = alpha ? MODE_RGBA : MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA = {picture.bytes.data(), static_cast<int>(picture.size.width * picture.size.channels),
                          picture.bytes.size()};
  status = WebPDecode(bytes.data(), bytes.size(), &config);
  WebPFreeDecBuffer(&config.output);
  if (status != VP8_STATUS_OK) corrupt(name, "WebP", reason_of(status));
  if (alpha) picture = blended(std::move(picture));
  return oriented(std::move(picture), orientation_of(bytes));
}

}  // namespace formats

bool have_webp() { return true; }

#else

Picture formats::read_webp(Bytes, const std::string& name) { missing_library(name, "WebP", "libwebp"); }

bool have_webp() { return false; }

#endif

}  // namespace mld::data
