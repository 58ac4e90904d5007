// Pictures in and out: PNG, JPEG, WebP and TIFF files as bytes or floats, channels last. Reading them needs libpng,
// libjpeg, libwebp and libtiff; built without one of them, its format fails with an ErrorKind::usage error that names
// the library.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace mld::data {

bool have_png();  // to read; writing needs no library
bool have_jpeg();
bool have_webp();
bool have_tiff();

// Whether the ending of the name, in either case, is that of a format above.
bool is_picture_name(const std::filesystem::path& path);

struct PictureSize {
  std::int64_t height = 0, width = 0, channels = 0;
  std::int64_t count() const { return height * width * channels; }
  bool operator==(const PictureSize&) const = default;
};

struct Picture {
  PictureSize size;                    // channels: 1 grey or 3 RGB
  std::vector<std::uint8_t> bytes;     // [height, width, channels]
  std::vector<std::string> done = {};  // by reading, beyond decoding, in words for records
};

// Reads a picture, its format told by its first bytes, as a viewer shows it: grey files give 1 channel, all others
// 3, in sRGB values of 8 bits. Of a TIFF with several pages the first is read.
//  - Transparent places are blended in the encoded values, as browsers do: alpha c + (1 - alpha) ground. The
//    ground is black, or white where what is visible is darker than the middle, so that ink stands out.
//  - The orientation of EXIF data, and a TIFF's own, is applied; the size is that of the upright picture.
//  - CMYK becomes RGB without a colour profile, as (1 - ink)(1 - black); another gamma of a PNG is converted
//    to sRGB's; 16 bits are rounded to 8, those of a grey TIFF cut.
// Errors (data): missing, of another format (GIF and BMP are named), truncated or corrupt, an animation, a TIFF of samples
// other than 1 to 16 bits, larger than 100 million pixels.
Picture read_picture(const std::filesystem::path& path);

enum class Fit : std::uint8_t {
  strict,  // the file must have the size asked for
  resize   // bilinear (resize_bilinear)
};

// Reads a picture as floats in [0, 1] of the size asked for (1 or 3 channels). Grey becomes RGB by
// repetition, RGB grey by 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601). Error (data) under `strict` if height
// or width differ. `done`, if given, gets what was done to the file's values: Picture::done, and this.
std::vector<float> read_image(const std::filesystem::path& path, PictureSize size, Fit fit,
                              std::vector<std::string>* done = nullptr);

// Bilinear resampling of [height, width, channels], corners not aligned; where the picture shrinks the
// triangle widens accordingly (antialiasing, as Pillow does), the aspect ratio is not preserved.
std::vector<float> resize_bilinear(std::span<const float> image, PictureSize from, std::int64_t height,
                                   std::int64_t width);

// Floats to bytes: clamped to [0, 1], NaN is 0, rounded.
Picture to_picture(std::span<const float> image, PictureSize size);

// Writes an 8-bit grey or RGB PNG. Error (io) if the file cannot be written.
void write_png(const std::filesystem::path& path, const Picture& picture);
void write_png(const std::filesystem::path& path, std::span<const float> image, PictureSize size);

}  // namespace mld::data
