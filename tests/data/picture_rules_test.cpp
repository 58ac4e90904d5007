// What reading a picture does beyond decoding: transparency, gamma, orientation, inks.
#include <doctest/doctest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "data/formats/image_io.h"
#include "data/formats/orientation.h"
#include "engine/io/crc32.h"
#include "engine/random/philox.h"
#include "tests/data/files.h"
#ifdef MLD_HAVE_JPEG
#include <jpeglib.h>
#endif

namespace mld::data {
namespace {

using namespace test;

// --- PNG files of any kind, which the product itself does not write ----------------------------------------

std::string big_endian(std::uint32_t value) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8)
    text += static_cast<char>(value >> static_cast<unsigned>(shift));
  return text;
}

std::string chunk(const std::string& type, const std::string& data) {
  const std::string body = type + data;
  return big_endian(static_cast<std::uint32_t>(data.size())) + body +
         big_endian(crc32(std::as_bytes(std::span(body))));
}

std::string text_of(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

constexpr int kGrey = 0, kRgb = 2, kPalette = 3, kGreyAlpha = 4, kRgba = 6;

struct Png {
  std::uint32_t width, height;
  int depth, colour;
  Bytes rows;  // without filter bytes, each row padded to bytes
  std::string chunks = {};
  bool interlaced = false;
};

std::size_t row_bytes(const Png& png, std::size_t width) {
  constexpr std::array<std::size_t, 7> kChannels{1, 0, 3, 1, 2, 0, 4};
  return (width * kChannels.at(static_cast<std::size_t>(png.colour)) * static_cast<std::size_t>(png.depth) +
          7) /
         8;
}

// Adam7, for whole-byte pixels.
std::string interlaced_rows(const Png& png) {
  struct Pass {
    std::size_t x, y, dx, dy;
  };
  constexpr std::array<Pass, 7> kPasses{
      {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}}};
  const std::size_t pixel = row_bytes(png, 1), stride = row_bytes(png, png.width);
  std::string rows;
  for (const Pass& p : kPasses)
    for (std::size_t y = p.y; y < png.height && p.x < png.width; y += p.dy) {
      rows += '\0';
      for (std::size_t x = p.x; x < png.width; x += p.dx)
        rows.append(reinterpret_cast<const char*>(png.rows.data()) + y * stride + x * pixel, pixel);
    }
  return rows;
}

void write(const std::filesystem::path& path, const Png& png) {
  std::string rows;
  const std::size_t stride = row_bytes(png, png.width);
  REQUIRE(png.rows.size() == stride * png.height);
  if (png.interlaced)
    rows = interlaced_rows(png);
  else
    for (std::size_t y = 0; y < png.height; ++y)
      rows += '\0' + text_of({png.rows.begin() + static_cast<std::ptrdiff_t>(y * stride),
                              png.rows.begin() + static_cast<std::ptrdiff_t>((y + 1) * stride)});
  uLongf size = compressBound(rows.size());
  std::string packed(size, '\0');
  REQUIRE(compress(reinterpret_cast<Bytef*>(packed.data()), &size,
                   reinterpret_cast<const Bytef*>(rows.data()), rows.size()) == Z_OK);
  packed.resize(size);
  const std::string header = big_endian(png.width) + big_endian(png.height) + static_cast<char>(png.depth) +
                             static_cast<char>(png.colour) + '\0' + '\0' + (png.interlaced ? '\1' : '\0');
  write_bytes(path, "\x89PNG\r\n\x1A\n" + chunk("IHDR", header) + png.chunks + chunk("IDAT", packed) +
                        chunk("IEND", ""));
}

Picture read(const TempFolder& folder, const Png& png) {
  write(folder / "a.png", png);
  return read_picture(folder / "a.png");
}

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("pictures: soft edges are blended in the encoded values, onto what the ink stands out from") {
  if (!have_png()) return;
  const TempFolder folder;
  const Words on_black{"transparency blended onto black"}, on_white{"transparency blended onto white"};
  const auto check = [&](const Png& png, const Bytes& want, const Words& done) {
    const Picture picture = read(folder, png);
    CHECK(picture.bytes == want);
    CHECK(picture.done == done);
  };
  SUBCASE("grey") {
    check({3, 1, 8, kGreyAlpha, {255, 0, 255, 128, 255, 255}}, {0, 128, 255}, on_black);
    check({3, 1, 8, kGreyAlpha, {0, 0, 0, 128, 0, 255}}, {255, 127, 0}, on_white);
    check({3, 1, 8, kGreyAlpha, {90, 0, 90, 51, 90, 255}}, {255, 222, 90}, on_white);
  }
  SUBCASE("colour") {
    check({2, 1, 8, kRgba, {255, 255, 255, 128, 255, 255, 255, 255}}, {128, 128, 128, 255, 255, 255},
          on_black);
    check({2, 1, 8, kRgba, {0, 0, 90, 128, 0, 0, 90, 255}}, {127, 127, 172, 0, 0, 90}, on_white);
    check({2, 1, 8, kRgba, {255, 240, 0, 0, 255, 240, 0, 255}}, {0, 0, 0, 255, 240, 0}, on_black);
  }
  SUBCASE("16 bits") {
    check({2, 1, 16, kGreyAlpha, {255, 255, 128, 128, 255, 255, 255, 255}}, {128, 255}, on_black);
    check({2, 1, 16, kGreyAlpha, {0, 0, 128, 128, 0, 0, 255, 255}}, {127, 0}, on_white);
  }
  SUBCASE("a palette, or one colour that is transparent") {
    const std::string white = chunk("PLTE", std::string(6, '\xFF')) + chunk("tRNS", "\x80");
    check({2, 1, 8, kPalette, {0, 1}, white}, {128, 128, 128, 255, 255, 255}, on_black);
    const std::string black = chunk("PLTE", std::string(6, '\0')) + chunk("tRNS", std::string(1, '\0'));
    check({2, 1, 8, kPalette, {0, 1}, black}, {255, 255, 255, 0, 0, 0}, on_white);
    check({2, 1, 8, kGrey, {7, 20}, chunk("tRNS", std::string("\0\7", 2))}, {255, 20}, on_white);
  }
  SUBCASE("nothing to blend, or nothing to see") {
    check({2, 1, 8, kGreyAlpha, {10, 255, 20, 255}}, {10, 20}, {});
    check({2, 1, 8, kGreyAlpha, {10, 0, 200, 0}}, {0, 0}, on_black);
    check({2, 1, 8, kGrey, {10, 20}}, {10, 20}, {});
  }
}

TEST_CASE("pictures: 1 bit, 16 bits, palettes and interlaced ones are what they show") {
  if (!have_png()) return;
  const TempFolder folder;
  CHECK(read(folder, {3, 2, 1, kGrey, {0xA0, 0x40}}).bytes == Bytes{255, 0, 255, 0, 255, 0});
  CHECK(read(folder, {2, 1, 2, kGrey, {0x60}}).bytes == Bytes{85, 170});
  CHECK(read(folder, {3, 1, 16, kGrey, {128, 128, 0, 127, 255, 255}}).bytes == Bytes{128, 0, 255});
  CHECK(read(folder, {2, 1, 1, kPalette, {0x40}, chunk("PLTE", "abcdef")}).bytes ==
        Bytes{'a', 'b', 'c', 'd', 'e', 'f'});
  Png png{9, 10, 8, kRgb, {}};
  for (unsigned i = 0; i < 270; ++i) png.rows.push_back(static_cast<std::uint8_t>(i * 37 % 256));
  png.interlaced = true;
  const Picture picture = read(folder, png);
  CHECK(picture.size == PictureSize{10, 9, 3});
  CHECK(picture.bytes == png.rows);
  CHECK(picture.done.empty());
}

TEST_CASE("pictures: a gamma that is not sRGB's is undone, and said") {
  if (!have_png()) return;
  const TempFolder folder;
  const std::string linear = chunk("gAMA", big_endian(100'000)), half = chunk("gAMA", big_endian(45'455)),
                    srgb = chunk("sRGB", std::string(1, '\0'));
  const auto grey = [&](const std::string& chunks) {
    return read(folder, {3, 1, 8, kGrey, {0, 128, 255}, chunks});
  };
  const auto near = [](const Bytes& got, std::size_t at, int want) {  // libpng's tables are rounded
    CHECK(std::abs(got.at(at) - want) <= 2);
  };
  near(grey(linear).bytes, 0, 0);
  near(grey(linear).bytes, 1, 188);
  near(grey(linear).bytes, 2, 255);
  CHECK(grey(linear).done == Words{"gamma 1 converted to sRGB's"});
  for (const std::string& chunks : {std::string(), half, srgb, srgb + half}) {
    CHECK(grey(chunks).bytes == Bytes{0, 128, 255});
    CHECK(grey(chunks).done.empty());
  }
  // Colours are converted, then blended.
  const Picture both = read(folder, {1, 1, 8, kGreyAlpha, {128, 128}, linear});
  near(both.bytes, 0, 94);
  CHECK(both.done == Words{"gamma 1 converted to sRGB's", "transparency blended onto black"});
}

namespace {

// TIFF with one directory: three entries, the orientation in the middle.
std::string tiff(int orientation, bool big, std::uint32_t type = 3, std::uint32_t count = 1) {
  const auto number = [&](std::uint32_t value, unsigned size) {
    std::string text;
    for (unsigned i = 0; i < size; ++i) text += static_cast<char>(value >> 8U * (big ? size - 1 - i : i));
    return text;
  };
  const auto entry = [&](std::uint32_t tag, std::uint32_t kind, std::uint32_t n, std::uint32_t value) {
    return number(tag, 2) + number(kind, 2) + number(n, 4) + number(value, 2) + number(0, 2);
  };
  return (big ? "MM" : "II") + number(42, 2) + number(8, 4) + number(3, 2) + entry(0x0100, 3, 1, 7) +
         entry(0x0112, type, count, static_cast<std::uint32_t>(orientation)) + entry(0x0128, 3, 1, 2) +
         number(0, 4);
}

int orientation_of(const std::string& text) {
  return exif_orientation({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

// The picture 123/456 as each orientation shows it.
struct Shown {
  std::int64_t height, width;
  const char* digits;
};
constexpr std::array<Shown, 9> kShown{{{2, 3, "123456"},
                                       {2, 3, "123456"},
                                       {2, 3, "321654"},
                                       {2, 3, "654321"},
                                       {2, 3, "456123"},
                                       {3, 2, "142536"},
                                       {3, 2, "415263"},
                                       {3, 2, "635241"},
                                       {3, 2, "362514"}}};

Words turned(int orientation) {
  if (orientation == 1) return {};
  return {"turned upright (EXIF orientation " + std::to_string(orientation) + ")"};
}

}  // namespace

TEST_CASE("pictures: all eight orientations, in both byte orders") {
  const TempFolder folder;
  for (int o = 1; o <= 8; ++o) {
    CAPTURE(o);
    const auto [height, width, digits] = kShown.at(static_cast<std::size_t>(o));
    const std::string want = digits;
    const Picture picture = upright({{2, 3, 1}, {'1', '2', '3', '4', '5', '6'}}, o);
    CHECK(picture.size == PictureSize{height, width, 1});
    CHECK(text_of(picture.bytes) == want);
    for (const bool big : {true, false}) {
      CHECK(orientation_of(tiff(o, big)) == o);
      if (!have_png()) continue;
      const Picture png =
          read(folder, {3, 2, 8, kGrey, {'1', '2', '3', '4', '5', '6'}, chunk("eXIf", tiff(o, big))});
      CHECK(png.size == PictureSize{height, width, 1});
      CHECK(text_of(png.bytes) == want);
      CHECK(png.done == turned(o));
    }
  }
  Bytes rgb;
  for (std::uint8_t i = 0; i < 18; ++i) rgb.push_back(i);
  CHECK(upright({{2, 3, 3}, rgb}, 6).bytes ==
        Bytes{9, 10, 11, 0, 1, 2, 12, 13, 14, 3, 4, 5, 15, 16, 17, 6, 7, 8});
}

TEST_CASE("pictures: EXIF data that are damaged or mean nothing leave a picture as it is") {
  for (const bool big : {true, false}) {
    const std::string good = tiff(6, big);
    for (std::size_t length = 0; length < 32; ++length) CHECK(orientation_of(good.substr(0, length)) == 1);
    for (std::size_t length = 32; length <= good.size(); ++length)
      CHECK(orientation_of(good.substr(0, length)) == 6);
    for (const int value : {0, 9, 256, 65535}) CHECK(orientation_of(tiff(value, big)) == 1);
    CHECK(orientation_of(tiff(6, big, 4)) == 1);
    CHECK(orientation_of(tiff(6, big, 3, 2)) == 1);
    for (std::size_t at = 0; at < 4; ++at) {  // byte order and 42
      std::string other = good;
      other[at] = '?';
      CHECK(orientation_of(other) == 1);
    }
    for (const char offset : {'\0', '\x7F', '\xFF'}) {  // where the directory is
      std::string other = good;
      for (std::size_t at = 4; at < 8; ++at) other[at] = offset;
      CHECK(orientation_of(other) == 1);
    }
    std::string many = good;
    many[8] = many[9] = '\xFF';  // 65535 entries
    CHECK(orientation_of(many) == 6);
  }
  std::uint32_t random = 1;
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = tiff(1 + round % 8, round % 2 == 0);
    for (int flips = 0; flips < 4; ++flips) {
      random = random * 1664525U + 1013904223U;
      bytes[random / 65536 % bytes.size()] = static_cast<char>(random >> 8U);
    }
    const int o = orientation_of(bytes.substr(0, random / 65536 % (bytes.size() + 1)));
    REQUIRE(o >= 1);
    REQUIRE(o <= 8);
  }
  if (!have_png()) return;
  const TempFolder folder;
  std::string wrong = chunk("eXIf", tiff(6, true));
  wrong.back() = static_cast<char>(wrong.back() + 1);  // the checksum
  for (const std::string& exif :
       {wrong, chunk("eXIf", ""), chunk("eXIf", "MM"), chunk("eXIf", tiff(99, false))})
    CHECK(read(folder, {2, 1, 8, kGrey, {10, 20}, exif}).done.empty());
}

#ifdef MLD_HAVE_JPEG

namespace {

struct Jpeg {
  J_COLOR_SPACE pixels, stored;
  bool adobe = true;  // marker, for CMYK
  std::string app1 = {};
};

// Blocks of 8 x 8 pixels, each of one colour [rows, columns, channels].
void write(const std::filesystem::path& path, const Jpeg& jpeg, unsigned rows, unsigned columns,
           const Bytes& colours) {
  jpeg_compress_struct out{};
  jpeg_error_mgr errors{};
  out.err = jpeg_std_error(&errors);
  jpeg_create_compress(&out);
  FILE* file = std::fopen(path.c_str(), "wb");
  REQUIRE(file != nullptr);
  jpeg_stdio_dest(&out, file);
  const auto channels = static_cast<unsigned>(colours.size()) / rows / columns;
  out.image_width = 8 * columns;
  out.image_height = 8 * rows;
  out.input_components = static_cast<int>(channels);
  out.in_color_space = jpeg.pixels;
  jpeg_set_defaults(&out);
  jpeg_set_colorspace(&out, jpeg.stored);
  jpeg_set_quality(&out, 100, TRUE);
  for (int i = 0; i < out.num_components; ++i)
    out.comp_info[i].h_samp_factor = out.comp_info[i].v_samp_factor = 1;
  if (!jpeg.adobe) out.write_Adobe_marker = FALSE;
  jpeg_start_compress(&out, TRUE);
  if (!jpeg.app1.empty())
    jpeg_write_marker(&out, JPEG_APP0 + 1, reinterpret_cast<const JOCTET*>(jpeg.app1.data()),
                      static_cast<unsigned>(jpeg.app1.size()));
  for (unsigned y = 0; y < 8 * rows; ++y) {
    Bytes line;
    for (unsigned x = 0; x < 8 * columns; ++x)
      for (unsigned c = 0; c < channels; ++c)
        line.push_back(colours[(y / 8 * columns + x / 8) * channels + c]);
    JSAMPROW row = line.data();
    jpeg_write_scanlines(&out, &row, 1);
  }
  jpeg_finish_compress(&out);
  jpeg_destroy_compress(&out);
  std::fclose(file);
}

// The colour in the middle of each block.
void check_blocks(const Picture& picture, const Bytes& want, int tolerance) {
  std::size_t next = 0;
  for (std::int64_t y = 4; y < picture.size.height; y += 8)
    for (std::int64_t x = 4; x < picture.size.width; x += 8)
      for (std::int64_t c = 0; c < picture.size.channels; ++c, ++next) {
        const auto at = static_cast<std::size_t>((y * picture.size.width + x) * picture.size.channels + c);
        CAPTURE(next);
        CHECK(std::abs(picture.bytes[at] - want.at(next)) <= tolerance);
      }
  CHECK(next == want.size());
}

const std::string kExif("Exif\0\0", 6);

}  // namespace

TEST_CASE("pictures: a JPEG is turned as its EXIF data say") {
  const TempFolder folder;
  const auto path = folder / "a.jpg";
  const Bytes blocks{40, 80, 120, 160, 200, 240};
  for (int o = 1; o <= 8; ++o)
    for (const bool big : {true, false}) {
      CAPTURE(o);
      write(path, {JCS_GRAYSCALE, JCS_GRAYSCALE, true, kExif + tiff(o, big)}, 2, 3, blocks);
      const auto [height, width, digits] = kShown.at(static_cast<std::size_t>(o));
      Bytes want;
      for (const char digit : std::string(digits))
        want.push_back(blocks[static_cast<std::size_t>(digit - '1')]);
      const Picture picture = read_picture(path);
      CHECK(picture.size == PictureSize{8 * height, 8 * width, 1});
      check_blocks(picture, want, 1);
      CHECK(picture.done == turned(o));
      CHECK(read_image(path, {8 * height, 8 * width, 1}, Fit::strict).size() == 384);
    }
  for (const std::string& other :
       {kExif, kExif + "MM", kExif + tiff(6, true).substr(0, 20), kExif + tiff(200, true),
        std::string("Exif"), std::string("http://ns.adobe.com/xap/1.0/") + tiff(6, true)}) {
    write(path, {JCS_GRAYSCALE, JCS_GRAYSCALE, true, other}, 2, 3, blocks);
    check_blocks(read_picture(path), blocks, 1);
    CHECK(read_picture(path).done.empty());
  }
}

TEST_CASE("pictures: CMYK and YCCK become RGB, with Adobe's inversion and without") {
  const TempFolder folder;
  const auto path = folder / "cmyk.jpg";
  // Ink: none, all cyan, half magenta, yellow under half black, all black.
  const Bytes inks{0, 0, 0, 0, 255, 0, 0, 0, 0, 128, 0, 0, 0, 0, 255, 128, 0, 0, 0, 255};
  const Bytes colours{255, 255, 255, 0, 255, 255, 255, 127, 255, 127, 127, 0, 0, 0, 0};
  Bytes inverted;
  for (const std::uint8_t v : inks) inverted.push_back(static_cast<std::uint8_t>(255 - v));
  const Words done{"CMYK converted to RGB without a colour profile"};
  write(path, {JCS_CMYK, JCS_CMYK}, 1, 5, inverted);
  check_blocks(read_picture(path), colours, 2);
  CHECK(read_picture(path).done == done);
  write(path, {JCS_CMYK, JCS_YCCK}, 1, 5, inverted);
  check_blocks(read_picture(path), colours, 4);
  write(path, {JCS_CMYK, JCS_CMYK, false}, 1, 5, inks);
  check_blocks(read_picture(path), colours, 2);
  write(path, {JCS_CMYK, JCS_CMYK, true, kExif + tiff(3, true)}, 1, 5, inverted);
  check_blocks(read_picture(path), {0, 0, 0, 127, 127, 0, 255, 127, 255, 0, 255, 255, 255, 255, 255}, 2);
  CHECK(read_picture(path).done == Words{done[0], turned(3)[0]});
  write(path, {JCS_RGB, JCS_YCbCr}, 1, 2, {200, 100, 50, 0, 0, 255});
  check_blocks(read_picture(path), {200, 100, 50, 0, 0, 255}, 4);
  CHECK(read_picture(path).done.empty());
}

#endif

TEST_CASE("pictures: reading as asked says all that was done, in order") {
  if (!have_png()) return;
  const TempFolder folder;
  write(folder / "a.png",
        {2, 1, 8, kRgba, {255, 255, 255, 128, 255, 255, 255, 255}, chunk("eXIf", tiff(8, true))});
  Words done{"old"};
  CHECK(read_image(folder / "a.png", {4, 2, 1}, Fit::resize, &done).size() == 8);
  CHECK(done == Words{"transparency blended onto black", turned(8)[0], "colours made grey (ITU-R BT.601)",
                      "resized from 2 x 1"});
  write(folder / "b.png", {2, 1, 8, kGrey, {1, 2}});
  read_image(folder / "b.png", {1, 2, 1}, Fit::strict, &done);
  CHECK(done.empty());
  read_image(folder / "b.png", {1, 2, 3}, Fit::strict, &done);
  CHECK(done == Words{"grey made RGB"});
}

}  // namespace mld::data
