// WebP files, which libwebp's own encoder makes.
#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "data/formats/image_io.h"
#include "data/formats/orientation.h"
#include "tests/data/files.h"
#ifdef MLD_HAVE_WEBP
#include <webp/encode.h>
#endif

namespace mld::data {
namespace {

using namespace test;

#ifndef MLD_HAVE_WEBP

TEST_CASE("webp: a build without libwebp says so") {
  const TempFolder folder;
  write_bytes(folder / "a.webp", std::string("RIFF\x04\0\0\0WEBP", 12));
  CHECK_FALSE(have_webp());
  check_error(ErrorKind::usage, {"a.webp", "libwebp"}, [&] { read_picture(folder / "a.webp"); });
}

#else

// Each byte different from its neighbours.
Bytes pattern(int count) {
  Bytes bytes;
  for (int i = 0; i < count; ++i) bytes.push_back(static_cast<std::uint8_t>(i * 37 % 251));
  return bytes;
}

std::string little(std::size_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i));
  return text;
}

// Lossless; of 3 or 4 channels.
std::string encoded(const Bytes& bytes, int width, int height) {
  std::uint8_t* out = nullptr;
  const bool alpha = bytes.size() == static_cast<std::size_t>(4 * width * height);
  const std::size_t size = (alpha ? WebPEncodeLosslessRGBA : WebPEncodeLosslessRGB)(
      bytes.data(), width, height, (alpha ? 4 : 3) * width, &out);
  std::string text(reinterpret_cast<const char*>(out), size);
  WebPFree(out);
  return text;
}

std::string chunk(const std::string& type, const std::string& data) {
  return type + little(data.size(), 4) + data + std::string(data.size() % 2, '\0');
}

// The same picture in the extended form, with more chunks.
std::string extended(const std::string& simple, char flags, int width, int height, const std::string& more) {
  const std::string body =
      "WEBP" +
      chunk("VP8X", std::string{flags} + little(0, 3) + little(static_cast<std::size_t>(width - 1), 3) +
                        little(static_cast<std::size_t>(height - 1), 3)) +
      simple.substr(12) + more;
  return "RIFF" + little(body.size(), 4) + body;
}

// EXIF data with an orientation alone.
std::string exif(int orientation) {
  return "II*" + little(0, 1) + little(8, 4) + little(1, 2) + little(0x0112, 2) + little(3, 2) +
         little(1, 4) + little(static_cast<std::size_t>(orientation), 4) + little(0, 4);
}

TEST_CASE("webp: colours come back, and of lossy files nearly") {
  const TempFolder folder;
  const Bytes bytes = pattern(5 * 7 * 3);
  write_bytes(folder / "a.webp", encoded(bytes, 7, 5));
  const Picture picture = read_picture(folder / "a.webp");
  CHECK(picture.size == PictureSize{5, 7, 3});
  CHECK(picture.bytes == bytes);
  CHECK(picture.done.empty());

  Bytes flat;
  for (int i = 0; i < 32 * 24; ++i) flat.insert(flat.end(), {200, 100, 55});
  std::uint8_t* out = nullptr;
  const std::size_t size = WebPEncodeRGB(flat.data(), 32, 24, 3 * 32, 90, &out);
  write_bytes(folder / "lossy.webp", std::string(reinterpret_cast<const char*>(out), size));
  WebPFree(out);
  const Picture lossy = read_picture(folder / "lossy.webp");
  REQUIRE(lossy.size == PictureSize{24, 32, 3});
  for (std::size_t i = 0; i < flat.size(); ++i) REQUIRE(std::abs(lossy.bytes[i] - flat[i]) <= 4);
}

TEST_CASE("webp: transparency is blended") {
  const TempFolder folder;
  write_bytes(folder / "a.webp", encoded({200, 220, 255, 255, 100, 100, 200, 51}, 2, 1));
  const Picture picture = read_picture(folder / "a.webp");
  CHECK(picture.bytes == Bytes{200, 220, 255, 20, 20, 40});
  CHECK(picture.done == std::vector<std::string>{"transparency blended onto black"});
}

TEST_CASE("webp: turned as EXIF data say, with and without their JPEG heading") {
  const TempFolder folder;
  const Bytes bytes = pattern(2 * 3 * 3);
  const std::string simple = encoded(bytes, 3, 2);
  for (int o = 1; o <= 8; ++o)
    for (const std::string& head : {std::string(), std::string("Exif\0\0", 6)}) {
      write_bytes(folder / "a.webp", extended(simple, 8, 3, 2, chunk("EXIF", head + exif(o))));
      const Picture picture = read_picture(folder / "a.webp");
      CHECK(picture.bytes == upright({{2, 3, 3}, bytes}, o).bytes);
      CHECK(picture.done.size() == (o == 1 ? 0 : 1));
    }
  write_bytes(folder / "a.webp", extended(simple, 8, 3, 2, chunk("EXIF", "MM")));
  CHECK(read_picture(folder / "a.webp").bytes == bytes);
}

TEST_CASE("webp: damaged, moving and huge files are refused") {
  const TempFolder folder;
  const fs::path path = folder / "a.webp";
  const std::string good = encoded(pattern(40 * 40 * 3), 40, 40);
  for (const std::size_t length :
       {std::size_t{12}, std::size_t{20}, std::size_t{25}, good.size() / 2, good.size() - 2}) {
    write_bytes(path, good.substr(0, length));
    check_error(ErrorKind::data, {"a.webp", "WebP", "again"}, [&] { read_picture(path); });
  }
  write_bytes(path, extended(good, 2, 40, 40, ""));
  check_error(ErrorKind::data, {"a.webp", "animation", "PNG"}, [&] { read_picture(path); });
  write_bytes(path, extended(good, 0, 16384, 16384, ""));
  check_error(ErrorKind::data, {"a.webp"}, [&] { read_picture(path); });
  std::uint32_t random = 1;
  for (int round = 0; round < 500; ++round) {
    std::string bytes = good;
    for (int flips = 0; flips < 3; ++flips) {
      random = random * 1664525U + 1013904223U;
      bytes[12 + random / 65536 % (bytes.size() - 12)] = static_cast<char>(random >> 8U);
    }
    write_bytes(path, bytes);
    try {
      read_picture(path);
    } catch (const Error& e) {
      CHECK(e.kind() == ErrorKind::data);
    }
  }
}

#endif

}  // namespace
}  // namespace mld::data
