// Entries of the JSON files that reports are made of, read leniently: a report shows what is there. Internal
// to mld/report/.
#pragma once

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

namespace mld::report {

using nlohmann::json;

// Entries of an object; what is absent or of another type is not a number, empty or no list.
inline double real(const json& object, const char* key) {
  const auto it = object.is_object() ? object.find(key) : object.end();
  return it != object.end() && it->is_number() ? it->get<double>() : std::nan("");
}
inline std::string text(const json& object, const char* key) {
  const auto it = object.is_object() ? object.find(key) : object.end();
  if (it == object.end() || it->is_null()) return "";
  return it->is_string() ? it->get<std::string>() : it->dump();
}
inline json part(const json& object, const char* key) {
  const auto it = object.is_object() ? object.find(key) : object.end();
  return it != object.end() ? *it : json();
}
inline json list(const json& object, const char* key) {
  const json found = part(object, key);
  return found.is_array() ? found : json::array();
}

}  // namespace mld::report
