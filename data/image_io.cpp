#include "data/image_io.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "data/encode.h"
#include "data/mmap_file.h"
#include "engine/core/error.h"

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

#ifdef MLD_HAVE_PNG

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
  image.format = colour ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  image.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  Picture picture{{image.height, image.width, colour ? 3 : 1}, {}};
  picture.bytes.resize(static_cast<std::size_t>(picture.size.count()));
  const png_color black{0, 0, 0};
  if (png_image_finish_read(&image, &black, picture.bytes.data(), 0, nullptr) == 0)
    corrupt(name, "PNG", image.message);
  return picture;
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
  jpeg_decompress_struct state{};
  JpegError error{};

  JpegDecoder() {
    state.err = jpeg_std_error(&error.manager);
    error.manager.error_exit = leave;
    error.manager.emit_message = [](j_common_ptr decoder, int level) {
      // A warning means damaged data, in whose place libjpeg would make something up; stray bytes are
      // harmless.
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
    jpeg_read_header(&state, TRUE);
    state.out_color_space = state.jpeg_color_space == JCS_GRAYSCALE ? JCS_GRAYSCALE : JCS_RGB;
    return true;
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

Picture read_jpeg(Bytes bytes, const std::string& name) {
  JpegDecoder decoder;
  if (!decoder.read_header(bytes)) corrupt(name, "JPEG", decoder.error.message);
  check_size(decoder.state.image_height, decoder.state.image_width, name);
  const bool grey = decoder.state.out_color_space == JCS_GRAYSCALE;
  Picture picture{{decoder.state.image_height, decoder.state.image_width, grey ? 1 : 3}, {}};
  picture.bytes.resize(static_cast<std::size_t>(picture.size.count()));
  const auto stride = static_cast<std::size_t>(picture.size.width * picture.size.channels);
  if (!decoder.read_rows(picture.bytes.data(), stride)) corrupt(name, "JPEG", decoder.error.message);
  return picture;
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

std::vector<float> read_image(const std::filesystem::path& path, PictureSize size, Fit fit) {
  MLD_CHECK_AS(ErrorKind::usage,
               size.height >= 1 && size.width >= 1 && (size.channels == 1 || size.channels == 3),
               path.string(), ": asked for as ", size.height, " x ", size.width, " x ", size.channels,
               "; expected 1 or 3 channels");
  const Picture picture = read_picture(path);
  std::vector<float> image = to_floats(picture, size.channels);
  if (picture.size.height == size.height && picture.size.width == size.width) return image;
  MLD_CHECK_AS(ErrorKind::data, fit == Fit::resize, path.string(), ": ", picture.size.height, " x ",
               picture.size.width, " pixels, expected ", size.height, " x ", size.width,
               "; resize it or ask for resizing");
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
