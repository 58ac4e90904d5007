// Sections as JSON: whole, as they are saved, or what fingerprints cover of them. Internal to mld/config/.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>
#include <vector>

#include "engine/base/hash.h"
#include "mld/config/config_fields.h"

namespace mld::config {

using OrderedJson = nlohmann::ordered_json;

enum class Keys : std::uint8_t {
  all,
  fingerprint  // without those that came later and stand at what was done before them (fields.h)
};

template <class T>
OrderedJson value_json(const T& value, Keys keys = Keys::all) {
  if constexpr (Section<T>) {
    OrderedJson object = OrderedJson::object();
    visit_fields(value, [&](const char* name, const auto& member, const Limits& limits, const char*) {
      if (keys == Keys::fingerprint && came_later(member, limits) && is_neutral(member, limits)) return;
      object[name] = value_json(member, keys);
    });
    return object;
  } else if constexpr (std::is_same_v<T, std::vector<ModalityConfig>>) {
    OrderedJson list = OrderedJson::array();
    for (const ModalityConfig& modality : value) list.push_back(value_json(modality, keys));
    return list;
  } else if constexpr (std::is_enum_v<T>) {
    return kNames<T>[static_cast<std::size_t>(value)];
  } else {
    return value;
  }
}

inline std::string fingerprint(const OrderedJson& covered) { return hex(fnv1a(covered.dump()), 16); }

}  // namespace mld::config
