// Lists of names in messages, and the valid name that a misspelt one probably stands for.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace mld {

std::string lower(std::string_view text);  // ASCII only
// The candidate nearest to `name` in spelling; empty if none is near.
std::string nearest(std::string_view name, std::span<const std::string> candidates);
// "a, b, c"
std::string join(std::span<const std::string> names);

}  // namespace mld
