#include "mld/evaluate/networks/unicode.h"

#include <algorithm>
#include <iterator>

#include "mld/evaluate/networks/unicode_ranges.h"

namespace mld::unicode {
namespace {

constexpr char32_t kReplacement = 0xfffd;

// The entry of a sorted table that holds c, or nullptr.
template <class Entry, std::size_t n>
const Entry* find(const Entry (&table)[n], char32_t c) {
  const Entry* const after =
      std::upper_bound(table, table + n, c, [](char32_t x, const Entry& e) { return x < e.first; });
  if (after == table || c > std::prev(after)->last) return nullptr;
  return std::prev(after);
}

// Length of the sequence that begins with `first`, 0 if none does.
std::size_t sequence_length(unsigned char first) {
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) return 2;
  if (first >= 0xe0 && first < 0xf0) return 3;
  if (first >= 0xf0 && first < 0xf5) return 4;
  return 0;
}

bool is_surrogate(char32_t c) { return c >= 0xd800 && c < 0xe000; }

}  // namespace

std::u32string decode(std::string_view utf8) {
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  std::u32string out;
  for (std::size_t i = 0; i < utf8.size();) {
    const auto first = static_cast<unsigned char>(utf8[i]);
    const std::size_t length = sequence_length(first);
    char32_t c = length <= 1 ? first : first & (0x7fU >> length);
    bool valid = length > 0 && i + length <= utf8.size();
    for (std::size_t k = 1; valid && k < length; ++k) {
      const auto next = static_cast<unsigned char>(utf8[i + k]);
      valid = (next & 0xc0U) == 0x80;
      c = c << 6U | (next & 0x3fU);
    }
    valid = valid && c >= kSmallest[length] && c < 0x110000 && !is_surrogate(c);
    out += valid ? c : kReplacement;
    i += valid ? length : 1;
  }
  return out;
}

std::string encode(std::u32string_view text) {
  std::string out;
  for (const char32_t c : text) {
    const int tail = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    constexpr unsigned kLead[] = {0, 0xc0, 0xe0, 0xf0};
    out += static_cast<char>(kLead[tail] | c >> static_cast<unsigned>(6 * tail));
    for (int k = tail - 1; k >= 0; --k)
      out += static_cast<char>(0x80U | (c >> static_cast<unsigned>(6 * k) & 0x3fU));
  }
  return out;
}

bool is_letter(char32_t c) { return find(kLetters, c) != nullptr; }
bool is_number(char32_t c) { return find(kNumbers, c) != nullptr; }

bool is_space(char32_t c) {
  return (c >= 0x9 && c <= 0xd) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
         c == 0x3000;
}

std::u32string lower(std::u32string_view text) {
  std::u32string out;
  for (const char32_t c : text) {
    if (c == 0x130) {
      out += U"i\u0307";
      continue;
    }
    const LowerRun* const run = find(kLower, c);
    const bool shifted = run != nullptr && (c - run->first) % static_cast<char32_t>(run->step) == 0;
    out += shifted ? static_cast<char32_t>(static_cast<int>(c) + run->shift) : c;
  }
  return out;
}

}  // namespace mld::unicode
