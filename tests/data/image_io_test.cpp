#include "data/formats/image_io.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "data/pictures/sample_grid.h"
#include "tests/data/files.h"
#include "tests/data/fixtures.h"

namespace mld::data {
namespace {

using namespace test;

// Written by Pillow 12: 8 x 16 pixels, left half (200, 100, 55), right half (40, 20, 215), no subsampling.
const char* const kJpeg =
    "ffd8ffe000104a46494600010100000100010000ffdb004300080606070605080707070909080a0c140d0c0b0b0c1912"
    "130f141d1a1f1e1d1a1c1c20242e2720222c231c1c2837292c30313434341f27393d38323c2e333432ffdb0043010909"
    "090c0b0c180d0d1832211c21323232323232323232323232323232323232323232323232323232323232323232323232"
    "3232323232323232323232323232ffc00011080008001003011100021101031101ffc400150001010000000000000000"
    "0000000000000207ffc40014100100000000000000000000000000000000ffc400150101010000000000000000000000"
    "0000000607ffc40014110100000000000000000000000000000000ffda000c03010002110311003f0003860992ee14ff"
    "d9";
// The same way: left half 200, right half 40.
const char* const kGreyJpeg =
    "ffd8ffe000104a46494600010100000100010000ffdb004300080606070605080707070909080a0c140d0c0b0b0c1912"
    "130f141d1a1f1e1d1a1c1c20242e2720222c231c1c2837292c30313434341f27393d38323c2e333432ffc0000b080008"
    "001001011100ffc4001500010100000000000000000000000000000708ffc40014100100000000000000000000000000"
    "000000ffda0008010100003f00484befffd9";

Picture gradient(std::int64_t channels) {
  Picture picture{{5, 7, channels}, {}};
  for (std::int64_t i = 0; i < picture.size.count(); ++i)
    picture.bytes.push_back(static_cast<std::uint8_t>(i * 37 % 256));
  return picture;
}

std::vector<float> pattern() {  // [5, 7]
  std::vector<float> image;
  for (int r = 0; r < 5; ++r)
    for (int c = 0; c < 7; ++c) image.push_back(static_cast<float>((r * 7 + c * 3) % 11) / 10);
  return image;
}

void check_close(const std::vector<float>& got, const std::vector<float>& want, float tolerance) {
  REQUIRE(got.size() == want.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    CAPTURE(i);
    CHECK(std::abs(got[i] - want[i]) <= tolerance);
  }
}

TEST_CASE("a PNG comes back as it was written") {
  const TempFolder folder;
  if (!have_png()) {
    write_png(folder / "a.png", gradient(1));
    check_error(ErrorKind::usage, {"libpng"}, [&] { read_picture(folder / "a.png"); });
    return;
  }
  for (const std::int64_t channels : {1, 3}) {
    const Picture picture = gradient(channels);
    const auto path = folder / (std::to_string(channels) + ".png");
    write_png(path, picture);
    const Picture back = read_picture(path);
    CHECK(back.size == picture.size);
    CHECK(back.bytes == picture.bytes);
    std::vector<float> floats = read_image(path, picture.size, Fit::strict);
    for (std::size_t i = 0; i < floats.size(); ++i)
      REQUIRE(floats[i] == static_cast<float>(picture.bytes[i]) / 255.0F);
    write_png(path, floats, picture.size);
    CHECK(read_picture(path).bytes == picture.bytes);
  }
}

TEST_CASE("grey and colour are converted as asked") {
  if (!have_png()) return;
  const TempFolder folder;
  write_png(folder / "grey.png", Picture{{1, 2, 1}, {10, 200}});
  check_close(read_image(folder / "grey.png", {1, 2, 3}, Fit::strict),
              {10 / 255.F, 10 / 255.F, 10 / 255.F, 200 / 255.F, 200 / 255.F, 200 / 255.F}, 1e-6F);
  write_png(folder / "rgb.png", Picture{{1, 2, 3}, {255, 0, 0, 10, 20, 30}});
  check_close(read_image(folder / "rgb.png", {1, 2, 1}, Fit::strict),
              {0.299F, (0.299F * 10 + 0.587F * 20 + 0.114F * 30) / 255}, 1e-6F);
  check_error(ErrorKind::usage, {"channels"}, [&] {
    read_image(folder / "rgb.png", {1, 2, 4}, Fit::strict);
  });
}

TEST_CASE("floats are clamped and rounded to bytes") {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  const Picture picture = to_picture(std::vector<float>{-1, 0, 0.5F, 1, 7, nan, inf, -inf}, {2, 4, 1});
  CHECK(picture.bytes == std::vector<std::uint8_t>{0, 0, 128, 255, 255, 0, 255, 0});
  check_error(ErrorKind::internal, {"to_picture", "2 x 2 x 2"}, [] {
    to_picture(std::vector<float>(8), {2, 2, 2});
  });
}

TEST_CASE("a JPEG is read") {
  const TempFolder folder;
  const auto colour = folder / "colour.jpg", grey = folder / "grey.jpg";
  write_bytes(colour, from_hex(kJpeg));
  write_bytes(grey, from_hex(kGreyJpeg));
  if (!have_jpeg()) {
    check_error(ErrorKind::usage, {"colour.jpg", "libjpeg"}, [&] { read_picture(colour); });
    return;
  }
  const Picture picture = read_picture(colour);
  REQUIRE(picture.size == PictureSize{8, 16, 3});
  for (std::size_t i = 0; i < picture.bytes.size(); ++i) {
    const int want[2][3] = {{200, 100, 55}, {40, 20, 215}};
    REQUIRE(std::abs(picture.bytes[i] - want[i / 3 % 16 / 8][i % 3]) <= 2);
  }
  const Picture grey_picture = read_picture(grey);
  REQUIRE(grey_picture.size == PictureSize{8, 16, 1});
  CHECK(std::abs(grey_picture.bytes[0] - 200) <= 1);
  CHECK(std::abs(grey_picture.bytes[15] - 40) <= 1);
}

TEST_CASE("damaged pictures are refused with the file's name and the remedy") {
  const TempFolder folder;
  const auto refused = [&](const std::string& name, const std::string& bytes) {
    CAPTURE(name);
    write_bytes(folder / name, bytes);
    check_error(ErrorKind::data, {name, "again"}, [&] { read_picture(folder / name); });
  };
  if (have_png()) {
    Picture noise{{40, 40, 3}, {}};
    for (unsigned i = 0, v = 1; i < 40 * 40 * 3; ++i)
      noise.bytes.push_back(static_cast<std::uint8_t>((v = v * 1664525 + 1013904223) >> 24));
    write_png(folder / "good.png", noise);
    const std::string good = read_bytes(folder / "good.png");
    refused("signature.png", good.substr(0, 8));
    refused("header.png", good.substr(0, 25));
    refused("half.png", good.substr(0, good.size() / 2));
    std::string flipped = good;
    flipped[good.size() / 2] = static_cast<char>(~flipped[good.size() / 2]);
    refused("flipped.png", flipped);
    std::string width = good;
    width[16] = 0x7F;  // width of two thousand million: the header's checksum no longer fits
    refused("width.png", width);
  }
  if (have_jpeg()) {
    const std::vector<std::uint8_t> jpeg = from_hex(kJpeg);
    const std::string good(jpeg.begin(), jpeg.end());
    refused("signature.jpg", good.substr(0, 3));
    refused("header.jpg", good.substr(0, 120));
    refused("half.jpg", good.substr(0, good.size() - 6));
    refused("colours.jpg",
            replaced(good, std::string("\xFF\xC0\x00\x11\x08", 5), std::string("\xFF\xC0\x00\x11\x09", 5)));
  }
  write_bytes(folder / "text.png", "just text");
  check_error(ErrorKind::data, {"text.png", "neither a PNG nor a JPEG, WebP or TIFF"},
              [&] { read_picture(folder / "text.png"); });
  for (const auto& [name, bytes] : {std::pair{"a.gif", "GIF89a"}, std::pair{"a.bmp", "BM\x01"}}) {
    write_bytes(folder / name, std::string(bytes));
    check_error(ErrorKind::data, {name, "files are not read", "convert it to PNG"},
                [&] { read_picture(folder / name); });
  }
  write_bytes(folder / "empty.png", "");
  check_error(ErrorKind::data, {"empty.png"}, [&] { read_picture(folder / "empty.png"); });
  check_error(ErrorKind::data, {"absent.png", "no such file"}, [&] { read_picture(folder / "absent.png"); });
}

TEST_CASE("a picture that promises too many pixels is refused before memory is asked for") {
  if (!have_jpeg()) return;
  const TempFolder folder;
  const std::vector<std::uint8_t> jpeg = from_hex(kJpeg);
  const std::string good(jpeg.begin(), jpeg.end());
  write_bytes(folder / "huge.jpg",
              replaced(good, std::string("\x08\x00\x08\x00\x10", 5), "\x08\xFF\xDC\xFF\xDC"));
  check_error(ErrorKind::data, {"huge.jpg", "65500 x 65500", "100 million"},
              [&] { read_picture(folder / "huge.jpg"); });
}

TEST_CASE("endings of pictures") {
  for (const char* name : {"a.png", "b/c.JPG", "d.jpeg", "e.WebP", "f.tif", "g.TIFF"})
    CHECK(is_picture_name(name));
  for (const char* name : {"png", "a.gif", ".png", "a.png.gz", "a.bmp", "tif/a", ""})
    CHECK_FALSE(is_picture_name(name));
}

TEST_CASE("the size must fit or be asked to be made to fit") {
  if (!have_png()) return;
  const TempFolder folder;
  write_png(folder / "a.png", pattern(), {5, 7, 1});
  check_error(ErrorKind::data, {"a.png", "5 x 7", "7 x 5", "resiz"}, [&] {
    read_image(folder / "a.png", {7, 5, 1}, Fit::strict);
  });
  CHECK(read_image(folder / "a.png", {3, 4, 3}, Fit::resize).size() == 36);
  check_error(ErrorKind::io, {"where.png", "cannot write"},
              [&] { write_png(folder / "no" / "where.png", gradient(1)); });
}

TEST_CASE("resizing agrees with Pillow's BILINEAR") {
  check_close(resize_bilinear(pattern(), {5, 7, 1}, 3, 4),
              {0.43469F, 0.54686F, 0.45771F, 0.39388F, 0.57354F, 0.55733F, 0.39556F, 0.61005F, 0.67415F,
               0.42114F, 0.508F, 0.51361F},
              2e-5F);
  const std::vector<float> larger = resize_bilinear(pattern(), {5, 7, 1}, 8, 9);
  check_close({larger.begin(), larger.begin() + 18},
              {0.0F, 0.2F, 0.43333F, 0.66667F, 0.9F, 0.27778F, 0.26667F, 0.5F, 0.7F, 0.30625F, 0.50625F,
               0.52569F, 0.49167F, 0.725F, 0.47708F, 0.30556F, 0.325F, 0.525F},
              2e-5F);
}

TEST_CASE("resizing treats channels apart and leaves a picture of the same size alone") {
  std::vector<float> rgb;
  for (const float v : pattern()) rgb.insert(rgb.end(), {v, 0.25F, 1 - v});
  CHECK(resize_bilinear(rgb, {5, 7, 3}, 5, 7) == rgb);
  const std::vector<float> one = resize_bilinear(pattern(), {5, 7, 1}, 3, 4),
                           three = resize_bilinear(rgb, {5, 7, 3}, 3, 4);
  for (std::size_t p = 0; p < one.size(); ++p) {
    REQUIRE(three[3 * p] == one[p]);
    REQUIRE(three[3 * p + 1] == doctest::Approx(0.25));
    REQUIRE(three[3 * p + 2] == doctest::Approx(1 - one[p]));
  }
}

std::array<int, 3> pixel(const Picture& picture, std::int64_t row, std::int64_t col) {
  const auto at = static_cast<std::size_t>((row * picture.size.width + col) * 3);
  return {picture.bytes[at], picture.bytes[at + 1], picture.bytes[at + 2]};
}

TEST_CASE("a grid puts every tile in its cell") {
  const std::vector<float> grey{0, 1, 0.2F, 0.4F};    // [2, 2]
  const std::vector<float> red{1, 0, 0};              // [1, 1, 3]
  const std::vector<float> across{0, 1, 0.5F, 0.5F};  // a line from left to right
  const std::vector<float> sound{0, 1, 0, 0};         // [2 frames, 2 bands]
  const std::vector<Tile> tiles{{TileKind::image, grey, {2, 2, 1}},
                                {TileKind::image, red, {1, 1, 3}},
                                {TileKind::empty, {}, {}},
                                {TileKind::trajectory, across, {1, 2, 1}},
                                {TileKind::spectrogram, sound, {2, 2, 1}},
                                {TileKind::image, grey, {2, 2, 1}}};
  const Picture sheet = compose_grid(tiles, 2, 3, {20, 30, 3});
  REQUIRE(sheet.size == PictureSize{2 * 23 + 3, 3 * 33 + 3, 3});
  const std::array<int, 3> background{89, 89, 89};
  for (std::int64_t i = 0; i < sheet.size.width; ++i) REQUIRE(pixel(sheet, 23, i) == background);
  for (std::int64_t i = 0; i < sheet.size.height; ++i) REQUIRE(pixel(sheet, i, 33 + 2) == background);
  CHECK(pixel(sheet, 3, 3) == std::array{0, 0, 0});
  CHECK(pixel(sheet, 3 + 9, 3 + 14) == std::array{0, 0, 0});
  CHECK(pixel(sheet, 3, 3 + 15) == std::array{255, 255, 255});
  CHECK(pixel(sheet, 3 + 10, 3 + 14) == std::array{51, 51, 51});
  CHECK(pixel(sheet, 3 + 19, 3 + 29) == std::array{102, 102, 102});
  CHECK(pixel(sheet, 3, 36) == std::array{255, 0, 0});
  CHECK(pixel(sheet, 3 + 19, 36 + 29) == std::array{255, 0, 0});
  CHECK(pixel(sheet, 10, 69 + 10) == background);  // empty
  CHECK(pixel(sheet, 26 + 9, 3 + 15)[0] > 100);    // the line is centred between two rows
  CHECK(pixel(sheet, 26 + 9, 3 + 15) == pixel(sheet, 26 + 10, 3 + 15));
  CHECK(pixel(sheet, 26 + 3, 3 + 15) == std::array{0, 0, 0});
  CHECK(pixel(sheet, 26, 36) == std::array{252, 253, 191});  // frame 0, upper band: top left
  CHECK(pixel(sheet, 26 + 19, 36) == std::array{0, 0, 4});   // lower band
  CHECK(pixel(sheet, 26, 36 + 29) == std::array{0, 0, 4});   // frame 1
  CHECK(pixel(sheet, 26, 69 + 29) == std::array{255, 255, 255});
}

TEST_CASE("a series is a line for each channel, values upwards") {
  // Channel 0 rises from the bottom left to the top right, channel 1 stays in the middle.
  const std::vector<float> values{0, 0.5F, 0.5F, 0.5F, 1, 0.5F};
  const std::vector<Tile> tiles{{TileKind::series, values, {3, 2, 1}}};
  const Picture sheet = compose_grid(tiles, 1, 1, {21, 21, 0});
  const auto bright = [&](std::int64_t row, std::int64_t col) { return pixel(sheet, row, col)[0] > 150; };
  CHECK(bright(19, 1));
  CHECK(bright(1, 19));
  CHECK(bright(10, 1));
  CHECK(bright(10, 19));
  CHECK(!bright(1, 1));
  CHECK(!bright(19, 19));
  CHECK(!bright(5, 5));
  CHECK(pixel(sheet, 15, 5) != pixel(sheet, 10, 4));  // of two colours
  const std::vector<Tile> dot{{TileKind::series, std::span(values).subspan(1, 1), {1, 1, 1}}};
  CHECK(pixel(compose_grid(dot, 1, 1, {21, 21, 0}), 10, 10)[0] > 150);
}

TEST_CASE("colours of spectrograms") {
  CHECK(magma(0)[2] == doctest::Approx(4 / 255.0));
  CHECK(magma(1)[0] == doctest::Approx(252 / 255.0));
  CHECK(magma(0.5F)[0] == doctest::Approx(183 / 255.0));
  CHECK(magma(0.75F + 1 / 32.0F)[1] == doctest::Approx((137 + 167) / 2.0 / 255));
  CHECK(magma(-3) == magma(0));
  CHECK(magma(9) == magma(1));
  CHECK(magma(std::numeric_limits<float>::quiet_NaN()) == magma(0));
}

TEST_CASE("a grid that does not fit together is refused") {
  const std::vector<float> values(4);
  const std::vector<Tile> one{{TileKind::image, values, {2, 2, 1}}};
  check_error(ErrorKind::usage, {"1 tiles", "1 x 2"}, [&] { compose_grid(one, 1, 2); });
  check_error(ErrorKind::usage, {"padding -1"}, [&] { compose_grid(one, 1, 1, {4, 4, -1}); });
  check_error(ErrorKind::usage, {"smaller"}, [&] { compose_grid(one, 1, 1, {100000, 100000, 0}); });
  const std::vector<Tile> wrong{{TileKind::image, values, {2, 3, 1}}};
  check_error(ErrorKind::usage, {"tile 0", "2 x 3"}, [&] { compose_grid(wrong, 1, 1); });
  const std::vector<Tile> two{{TileKind::spectrogram, values, {2, 2, 2}}};
  check_error(ErrorKind::usage, {"tile 0"}, [&] { compose_grid(two, 1, 1); });
}

}  // namespace
}  // namespace mld::data
