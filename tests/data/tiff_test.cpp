// TIFF files, which libtiff's own writer makes.
#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "data/formats/image_io.h"
#include "data/formats/orientation.h"
#include "tests/data/files.h"
#ifdef MLD_HAVE_TIFF
#include <tiffio.h>
#endif

namespace mld::data {
namespace {

using namespace test;

#ifndef MLD_HAVE_TIFF

TEST_CASE("tiff: a build without libtiff says so") {
  const TempFolder folder;
  write_bytes(folder / "a.tif", std::string("II*\0\x08\0\0\0", 8));
  CHECK_FALSE(have_tiff());
  check_error(ErrorKind::usage, {"a.tif", "libtiff"}, [&] { read_picture(folder / "a.tif"); });
}

#else

constexpr std::uint32_t kHeight = 18, kWidth = 20;

struct Tiff {
  std::uint32_t height = kHeight, width = kWidth;
  int channels = 3, bits = 8, photometric = PHOTOMETRIC_RGB;
  int compression = COMPRESSION_NONE, orientation = 1, format = SAMPLEFORMAT_UINT;
  int extra = -1;          // what the last channel is
  std::uint32_t tile = 0;  // its side; 0: strips of `rows`
  std::uint32_t rows = 5;  // of a strip
  const char* mode = "w";  // "wb" big-endian, "w8" of 64 bits
  bool two_pages = false;
};

Bytes pattern(std::size_t count) {
  Bytes bytes;
  for (std::size_t i = 0; i < count; ++i) bytes.push_back(static_cast<std::uint8_t>(i * 37 % 251));
  return bytes;
}

void write_page(TIFF* file, const Tiff& t, Bytes data) {
  TIFFSetField(file, TIFFTAG_IMAGEWIDTH, t.width);
  TIFFSetField(file, TIFFTAG_IMAGELENGTH, t.height);
  TIFFSetField(file, TIFFTAG_SAMPLESPERPIXEL, t.channels);
  TIFFSetField(file, TIFFTAG_BITSPERSAMPLE, t.bits);
  TIFFSetField(file, TIFFTAG_PHOTOMETRIC, t.photometric);
  TIFFSetField(file, TIFFTAG_COMPRESSION, t.compression);
  TIFFSetField(file, TIFFTAG_ORIENTATION, t.orientation);
  TIFFSetField(file, TIFFTAG_SAMPLEFORMAT, t.format);
  TIFFSetField(file, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
  if (t.extra >= 0) {
    const auto extra = static_cast<std::uint16_t>(t.extra);
    TIFFSetField(file, TIFFTAG_EXTRASAMPLES, 1, &extra);
  }
  if (t.photometric == PHOTOMETRIC_PALETTE) {
    std::vector<std::uint16_t> red(256), green(256), blue(256);
    for (std::size_t i = 0; i < 256; ++i) {
      red[i] = static_cast<std::uint16_t>(257 * i);
      green[i] = static_cast<std::uint16_t>(257 * (255 - i));
      blue[i] = 257 * 7;
    }
    TIFFSetField(file, TIFFTAG_COLORMAP, red.data(), green.data(), blue.data());
  }
  const std::size_t pixel = static_cast<std::size_t>(t.channels * t.bits / 8),
                    line = (t.width * static_cast<std::size_t>(t.channels * t.bits) + 7) / 8;
  if (t.tile == 0) {
    TIFFSetField(file, TIFFTAG_ROWSPERSTRIP, t.rows);
    for (std::uint32_t y = 0; y < t.height; ++y)
      REQUIRE(TIFFWriteScanline(file, data.data() + y * line, y, 0) == 1);
  } else {
    TIFFSetField(file, TIFFTAG_TILEWIDTH, t.tile);
    TIFFSetField(file, TIFFTAG_TILELENGTH, t.tile);
    for (std::uint32_t top = 0; top < t.height; top += t.tile)
      for (std::uint32_t left = 0; left < t.width; left += t.tile) {
        Bytes tile(t.tile * t.tile * pixel);
        for (std::uint32_t y = top; y < std::min(top + t.tile, t.height); ++y)
          std::memcpy(tile.data() + (y - top) * t.tile * pixel, data.data() + y * line + left * pixel,
                      std::min(t.tile, t.width - left) * pixel);
        REQUIRE(TIFFWriteTile(file, tile.data(), left, top, 0, 0) > 0);
      }
  }
}

void write_tiff(const fs::path& path, const Tiff& t, const Bytes& data) {
  TIFF* file = TIFFOpen(path.c_str(), t.mode);
  REQUIRE(file != nullptr);
  write_page(file, t, data);
  if (t.two_pages) {
    REQUIRE(TIFFWriteDirectory(file) == 1);
    write_page(file, t, data);
  }
  TIFFClose(file);
}

Picture read(const TempFolder& folder, const Tiff& t, const Bytes& data) {
  write_tiff(folder / "a.tif", t, data);
  return read_picture(folder / "a.tif");
}

TEST_CASE("tiff: strips, tiles, compressions, byte orders and BigTIFF") {
  const TempFolder folder;
  const Bytes bytes = pattern(kHeight * kWidth * 3);
  for (const int compression :
       {COMPRESSION_NONE, COMPRESSION_LZW, COMPRESSION_ADOBE_DEFLATE, COMPRESSION_PACKBITS})
    for (const std::uint32_t tile : {0, 16})
      for (const char* mode : {"w", "wb", "w8"}) {
        CAPTURE(compression);
        CAPTURE(tile);
        const Picture picture = read(folder, {.compression = compression, .tile = tile, .mode = mode}, bytes);
        CHECK(picture.size == PictureSize{kHeight, kWidth, 3});
        CHECK(picture.bytes == bytes);
        CHECK(picture.done.empty());
      }
}

TEST_CASE("tiff: grey, two levels, 16 bits, a palette and inks") {
  const TempFolder folder;
  const Bytes grey = pattern(kHeight * kWidth);
  const Tiff of_grey{.channels = 1, .photometric = PHOTOMETRIC_MINISBLACK};
  const Picture picture = read(folder, of_grey, grey);
  CHECK(picture.size == PictureSize{kHeight, kWidth, 1});
  CHECK(picture.bytes == grey);

  Tiff white = of_grey;
  white.photometric = PHOTOMETRIC_MINISWHITE;
  Bytes inverse = grey;
  for (std::uint8_t& v : inverse) v = static_cast<std::uint8_t>(255 - v);
  CHECK(read(folder, white, grey).bytes == inverse);
  CHECK(read(folder,
             {.height = 1, .width = 4, .channels = 1, .bits = 1, .photometric = PHOTOMETRIC_MINISBLACK},
             {0xA0})
            .bytes == Bytes{255, 0, 255, 0});

  Bytes wide(6);
  const std::uint16_t values[3] = {257 * 10 + 100, 257 * 200 - 100, 65535};
  std::memcpy(wide.data(), values, 6);
  CHECK(read(folder, {.height = 1, .width = 1, .bits = 16}, wide).bytes == Bytes{10, 200, 255});
  const Picture deep =
      read(folder,
           {.height = 1, .width = 3, .channels = 1, .bits = 16, .photometric = PHOTOMETRIC_MINISBLACK}, wide);
  REQUIRE(deep.size == PictureSize{1, 3, 1});
  CHECK(std::abs(deep.bytes[0] - 10) <= 1);
  CHECK(deep.bytes[2] == 255);

  const Picture palette =
      read(folder, {.height = 1, .width = 2, .channels = 1, .photometric = PHOTOMETRIC_PALETTE}, {3, 200});
  CHECK(palette.size == PictureSize{1, 2, 3});
  CHECK(palette.bytes == Bytes{3, 252, 7, 200, 55, 7});

  const Picture inks =
      read(folder, {.height = 1, .width = 2, .channels = 4, .photometric = PHOTOMETRIC_SEPARATED},
           {0, 255, 100, 0, 10, 20, 30, 255});
  CHECK(inks.bytes == Bytes{255, 0, 155, 0, 0, 0});
  CHECK(mentions(inks.done, "CMYK"));
}

TEST_CASE("tiff: transparency is blended, whether colours are multiplied by it or not") {
  const TempFolder folder;
  const auto colours = [&](int extra, const Bytes& bytes) {
    return read(folder, {.height = 1, .width = 2, .channels = 4, .extra = extra}, bytes);
  };
  const Picture apart = colours(EXTRASAMPLE_UNASSALPHA, {200, 220, 255, 255, 100, 100, 200, 51});
  CHECK(apart.bytes == Bytes{200, 220, 255, 20, 20, 40});
  CHECK(apart.done == std::vector<std::string>{"transparency blended onto black"});
  CHECK(colours(EXTRASAMPLE_ASSOCALPHA, {200, 220, 255, 255, 20, 20, 40, 51}).bytes == apart.bytes);
  const Picture dark = colours(EXTRASAMPLE_UNASSALPHA, {0, 0, 0, 255, 0, 0, 0, 0});
  CHECK(dark.bytes == Bytes{0, 0, 0, 255, 255, 255});
  const auto grey = [&](int extra, const Bytes& bytes) {
    return read(
        folder,
        {.height = 1, .width = 2, .channels = 2, .photometric = PHOTOMETRIC_MINISBLACK, .extra = extra},
        bytes);
  };
  CHECK(grey(EXTRASAMPLE_UNASSALPHA, {200, 255, 100, 51}).bytes == Bytes{200, 20});
  CHECK(grey(EXTRASAMPLE_ASSOCALPHA, {200, 255, 20, 51}).bytes == Bytes{200, 20});
}

TEST_CASE("tiff: turned as its orientation says; the first page of several") {
  const TempFolder folder;
  const Bytes bytes = pattern(2 * 3 * 3);
  for (int o = 1; o <= 8; ++o)
    for (const std::uint32_t tile : {0, 16}) {
      const Picture picture = read(folder, {.height = 2, .width = 3, .orientation = o, .tile = tile}, bytes);
      const Picture wanted = upright({{2, 3, 3}, bytes}, o);
      CHECK(picture.size == wanted.size);
      CHECK(picture.bytes == wanted.bytes);
      CHECK(picture.done.size() == (o == 1 ? 0 : 1));
    }
  const Picture first = read(folder, {.height = 2, .width = 3, .two_pages = true}, bytes);
  CHECK(first.bytes == bytes);
  CHECK(first.done == std::vector<std::string>{"first of several pages"});
}

TEST_CASE("tiff: damaged, huge and unreadable files are refused") {
  const TempFolder folder;
  const fs::path path = folder / "a.tif";
  const Bytes bytes = pattern(kHeight * kWidth * 3);
  for (const int compression : {COMPRESSION_NONE, COMPRESSION_LZW, COMPRESSION_ADOBE_DEFLATE}) {
    write_tiff(path, {.compression = compression}, bytes);
    const std::string good = read_bytes(path);
    for (const std::size_t length : {std::size_t{4}, std::size_t{8}, good.size() / 2, good.size() - 10}) {
      write_bytes(path, good.substr(0, length));
      check_error(ErrorKind::data, {"a.tif", "TIFF", "again"}, [&] { read_picture(path); });
    }
    std::uint32_t random = 1;
    for (int round = 0; round < 500; ++round) {
      std::string flipped = good;
      for (int flips = 0; flips < 3; ++flips) {
        random = random * 1664525U + 1013904223U;
        // Mostly in the directory, which is at the end.
        const std::size_t reach =
            round % 2 == 0 ? flipped.size() - 4 : std::min<std::size_t>(200, flipped.size() - 4);
        flipped[flipped.size() - 1 - random / 65536 % reach] = static_cast<char>(random >> 8U);
      }
      write_bytes(path, flipped);
      try {
        read_picture(path);
      } catch (const Error& e) {
        CHECK(e.kind() == ErrorKind::data);
      }
    }
  }
  write_tiff(path, {.rows = 0xFFFFFFFF}, bytes);  // any height is one strip
  const std::string entry("\x01\x01\x03\0\x01\0\0\0", 8),
      large("\x01\x01\x04\0\x01\0\0\0\xFF\xFF\xFF\x7F", 12);
  const std::string good = read_bytes(path);
  const std::size_t at = good.find(entry);
  REQUIRE(at != std::string::npos);
  std::string huge = good;
  write_bytes(path, huge.replace(at, 12, large));
  check_error(ErrorKind::data, {"a.tif", "100 million"}, [&] { read_picture(path); });
  write_tiff(path, {.height = 1, .width = 1, .bits = 32, .format = SAMPLEFORMAT_IEEEFP}, Bytes(12));
  check_error(ErrorKind::data, {"a.tif", "convert it to PNG"}, [&] { read_picture(path); });
}

#endif

}  // namespace
}  // namespace mld::data
