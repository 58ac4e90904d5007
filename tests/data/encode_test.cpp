#include "data/formats/encode.h"

#include <doctest/doctest.h>
#include <zlib.h>

#include <cmath>
#include <string>

#include "data/audio/wav.h"
#include "data/formats/image_io.h"
#include "tests/expect_error.h"
#include "tests/temp_folder.h"

namespace mld::data {
namespace {

using namespace test;

std::uint32_t big(const std::vector<std::uint8_t>& bytes, std::size_t at) {
  return std::uint32_t{bytes[at]} << 24U | std::uint32_t{bytes[at + 1]} << 16U |
         std::uint32_t{bytes[at + 2]} << 8U | bytes[at + 3];
}

Picture noise(std::int64_t height, std::int64_t width, std::int64_t channels) {
  Picture picture{{height, width, channels}, {}};
  std::uint32_t x = 12345;
  for (std::int64_t i = 0; i < picture.size.count(); ++i) {
    x = x * 1664525U + 1013904223U;
    picture.bytes.push_back(static_cast<std::uint8_t>(x >> 24U));
  }
  return picture;
}

}  // namespace

TEST_CASE("encode_png: chunks as the standard has them, rows restored by the Up filter") {
  const Picture picture = noise(5, 7, 3);
  const std::vector<std::uint8_t> png = encode_png(picture);
  REQUIRE(png.size() > 57);
  CHECK(std::string(png.begin(), png.begin() + 8) == "\x89PNG\r\n\x1a\n");
  CHECK(big(png, 8) == 13);
  CHECK(std::string(png.begin() + 12, png.begin() + 16) == "IHDR");
  CHECK(big(png, 16) == 7);
  CHECK(big(png, 20) == 5);
  CHECK(std::vector<std::uint8_t>(png.begin() + 24, png.begin() + 29) ==
        std::vector<std::uint8_t>{8, 2, 0, 0, 0});
  CHECK(big(png, 29) == ::crc32(0, png.data() + 12, 17));
  const std::uint32_t length = big(png, 33);
  CHECK(std::string(png.begin() + 37, png.begin() + 41) == "IDAT");
  CHECK(big(png, 41 + length) == ::crc32(0, png.data() + 37, length + 4));
  CHECK(std::vector<std::uint8_t>(png.begin() + 45 + length, png.end()) ==
        std::vector<std::uint8_t>{0, 0, 0, 0, 'I', 'E', 'N', 'D', 0xae, 0x42, 0x60, 0x82});

  std::vector<std::uint8_t> rows(5 * 22);
  uLongf size = rows.size();
  REQUIRE(uncompress(rows.data(), &size, png.data() + 41, length) == Z_OK);
  REQUIRE(size == rows.size());
  for (std::size_t row = 0; row < 5; ++row) {
    CHECK(rows[22 * row] == 2);
    for (std::size_t k = 0; k < 21; ++k) {
      const int above = row == 0 ? 0 : picture.bytes[21 * (row - 1) + k];
      CHECK(static_cast<std::uint8_t>(rows[22 * row + 1 + k] + above) == picture.bytes[21 * row + k]);
    }
  }
}

TEST_CASE("encode_png: libpng reads what was written") {
  if (!have_png()) return;
  const test::TempFolder folder;
  for (const std::int64_t channels : {1, 3})
    for (const auto& [height, width] : {std::pair{1, 1}, {1, 300}, {200, 1}, {64, 65}}) {
      const Picture picture = noise(height, width, channels);
      write_file(folder / "a.png", encode_png(picture));
      const Picture back = read_picture(folder / "a.png");
      CHECK(back.size == picture.size);
      CHECK(back.bytes == picture.bytes);
    }
  test::error_of(ErrorKind::internal, [] { encode_png({{2, 2, 1}, {1, 2, 3}}); });
  test::error_of(ErrorKind::internal, [] { encode_png({{1, 1, 2}, {1, 2}}); });
}

TEST_CASE("encode_wave: header and samples, little-endian") {
  const std::vector<float> samples{0, 1, -1, 2, std::nanf(""), 0.5F};
  const std::vector<std::uint8_t> want{
      'R', 'I', 'F', 'F', 48, 0,    0,    0, 'W',  'A',  'V',  'E',  'f',  'm',  't', ' ', 16,   0,   0,
      0,   1,   0,   1,   0,  0x80, 0x3e, 0, 0,    0x00, 0x7d, 0,    0,    2,    0,   16,  0,    'd', 'a',
      't', 'a', 12,  0,   0,  0,    0,    0, 0xff, 0x7f, 0x01, 0x80, 0xff, 0x7f, 0,   0,   0x00, 0x40};
  CHECK(encode_wave(samples, 16000) == want);
}

}  // namespace mld::data
