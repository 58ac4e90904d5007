#include "data/pictures/dot_font.h"

#include <array>

#include "data/pictures/sample_grid.h"
#include "tests/data/files.h"

using namespace mld;
using namespace mld::data;
using namespace mld::test;

using Lines = std::vector<std::string>;

namespace {

Lines drawn(char c) {
  Lines rows;
  for (std::int64_t row = 0; row < kGlyphHeight; ++row) {
    std::string& text = rows.emplace_back();
    for (std::int64_t column = 0; column < kGlyphWidth; ++column)
      text += glyph_dot(c, row, column) ? '#' : '.';
  }
  return rows;
}

}  // namespace

TEST_CASE("dot font: letters are the letters they are") {
  CHECK(drawn('A') == Lines{"..#..", ".#.#.", "#...#", "#...#", "#####", "#...#", "#...#", "....."});
  CHECK(drawn('g') == Lines{".....", ".....", ".###.", "#..##", "#..##", ".##.#", "....#", ".###."});
  CHECK(drawn('7') == Lines{"#####", "....#", "....#", "...#.", "..#..", ".#...", "#....", "....."});
  CHECK(drawn(' ') == Lines(8, "....."));
  const Lines box{"#####", "#...#", "#...#", "#...#", "#...#", "#...#", "#####", "....."};
  CHECK(drawn('\n') == box);
  CHECK(drawn('\xff') == box);
  for (char a = '!'; a <= '~'; ++a)
    for (char b = static_cast<char>(a + 1); b <= '~'; ++b) CHECK(drawn(a) != drawn(b));
}

TEST_CASE("dot font: texts are cut at blanks, and long ones end") {
  CHECK(wrap_text("a small red bird", 7, 9) == Lines{"a small", "red", "bird"});
  CHECK(wrap_text("  a  b ", 3, 9) == Lines{"a", "b"});
  CHECK(wrap_text("unbelievable", 5, 9) == Lines{"unbel", "ievab", "le"});
  CHECK(wrap_text("a small red bird", 7, 2) == Lines{"a small", "red.."});
  CHECK(wrap_text("a small red bird", 7, 1) == Lines{"a sma.."});
  CHECK(wrap_text("gr\xc3\xbcn \xe2\x80\x93 x", 20, 2) == Lines{"gr\x7fn \x7f x"});
  CHECK(wrap_text("", 5, 5).empty());
  CHECK(wrap_text("abc", 0, 5).empty());
  CHECK(wrap_text("abc", 1, 1) == Lines{"."});
}

TEST_CASE("sample grid: a text stands in its cell, from the top left corner") {
  const Tile tile{TileKind::text, {}, {}, "A"};
  const GridStyle style{.cell_height = 20, .cell_width = 14, .padding = 1};
  const Picture picture = compose_grid(std::array{tile}, 1, 1, style);
  REQUIRE(picture.size == PictureSize{22, 16, 3});
  const auto dark = [&](std::int64_t row, std::int64_t column) {
    const auto at = static_cast<std::size_t>((row * picture.size.width + column) * 3);
    return picture.bytes[at] < 64 && picture.bytes[at + 1] < 64 && picture.bytes[at + 2] < 64;
  };
  for (std::int64_t row = 0; row < 20; ++row)
    for (std::int64_t column = 0; column < 14; ++column) {
      const std::int64_t of_row = row - 2, of_column = column - 2;
      const bool inside = of_row >= 0 && of_row < kGlyphHeight && of_column >= 0 && of_column < kGlyphWidth;
      CHECK(dark(row + 1, column + 1) == (inside && glyph_dot('A', of_row, of_column)));
    }
  // Any text in any cell, without an error.
  for (const std::int64_t side : {1, 3, 5, 9, 84}) {
    const Tile longer{
        TileKind::text, {}, {}, "a small bird with a long, long tail and a crest of blue feathers"};
    const GridStyle small{.cell_height = side, .cell_width = side, .padding = 1};
    CHECK(compose_grid(std::array{longer}, 1, 1, small).size.width == side + 2);
  }
}
