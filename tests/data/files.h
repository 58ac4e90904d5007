// What the tests of this room share.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/expect_error.h"
#include "tests/temp_folder.h"

namespace mld::test {

namespace fs = std::filesystem;

using Ints = std::vector<std::int32_t>;
using Reals = std::vector<float>;
using Bytes = std::vector<std::uint8_t>;

// The text with the first `from` replaced; a test that replaces nothing is broken.
inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

// Whether one of the notes has the text in it.
inline bool mentions(const std::vector<std::string>& notes, const std::string& text) {
  return std::any_of(notes.begin(), notes.end(),
                     [&](const std::string& note) { return note.find(text) != std::string::npos; });
}

}  // namespace mld::test
