#include "data/formats/image_io.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include "data/formats/encode.h"
#include "data/formats/mmap_file.h"
#include "data/formats/orientation.h"
#include "data/formats/picture_readers.h"
#include "engine/base/error.h"
#include "engine/base/names.h"

namespace mld::data {
namespace {

using formats::kMaxPixels;

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

void formats::check_size(std::int64_t height, std::int64_t width, const std::string& name) {
  MLD_CHECK_AS(ErrorKind::data, height >= 1 && width >= 1 && height <= kMaxPixels / width, name, ": ", height,
               " x ", width, " pixels; expected 1 to 100 million in all");
}

void formats::corrupt(const std::string& name, const char* format, const std::string& reason) {
  fail(ErrorKind::data, name, ": truncated or corrupt ", format, ": ", reason, "; fetch or export it again");
}

void formats::missing_library(const std::string& name, const char* format, const char* library) {
  fail(ErrorKind::usage, name, ": this build has no ", library, ", which ", format,
       " files need; install it and build again");
}

Picture formats::blended(Picture picture, bool multiplied) {
  const auto colours = static_cast<std::size_t>(picture.size.channels) - 1;
  const std::size_t pixels = picture.bytes.size() / (colours + 1);
  const auto pixel = [&](std::size_t p) { return picture.bytes.data() + p * (colours + 1); };
  const auto weight = [multiplied](unsigned alpha) { return multiplied ? 255U : alpha; };
  std::uint64_t light = 0, seen = 0;  // of what is visible, by its opacity
  bool clear = false;
  for (std::size_t p = 0; p < pixels; ++p) {
    const std::uint8_t* v = pixel(p);
    const std::uint64_t alpha = v[colours];
    const std::uint64_t luma = colours == 1 ? v[0] * 1000U : v[0] * 299U + v[1] * 587U + v[2] * 114U;
    light += weight(v[colours]) * luma;
    seen += alpha * 1000U;
    clear = clear || alpha < 255;
  }
  const unsigned ground = seen > 0 && 2 * light < 255 * seen ? 255 : 0;
  Picture out{{picture.size.height, picture.size.width, picture.size.channels - 1}, {}, picture.done};
  out.bytes.reserve(pixels * colours);
  for (std::size_t p = 0; p < pixels; ++p)
    for (std::size_t c = 0; c < colours; ++c) {
      const unsigned alpha = pixel(p)[colours];
      const unsigned sum = pixel(p)[c] * weight(alpha) + ground * (255 - alpha);
      out.bytes.push_back(static_cast<std::uint8_t>(std::min(255U, (sum + 127) / 255)));
    }
  if (clear) out.done.push_back(cat("transparency blended onto ", ground == 0 ? "black" : "white"));
  return out;
}

Picture formats::oriented(Picture picture, int orientation) {
  if (orientation == 1) return picture;
  picture.done.push_back(cat("turned upright (EXIF orientation ", orientation, ")"));
  return upright(std::move(picture), orientation);
}

bool is_picture_name(const std::filesystem::path& path) {
  const std::string ending = lower(path.extension().string());
  constexpr std::string_view kEndings[] = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff"};
  return std::ranges::find(kEndings, ending) != std::end(kEndings);
}

Picture read_picture(const std::filesystem::path& path) {
  const MmapFile file(path);
  return formats::decode(file.bytes(), path.string());
}

Picture formats::decode(Bytes bytes, const std::string& name) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with("\x89PNG\r\n\x1A\n")) return read_png(bytes, name);
  if (text.starts_with("\xFF\xD8\xFF")) return read_jpeg(bytes, name);
  if (text.starts_with("RIFF") && text.substr(std::min<std::size_t>(8, text.size())).starts_with("WEBP"))
    return read_webp(bytes, name);
  for (const char version : {'*', '+'})  // of 32 and of 64 bits
    if (text.starts_with(std::string{'I', 'I', version, 0}) ||
        text.starts_with(std::string{'M', 'M', 0, version}))
      return read_tiff(bytes, name);
  for (const auto& [magic, format] : {std::pair{"GIF8", "GIF"}, std::pair{"BM", "BMP"}})
    MLD_CHECK_AS(ErrorKind::data, !text.starts_with(magic), name, ": ", format,
                 " files are not read; convert it to PNG");
  fail(ErrorKind::data, name, ": neither a PNG nor a JPEG, WebP or TIFF file; convert it to PNG");
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
