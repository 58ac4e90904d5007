#include "mld/config/config_reader.h"

#include <algorithm>
#include <cmath>

#include "engine/io/file_error.h"
#include "engine/io/strict_json.h"
#include "mld/config/seed.h"

namespace mld::config {
namespace {

constexpr int kMaxDepth = 16;  // nothing of ours is deeper, and some handling of JSON values is recursive

// What is left of a name in the name of a variable.
std::string fold(std::string_view name) {
  std::string out = lower(name);
  std::ranges::replace(out, '-', '_');
  return out;
}

std::string fold_all(std::string_view name) {
  std::string out = fold(name);
  std::ranges::replace(out, '.', '_');
  return out;
}

std::string found(const Json& value) {
  if (value.is_string()) return quote(value.get_ref<const std::string&>());
  if (value.is_array()) return "a list";
  if (value.is_object()) return "a section";
  return value.dump();  // a number, true, false or null
}

// 16 -> "16", 1e-06 -> "1e-06"
std::string number_text(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e15)
    return std::to_string(static_cast<std::int64_t>(value));
  return Json(value).dump();
}

// Without nlohmann's error class and number.
std::string json_error(const std::exception& error) {
  std::string text = error.what();
  const std::size_t end = text.find("] ");
  text = text.starts_with('[') && end != std::string::npos ? text.substr(end + 2) : text;
  constexpr std::size_t kMaxShown = 300;
  return text.size() > kMaxShown ? text.substr(0, kMaxShown) + "..." : text;
}

std::vector<std::string> split(std::string_view text, std::string_view separator) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + separator.size());
  }
}

bool valid_utf8(const std::string& text) try {
  return !Json(text).dump().empty();
} catch (const Json::exception&) {
  return false;
}

template <class T>
concept Text = std::is_same_v<T, std::string> || std::is_enum_v<T>;

// The JSON value that a setting's text stands for: texts need no quotes.
template <class T>
Json value_of(const std::string& text) {
  if constexpr (std::is_same_v<T, std::uint64_t>) {
    if (const auto seed = parse_seed(text)) return Json(*seed);
  } else if constexpr (!Text<T>) {
    Json value = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (value.is_primitive() && !value.is_discarded()) return value;
    if (std::is_same_v<T, std::vector<std::int64_t>> && value.is_array()) return value;
  }
  return Json(text);
}

std::string below(const std::string& prefix, std::string_view name) {
  return prefix.empty() ? std::string(name) : cat(prefix, ".", name);
}

// "section.key" of every setting named `name`, wherever it stands.
void find_elsewhere(const auto& section, const std::string& name, const std::string& prefix,
                    std::vector<std::string>& keys) {
  visit_fields(section, [&](const char* member, const auto& value, const auto&, const char*) {
    if (member == name) keys.push_back(below(prefix, member));
    if constexpr (Section<std::remove_cvref_t<decltype(value)>>)
      find_elsewhere(value, name, below(prefix, member), keys);
  });
}

}  // namespace

template <class... Parts>
void Reader::report(const std::string& key, Parts&&... parts) {
  if (muted_) return;
  problems_.push_back(cat(origin_, ": ", key, key.empty() ? "" : ": ", std::forward<Parts>(parts)...));
}

void Reader::report_unknown(const std::vector<std::string>& known, const std::string& name,
                            const std::string& prefix) {
  if (folded_ && prefix.empty())  // a variable with '_' for '__'
    for (const ConfigKey& key : config_keys())
      if (fold_all(key.key) == fold_all(name))
        return report(quote(name), "unknown key, did you mean ", key.key, ", whose '.' is written '__'?");
  const std::string guess = nearest(name, known);
  if (!guess.empty())
    return report(quote(below(prefix, name)), "unknown key, did you mean ", below(prefix, guess), "?");
  std::vector<std::string> elsewhere;
  find_elsewhere(Config(), name, "", elsewhere);
  if (!elsewhere.empty())
    return report(quote(below(prefix, name)), "unknown key, did you mean ", elsewhere.front(), "?");
  report(quote(below(prefix, name)), "unknown key; ", prefix.empty() ? "the configuration" : prefix, " has ",
         join(known));
}

void Reader::apply_json(std::string_view text, const std::string& origin) {
  origin_ = origin;
  folded_ = false;
  Json layer;
  try {
    layer = parse_strict_json<Json>(text, kMaxDepth);
  } catch (const std::exception& error) {
    return report("", "not valid JSON: ", json_error(error));
  }
  read_section(config_, layer, "");
}

void Reader::apply_setting(std::string_view setting) {
  origin_ = "setting " + quote(setting);
  folded_ = false;
  const std::size_t equals = setting.find('=');
  if (equals == std::string_view::npos) return report("", "expected key=value, such as score.width=256");
  set_path(split(setting.substr(0, equals), "."), setting.substr(equals + 1));
}

void Reader::apply_variable(std::string_view name, std::string_view value) {
  origin_ = "variable " + quote(name);
  folded_ = true;
  set_path(split(lower(name.substr(std::min<std::size_t>(name.size(), 4))), "__"), value);
}

void Reader::set_path(std::vector<std::string> path, std::string_view value) {
  const std::string text(value);
  if (!valid_utf8(text) || !std::ranges::all_of(path, valid_utf8)) return report("", "is not UTF-8");
  set_in_section(config_, path, text, "");
}

// Repeats a change of the section `name` of the whole configuration in the section of that name of every
// modality.
template <class Change>
void Reader::change_in_modalities(std::string_view name, Change&& change) {
  const bool muted = std::exchange(muted_, true);
  for (ModalityConfig& modality : config_.modalities)
    visit_fields(modality, [&](const char* member, auto& value, const auto&, const char*) {
      if constexpr (std::is_same_v<std::remove_cvref_t<decltype(value)>, StageConfig>)
        if (member == name) change(value);
    });
  muted_ = muted;
}

// A section with every key but some of the added ones was saved by an earlier version, which did what their
// neutral values stand for, whatever the layers below say.
template <class S>
void Reader::reset_added(S& section, const Json& object) {
  bool whole = true, older = false;
  visit_fields(section, [&](const char* name, const auto& member, const Limits& limits, const char*) {
    if (came_later(member, limits)) return;
    older = true;
    whole = whole && object.contains(name);
  });
  if (!whole || !older) return;
  visit_fields(section, [&](const char* name, auto& member, const Limits& limits, const char*) {
    if (came_later(member, limits) && !object.contains(name)) set_neutral(member, limits);
  });
}

template <class S>
void Reader::read_section(S& section, const Json& object, const std::string& key) {
  if (!object.is_object()) return report(key, "expected a section { ... }, found ", found(object));
  reset_added(section, object);
  visit_fields(section, [&](const char* name, auto& member, const auto& limits, const char*) {
    using T = std::remove_cvref_t<decltype(member)>;
    const auto value = object.find(name);
    if (value == object.end()) return;
    const std::string here = below(key, name);
    if constexpr (std::is_same_v<T, std::vector<ModalityConfig>>) {
      read_modalities(member, *value, here);
    } else if constexpr (Section<T>) {
      read_section(member, *value, here);
      if constexpr (std::is_same_v<S, Config> && std::is_same_v<T, StageConfig>)
        change_in_modalities(name, [&](StageConfig& stage) { read_section(stage, *value, here); });
    } else {
      read_value(member, limits, *value, here);
    }
  });
  const std::vector<std::string> known = member_names(section);
  for (const auto& [name, value] : object.items())
    if (std::ranges::find(known, name) == known.end()) report_unknown(known, name, key);
}

template <class S>
void Reader::set_in_section(S& section, std::span<const std::string> path, const std::string& text,
                            const std::string& key) {
  bool known = false;
  const auto rest = path.subspan(1);
  visit_fields(section, [&](const char* name, auto& member, const auto& limits, const char*) {
    using T = std::remove_cvref_t<decltype(member)>;
    if (path[0] != name) return;
    known = true;
    const std::string here = below(key, name);
    if constexpr (std::is_same_v<T, std::vector<ModalityConfig>>) {
      set_in_modalities(member, rest, text, here);
    } else if constexpr (Section<T>) {
      if (rest.empty()) return report(here, "is a section; set one of ", join(member_names(member)));
      set_in_section(member, rest, text, here);
      if constexpr (std::is_same_v<S, Config> && std::is_same_v<T, StageConfig>)
        change_in_modalities(name, [&](StageConfig& stage) { set_in_section(stage, rest, text, here); });
    } else {
      if (!rest.empty()) return report(here, "has no keys below it, found ", quote(rest[0]));
      read_value(member, limits, value_of<T>(text), here);
    }
  });
  if (!known) report_unknown(member_names(section), path[0], key);
}

void Reader::read_modalities(std::vector<ModalityConfig>& list, const Json& value, const std::string& key) {
  if (!value.is_array()) return report(key, "expected a list [{\"name\": ...}, ...], found ", found(value));
  std::vector<ModalityConfig> next;
  for (const Json& entry : value) {
    const std::string here = cat(key, "[", next.size(), "]");
    const auto name = entry.is_object() ? entry.find("name") : entry.end();
    if (!entry.is_object() || name == entry.end() || !name->is_string()) {
      report(here, "expected a section with a \"name\", found ", found(entry));
      continue;
    }
    const std::string& wanted = name->get_ref<const std::string&>();
    const auto known = std::ranges::find(list, wanted, &ModalityConfig::name);
    ModalityConfig modality;
    modality.stage1 = config_.stage1;
    modality.classifier_training = config_.classifier_training;
    if (known != list.end()) modality = *known;
    read_section(modality, entry, below(key, wanted));
    next.push_back(std::move(modality));
  }
  list = std::move(next);
}

void Reader::set_in_modalities(std::vector<ModalityConfig>& list, std::span<const std::string> path,
                               const std::string& text, const std::string& key) {
  if (path.size() < 2) return report(key, "set a key of one modality, such as ", key, ".NAME.latent");
  std::vector<std::string> names;
  for (ModalityConfig& modality : list) {
    names.push_back(modality.name);
    if ((folded_ ? fold(modality.name) : modality.name) == path[0])
      return set_in_section(modality, path.subspan(1), text, below(key, modality.name));
  }
  const std::string guess = nearest(path[0], names);
  report(below(key, path[0]), "no such modality",
         guess.empty() ? "; there are " + (names.empty() ? "none" : join(names))
                       : ", did you mean " + guess + "?");
}

void Reader::read_value(bool& member, Limits, const Json& value, const std::string& key) {
  if (!value.is_boolean()) return report(key, "expected true or false, found ", found(value));
  member = value.get<bool>();
}

// Also takes 1e4 for 10000.
bool Reader::integer(const Json& value, Limits limits, std::int64_t& member, const std::string& key) {
  const double number = value.is_number() ? value.get<double>() : 0;
  if (!value.is_number() || number != std::floor(number)) {
    report(key, "expected an integer, found ", found(value));
    return false;
  }
  if (number < limits.lowest || number > limits.highest) {
    report(key, "expected ", number_text(limits.lowest), " to ", number_text(limits.highest), ", found ",
           found(value));
    return false;
  }
  member = static_cast<std::int64_t>(number);
  return true;
}

void Reader::read_value(std::int64_t& member, Limits limits, const Json& value, const std::string& key) {
  integer(value, limits, member, key);
}

void Reader::read_value(std::uint64_t& member, Limits, const Json& value, const std::string& key) {
  if (!value.is_number_unsigned()) return report(key, kSeedExpected, ", found ", found(value));
  member = value.get<std::uint64_t>();
}

void Reader::read_value(double& member, Limits limits, const Json& value, const std::string& key) {
  if (!value.is_number()) return report(key, "expected a number, found ", found(value));
  const double number = value.get<double>();
  if (!(number >= limits.lowest && number <= limits.highest))
    return report(key, "expected ", number_text(limits.lowest), " to ", number_text(limits.highest),
                  ", found ", found(value));
  member = number;
}

void Reader::read_value(std::string& member, Limits, const Json& value, const std::string& key) {
  if (!value.is_string()) return report(key, "expected a text, found ", found(value));
  member = value.get<std::string>();
}

template <class E>
requires std::is_enum_v<E>
void Reader::read_value(E& member, Limits, const Json& value, const std::string& key) {
  const std::vector<std::string> names(kNames<E>.begin(), kNames<E>.end());
  const std::string name = value.is_string() ? value.get<std::string>() : "";
  const auto position = std::ranges::find(names, name);
  if (position != names.end()) {
    member = static_cast<E>(position - names.begin());
    return;
  }
  const std::string guess = nearest(name, names);
  report(key, "expected one of ", join(names), ", found ", found(value),
         guess.empty() ? "" : "; did you mean " + guess + "?");
}

void Reader::read_value(std::vector<std::int64_t>& member, Limits limits, const Json& value,
                        const std::string& key) {
  constexpr std::size_t kMaxSize = 8;
  if (!value.is_array() || value.empty() || value.size() > kMaxSize)
    return report(key, "expected a list of 1 to ", kMaxSize, " integers such as [1,1], found ", found(value));
  std::vector<std::int64_t> list(value.size());
  bool sound = true;
  for (std::size_t i = 0; i < list.size(); ++i)
    sound = integer(value[i], limits, list[i], cat(key, "[", i, "]")) && sound;
  if (sound) member = std::move(list);
}

}  // namespace mld::config
