// JSON texts that people and programs hand us: // and /* */ comments are allowed, a key that an object has
// twice and absurd nesting are not, for which the JSON library has no error. For source files only: the
// library stays out of the public headers.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "engine/io/file_error.h"

namespace mld {

struct RepeatedKey : std::runtime_error {
  explicit RepeatedKey(std::string name)
      : std::runtime_error(cat("key ", quote(name), " appears twice")), key(std::move(name)) {}
  std::string key;
};

struct NestedTooDeep : std::runtime_error {
  explicit NestedTooDeep(int levels) : std::runtime_error(cat("nested deeper than ", levels, " levels")) {}
};

// Throws these two, and what the JSON library throws for a text that is not JSON.
template <class Json>
Json parse_strict_json(std::string_view text, int levels) {
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  const auto check = [&](int depth, typename Json::parse_event_t event, Json& value) {
    if (depth > levels) throw NestedTooDeep(levels);
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(value.template get<std::string>()).second)
      throw RepeatedKey(value.template get<std::string>());
    return true;
  };
  return Json::parse(text, check, /*allow_exceptions=*/true, /*ignore_comments=*/true);
}

}  // namespace mld
