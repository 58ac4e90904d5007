// Tables of fields: name, member, range and meaning of every value of a section, from which parsing, printing,
// the reference, comparisons and fingerprints follow (config_fields.h has those of the configuration). Internal
// to mld/.
#pragma once

#include <type_traits>

namespace mld::config {

// Closed range of a number, or of each number of a list.
struct Limits {
  double lowest = 0, highest = 0;
  bool is_added = false;
  double neutral = 0;
  // Of a key that runs of earlier versions do not have. `neutral` is what the program did before there was the
  // key: it never changes, whatever the default becomes. Fingerprints leave the key out while it stands there
  // (hashes.h), and a file saved before the key came is read as if it said so. For numbers, bool and choices.
  template <class T>
  constexpr Limits added(T neutral_value) const {
    return {lowest, highest, true, static_cast<double>(neutral_value)};
  }
};
inline constexpr Limits kAny{};  // for members that are no numbers, and the seed

// Fields<S>::visit(s, v) calls v(name, member, limits, meaning) for each member of the section s (const or
// not).
template <class S>
struct Fields;

template <class T>
concept Section = requires(T& section) {
  Fields<T>::visit(section, [](auto&&...) {});
};

template <class S, class V>
void visit_fields(S& section, V&& visitor) {
  Fields<std::remove_const_t<S>>::visit(section, visitor);
}

template <class T>
concept Scalar = std::is_arithmetic_v<T> || std::is_enum_v<T>;

// Whether earlier versions had nothing of a member: an added key, or a section of added keys alone.
template <class T>
bool came_later(const T& member, const Limits& limits) {
  bool later = limits.is_added;
  if constexpr (Section<T>) {
    later = true;
    visit_fields(member, [&](const char*, const auto& inner, const Limits& of_inner, const char*) {
      later = later && came_later(inner, of_inner);
    });
  }
  return later;
}

// Of a member that came later: whether it says what was done before.
template <class T>
bool is_neutral(const T& member, const Limits& limits) {
  if constexpr (Scalar<T>) {
    return static_cast<double>(member) == limits.neutral;
  } else if constexpr (Section<T>) {
    bool neutral = true;
    visit_fields(member, [&](const char*, const auto& inner, const Limits& of_inner, const char*) {
      neutral = neutral && is_neutral(inner, of_inner);
    });
    return neutral;
  } else {
    return false;
  }
}

template <class T>
void set_neutral(T& member, const Limits& limits) {
  if constexpr (Scalar<T>) {
    member = static_cast<T>(limits.neutral);
  } else if constexpr (Section<T>) {
    visit_fields(member, [](const char*, auto& inner, const Limits& of_inner, const char*) {
      set_neutral(inner, of_inner);
    });
  }
}

}  // namespace mld::config
