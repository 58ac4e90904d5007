#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/formats/picture_readers.h"
#include "engine/base/error.h"

#ifdef MLD_HAVE_TIFF
#include <tiffio.h>
#endif

namespace mld::data {

#ifdef MLD_HAVE_TIFF

namespace formats {
namespace {

constexpr tmsize_t kMostAtOnce = 1 << 30;  // bytes: a strip or tile of the largest picture

// A file in memory as libtiff reads it, and the first error that it reports.
struct Source {
  Bytes bytes;
  std::uint64_t at = 0;
  std::string error = {};

  static Source& of(thandle_t handle) { return *static_cast<Source*>(handle); }
  static tmsize_t read(thandle_t handle, void* to, tmsize_t size) {
    Source& s = of(handle);
    const std::uint64_t left = s.at < s.bytes.size() ? s.bytes.size() - s.at : 0;
    const std::uint64_t count = std::min(left, static_cast<std::uint64_t>(size));
    if (count > 0) std::memcpy(to, s.bytes.data() + s.at, count);
    s.at += count;
    return static_cast<tmsize_t>(count);
  }
  static tmsize_t write(thandle_t, void*, tmsize_t) { return 0; }
  static toff_t seek(thandle_t handle, toff_t by, int from) {
    Source& s = of(handle);
    s.at = by + (from == SEEK_CUR ? s.at : from == SEEK_END ? s.bytes.size() : 0);
    return s.at;
  }
  static int close(thandle_t) { return 0; }
  static toff_t size(thandle_t handle) { return of(handle).bytes.size(); }
  // As a mapped file, which is only read: Debian 12's libtiff refuses tiles without compression otherwise.
  static int map(thandle_t handle, void** base, toff_t* size) {
    const Bytes bytes = of(handle).bytes;
    *base = const_cast<std::uint8_t*>(bytes.data());
    *size = bytes.size();
    return 1;
  }
  static void unmap(thandle_t, void*, toff_t) {}
  static int fail(TIFF*, void* source, const char*, const char* format, va_list values) {
    std::string& error = static_cast<Source*>(source)->error;
    char text[256];
    if (error.empty() && std::vsnprintf(text, sizeof text, format, values) > 0) error = text;
    return 1;
  }
  static int ignore(TIFF*, void*, const char*, const char*, va_list) { return 1; }
};

struct Closed {
  void operator()(TIFF* file) const { TIFFClose(file); }
  void operator()(TIFFOpenOptions* options) const { TIFFOpenOptionsFree(options); }
};

std::unique_ptr<TIFF, Closed> open(Source& source, const std::string& name) {
  const std::unique_ptr<TIFFOpenOptions, Closed> options(TIFFOpenOptionsAlloc());
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), kMostAtOnce);
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), Source::fail, &source);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), Source::ignore, nullptr);
  std::unique_ptr<TIFF, Closed> file(
      TIFFClientOpenExt(name.c_str(), "r", &source, Source::read, Source::write, Source::seek, Source::close,
                        Source::size, Source::map, Source::unmap, options.get()));
  if (!file) corrupt(name, "TIFF", source.error);
  return file;
}

// libtiff's conversion to RGBA, which must be ended whether or not it came to something.
struct Conversion {
  TIFFRGBAImage image{};
  bool begun = false;
  Conversion(TIFF* file, char* why) : begun(TIFFRGBAImageBegin(&image, file, 1, why) != 0) {}
  ~Conversion() {
    if (begun) TIFFRGBAImageEnd(&image);
  }
  Conversion(const Conversion&) = delete;
  Conversion& operator=(const Conversion&) = delete;
};

}  // namespace

Picture read_tiff(Bytes bytes, const std::string& name) {
  Source source{bytes};
  const auto file = open(source, name);
  std::uint32_t width = 0, height = 0;
  TIFFGetField(file.get(), TIFFTAG_IMAGEWIDTH, &width);
  TIFFGetField(file.get(), TIFFTAG_IMAGELENGTH, &height);
  check_size(height, width, name);
  char why[1024] = "";
  MLD_CHECK_AS(ErrorKind::data, TIFFRGBAImageOK(file.get(), why) != 0, name,
               ": a TIFF of a kind that is not read (", why, "); convert it to PNG");
  Conversion conversion(file.get(), why);
  TIFFRGBAImage& image = conversion.image;
  if (!conversion.begun) corrupt(name, "TIFF", why);
  const int orientation = image.orientation;
  image.req_orientation = image.orientation;  // rows as they are stored: libtiff mirrors, but does not turn
  std::vector<std::uint32_t> raster(std::size_t{width} * height);
  if (TIFFRGBAImageGet(&image, raster.data(), width, height) == 0 || !source.error.empty())
    corrupt(name, "TIFF", source.error);
  const bool grey =
      image.photometric == PHOTOMETRIC_MINISBLACK || image.photometric == PHOTOMETRIC_MINISWHITE;
  const bool alpha = image.alpha != 0;
  Picture picture{{height, width, (grey ? 1 : 3) + (alpha ? 1 : 0)}, {}, {}};
  picture.bytes.reserve(static_cast<std::size_t>(picture.size.count()));
  for (const std::uint32_t v : raster) {
    picture.bytes.push_back(static_cast<std::uint8_t>(TIFFGetR(v)));
    if (!grey) picture.bytes.push_back(static_cast<std::uint8_t>(TIFFGetG(v)));
    if (!grey) picture.bytes.push_back(static_cast<std::uint8_t>(TIFFGetB(v)));
    if (alpha) picture.bytes.push_back(static_cast<std::uint8_t>(TIFFGetA(v)));
  }
  if (image.photometric == PHOTOMETRIC_SEPARATED) picture.done.emplace_back(kWithoutInks);
  // Of colours libtiff multiplies what is not.
  if (alpha) picture = blended(std::move(picture), !grey || image.alpha == EXTRASAMPLE_ASSOCALPHA);
  if (TIFFLastDirectory(file.get()) == 0) picture.done.emplace_back("first of several pages");
  return oriented(std::move(picture), orientation >= 1 && orientation <= 8 ? orientation : 1);
}

}  // namespace formats

bool have_tiff() { return true; }

#else

Picture formats::read_tiff(Bytes, const std::string& name) { missing_library(name, "TIFF", "libtiff"); }

bool have_tiff() { return false; }

#endif

}  // namespace mld::data
