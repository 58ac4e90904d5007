// What CLIP's tokenizer asks of Unicode: UTF-8, three classes of characters and lower case.
#pragma once

#include <string>
#include <string_view>

namespace mld::unicode {

// Bytes that are not UTF-8 (overlong forms and surrogates included) become U+FFFD each.
std::u32string decode(std::string_view utf8);
std::string encode(std::u32string_view text);

bool is_letter(char32_t c);  // general category L
bool is_number(char32_t c);  // general category N
bool is_space(char32_t c);   // the property White_Space
std::u32string lower(std::u32string_view text);

}  // namespace mld::unicode
