// A dot-matrix face, so that captions can stand in contact sheets: printable ASCII, five dots wide and eight high, the
// last line for descenders.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mld::data {

inline constexpr std::int64_t kGlyphWidth = 5, kGlyphHeight = 8;

// Whether a dot is set, column from the left and row from the top. Other characters than printable ASCII are a box.
bool glyph_dot(char c, std::int64_t row, std::int64_t column);

// A text (UTF-8, of which a character beyond ASCII becomes one '\x7f') in lines of at most `width` characters, cut at
// blanks where there are any, at most `lines`; where more is left the last line ends with "..".
std::vector<std::string> wrap_text(std::string_view text, std::size_t width, std::size_t lines);

}  // namespace mld::data
