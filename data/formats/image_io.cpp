#include "data/formats/image_io.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "data/formats/encode.h"
#include "data/formats/mmap_file.h"
#include "data/formats/orientation.h"
#include "engine/base/error.h"
#include "engine/io/crc32.h"

#ifdef MLD_HAVE_PNG
#include <png.h>
#endif
#ifdef MLD_HAVE_JPEG
#include <csetjmp>
#include <cstdio>

#include <jpeglib.h>
// after jpeglib.h
#include <jerror.h>
#endif

namespace mld::data {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::int64_t kMaxPixels = 100'000'000;

void check_size(std::int64_t height, std::int64_t width, const std::string& name) {
  MLD_CHECK_AS(ErrorKind::data, height >= 1 && width >= 1 && height <= kMaxPixels / width, name, ": ", height,
               " x ", width, " pixels; expected 1 to 100 million in all");
}

[[noreturn]] void corrupt(const std::string& name, const char* format, const char* reason) {
  fail(ErrorKind::data, name, ": truncated or corrupt ", format, ": ", reason, "; fetch or export it again");
}

#if !defined(MLD_HAVE_PNG) || !defined(MLD_HAVE_JPEG)
[[noreturn]] void missing_library(const std::string& name, const char* format, const char* library) {
  fail(ErrorKind::usage, name, ": this build has no ", library, ", which ", format,
       " files need; install it and build again");
}
#endif

Picture oriented(Picture picture, int orientation) {
  if (orientation == 1) return picture;
  picture.done.push_back(cat("turned upright (EXIF orientation ", orientation, ")"));
  return upright(std::move(picture), orientation);
}

#ifdef MLD_HAVE_PNG

// Drops the last of [.., 2 or 4] channels, the opacity, and blends; see read_picture.
Picture blended(Picture picture) {
  const auto colours = static_cast<std::size_t>(picture.size.channels) - 1;
  const std::size_t pixels = picture.bytes.size() / (colours + 1);
  const auto pixel = [&](std::size_t p) { return picture.bytes.data() + p * (colours + 1); };
  std::uint64_t light = 0, seen = 0;  // of what is visible, by its opacity
  bool clear = false;
  for (std::size_t p = 0; p < pixels; ++p) {
    const std::uint8_t* v = pixel(p);
    const std::uint64_t alpha = v[colours];
    const std::uint64_t luma = colours == 1 ? v[0] * 1000U : v[0] * 299U + v[1] * 587U + v[2] * 114U;
    light += alpha * luma;
    seen += alpha * 1000U;
    clear = clear || alpha < 255;
  }
  const unsigned ground = seen > 0 && 2 * light < 255 * seen ? 255 : 0;
  Picture out{{picture.size.height, picture.size.width, picture.size.channels - 1}, {}, picture.done};
  out.bytes.reserve(pixels * colours);
  for (std::size_t p = 0; p < pixels; ++p)
    for (std::size_t c = 0; c < colours; ++c) {
      const unsigned alpha = pixel(p)[colours];
      out.bytes.push_back(
          static_cast<std::uint8_t>((pixel(p)[c] * alpha + ground * (255 - alpha) + 127) / 255));
    }
  if (clear) out.done.push_back(cat("transparency blended onto ", ground == 0 ? "black" : "white"));
  return out;
}

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

#else

[[noreturn]] Picture read_png(Bytes, const std::string& name) { missing_library(name, "PNG", "libpng"); }

#endif

#ifdef MLD_HAVE_JPEG

// libjpeg reports errors by calling a function that must not return: it jumps back into `decode`.
struct JpegError {
  jpeg_error_mgr manager;  // first, so that a pointer to it is one to the whole
  std::jmp_buf back;
  char message[JMSG_LENGTH_MAX];
};

void leave(j_common_ptr decoder) {
  auto* error = reinterpret_cast<JpegError*>(decoder->err);
  decoder->err->format_message(decoder, error->message);
  std::longjmp(error->back, 1);
}

// Decodes row by row; every object with a destructor lives in the caller, since a jump would skip it.
struct JpegDecoder {
  static constexpr int kExifMarker = JPEG_APP0 + 1;
  jpeg_decompress_struct state{};
  JpegError error{};
  bool inks = false;  // rows are CMYK

  JpegDecoder() {
    state.err = jpeg_std_error(&error.manager);
    error.manager.error_exit = leave;
    error.manager.emit_message = [](j_common_ptr decoder, int level) {
      // A warning means damaged data, in whose place libjpeg would make something up; stray
      // bytes are harmless.
      if (level < 0 && decoder->err->msg_code != JWRN_EXTRANEOUS_DATA) leave(decoder);
    };
  }
  ~JpegDecoder() { jpeg_destroy_decompress(&state); }
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  bool read_header(Bytes bytes) {
    if (setjmp(error.back) != 0) return false;
    jpeg_create_decompress(&state);
    jpeg_mem_src(&state, bytes.data(), static_cast<unsigned long>(bytes.size()));
    jpeg_save_markers(&state, kExifMarker, 0xFFFF);
    jpeg_read_header(&state, TRUE);
    const J_COLOR_SPACE found = state.jpeg_color_space;
    inks = found == JCS_CMYK || found == JCS_YCCK;
    state.out_color_space = inks ? JCS_CMYK : found == JCS_GRAYSCALE ? JCS_GRAYSCALE : JCS_RGB;
    return true;
  }
  int orientation() const {
    constexpr std::string_view kExif("Exif\0\0", 6);
    for (const jpeg_marker_struct* m = state.marker_list; m != nullptr; m = m->next) {
      const Bytes data(m->data, m->data_length);
      if (m->marker == kExifMarker && data.size() >= kExif.size() &&
          std::memcmp(data.data(), kExif.data(), kExif.size()) == 0)
        return exif_orientation(data.subspan(kExif.size()));
    }
    return 1;
  }
  bool read_rows(std::uint8_t* out, std::size_t stride) {
    if (setjmp(error.back) != 0) return false;
    jpeg_start_decompress(&state);
    while (state.output_scanline < state.output_height) {
      JSAMPROW line = out + state.output_scanline * stride;
      jpeg_read_scanlines(&state, &line, 1);
    }
    jpeg_finish_decompress(&state);
    return true;
  }
};

// [.., 4] inks to [.., 3] colours. Adobe's programs write what is left of the white instead of the ink.
Picture without_inks(Picture picture, bool adobe) {
  const std::uint8_t flip = adobe ? 0 : 255;
  Picture out{
      {picture.size.height, picture.size.width, 3}, {}, {"CMYK converted to RGB without a colour profile"}};
  out.bytes.reserve(picture.bytes.size() / 4 * 3);
  for (std::size_t p = 0; p < picture.bytes.size(); p += 4) {
    const unsigned white = picture.bytes[p + 3] ^ flip;
    for (std::size_t c = 0; c < 3; ++c)
      out.bytes.push_back(static_cast<std::uint8_t>(((picture.bytes[p + c] ^ flip) * white + 127) / 255));
  }
  return out;
}

Picture read_jpeg(Bytes bytes, const std::string& name) {
  JpegDecoder decoder;
  if (!decoder.read_header(bytes)) corrupt(name, "JPEG", decoder.error.message);
  check_size(decoder.state.image_height, decoder.state.image_width, name);
  const bool grey = decoder.state.out_color_space == JCS_GRAYSCALE;
  Picture picture{{decoder.state.image_height, decoder.state.image_width,
                   decoder.inks ? 4
                   : grey       ? 1
                                : 3},
                  {},
                  {}};
  picture.bytes.resize(static_cast<std::size_t>(picture.size.count()));
  const auto stride = static_cast<std::size_t>(picture.size.width * picture.size.channels);
  const int orientation = decoder.orientation();  // before the decoder frees the markers
  if (!decoder.read_rows(picture.bytes.data(), stride)) corrupt(name, "JPEG", decoder.error.message);
  if (decoder.inks) picture = without_inks(std::move(picture), decoder.state.saw_Adobe_marker != FALSE);
  return oriented(std::move(picture), orientation);
}

#else

[[noreturn]] Picture read_jpeg(Bytes, const std::string& name) { missing_library(name, "JPEG", "libjpeg"); }

#endif

bool starts_with(Bytes bytes, std::initializer_list<std::uint8_t> magic) {
  return bytes.size() >= magic.size() && std::equal(magic.begin(), magic.end(), bytes.begin());
}

// Weights of the input positions first, first + 1, ... that make one output position.
struct Taps {
  std::int64_t first;
  std::vector<float> weights;
};

std::vector<Taps> triangle_taps(std::int64_t from, std::int64_t to) {
  const double scale = static_cast<double>(from) / static_cast<double>(to), reach = std::max(1.0, scale);
  std::vector<Taps> taps(static_cast<std::size_t>(to));
  for (std::size_t i = 0; i < taps.size(); ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    const auto begin = std::max<std::int64_t>(0, static_cast<std::int64_t>(std::floor(centre - reach)));
    const auto end = std::min<std::int64_t>(from, static_cast<std::int64_t>(std::ceil(centre + reach)));
    std::vector<double> weights;
    double sum = 0;
    for (std::int64_t j = begin; j < end; ++j) {
      weights.push_back(std::max(0.0, 1 - std::abs(static_cast<double>(j) + 0.5 - centre) / reach));
      sum += weights.back();
    }
    taps[i].first = begin;
    for (const double w : weights) taps[i].weights.push_back(static_cast<float>(w / sum));
  }
  return taps;
}

// Resamples the middle axis of [outer, from, inner].
std::vector<float> resample_axis(std::span<const float> in, std::int64_t outer, std::int64_t from,
                                 std::int64_t to, std::int64_t inner) {
  const std::vector<Taps> taps = triangle_taps(from, to);
  std::vector<float> out(static_cast<std::size_t>(outer * to * inner), 0.0F);
  float* target = out.data();
  for (std::int64_t o = 0; o < outer; ++o) {
    for (const Taps& tap : taps) {
      const float* source = in.data() + (o * from + tap.first) * inner;
      for (const float weight : tap.weights) {
        for (std::int64_t i = 0; i < inner; ++i) target[i] += weight * source[i];
        source += inner;
      }
      target += inner;
    }
  }
  return out;
}

void check_shape(const char* place, std::size_t values, PictureSize size) {
  MLD_CHECK(size.height >= 1 && size.width >= 1 && (size.channels == 1 || size.channels == 3) &&
                size.height <= kMaxPixels / size.width && values == static_cast<std::size_t>(size.count()),
            place, ": ", values, " values for ", size.height, " x ", size.width, " x ", size.channels,
            "; expected 1 or 3 channels");
}

// [.., channels] bytes to [.., wanted] floats.
std::vector<float> to_floats(const Picture& picture, std::int64_t wanted) {
  const auto pixels = static_cast<std::size_t>(picture.size.height * picture.size.width);
  const auto channels = static_cast<std::size_t>(picture.size.channels),
             out_channels = static_cast<std::size_t>(wanted);
  std::vector<float> out(pixels * out_channels);
  for (std::size_t p = 0; p < pixels; ++p) {
    const std::uint8_t* in = picture.bytes.data() + p * channels;
    if (channels == 3 && wanted == 1) {
      out[p] = (0.299F * static_cast<float>(in[0]) + 0.587F * static_cast<float>(in[1]) +
                0.114F * static_cast<float>(in[2])) /
               255.0F;
      continue;
    }
    for (std::size_t c = 0; c < out_channels; ++c)
      out[p * out_channels + c] = static_cast<float>(in[channels == 1 ? 0 : c]) / 255.0F;
  }
  return out;
}

}  // namespace

bool have_png() {
#ifdef MLD_HAVE_PNG
  return true;
#else
  return false;
#endif
}

bool have_jpeg() {
#ifdef MLD_HAVE_JPEG
  return true;
#else
  return false;
#endif
}

Picture read_picture(const std::filesystem::path& path) {
  const MmapFile file(path);
  const std::string name = path.string();
  if (starts_with(file.bytes(), {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'}))
    return read_png(file.bytes(), name);
  if (starts_with(file.bytes(), {0xFF, 0xD8, 0xFF})) return read_jpeg(file.bytes(), name);
  fail(ErrorKind::data, name, ": neither a PNG nor a JPEG file; convert it to one of them");
}

std::vector<float> read_image(const std::filesystem::path& path, PictureSize size, Fit fit,
                              std::vector<std::string>* done) {
  MLD_CHECK_AS(ErrorKind::usage,
               size.height >= 1 && size.width >= 1 && (size.channels == 1 || size.channels == 3),
               path.string(), ": asked for as ", size.height, " x ", size.width, " x ", size.channels,
               "; expected 1 or 3 channels");
  Picture picture = read_picture(path);
  std::vector<float> image = to_floats(picture, size.channels);
  if (picture.size.channels != size.channels)
    picture.done.emplace_back(size.channels == 1 ? "colours made grey (ITU-R BT.601)" : "grey made RGB");
  const bool fits = picture.size.height == size.height && picture.size.width == size.width;
  if (!fits && fit == Fit::resize)
    picture.done.push_back(cat("resized from ", picture.size.height, " x ", picture.size.width));
  if (done != nullptr) *done = picture.done;
  if (fits) return image;
  MLD_CHECK_AS(ErrorKind::data, fit == Fit::resize, path.string(), ": ", picture.size.height, " x ",
               picture.size.width, " pixels, expected ", size.height, " x ", size.width,
               "; --resize fits it");
  return resize_bilinear(image, {picture.size.height, picture.size.width, size.channels}, size.height,
                         size.width);
}

std::vector<float> resize_bilinear(std::span<const float> image, PictureSize from, std::int64_t height,
                                   std::int64_t width) {
  check_shape("resize_bilinear", image.size(), from);
  MLD_CHECK(height >= 1 && width >= 1 && height <= kMaxPixels / width, "resize_bilinear: to ", height, " x ",
            width);
  const std::vector<float> wide = resample_axis(image, from.height, from.width, width, from.channels);
  return resample_axis(wide, 1, from.height, height, width * from.channels);
}

Picture to_picture(std::span<const float> image, PictureSize size) {
  check_shape("to_picture", image.size(), size);
  Picture picture{size, std::vector<std::uint8_t>(image.size())};
  for (std::size_t i = 0; i < image.size(); ++i) {
    const float value = image[i] > 0 ? std::min(image[i], 1.0F) : 0.0F;  // NaN fails the comparison
    picture.bytes[i] = static_cast<std::uint8_t>(std::lround(255.0F * value));
  }
  return picture;
}

void write_png(const std::filesystem::path& path, const Picture& picture) {
  write_file(path, encode_png(picture));
}

void write_png(const std::filesystem::path& path, std::span<const float> image, PictureSize size) {
  write_png(path, to_picture(image, size));
}

}  // namespace mld::data
