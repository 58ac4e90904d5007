// config_keys() and the text of --help.
#include <sstream>

#include "mld/config/config_json.h"

namespace mld {
namespace {

using config::Limits;
using config::Section;
using config::value_json;
using config::visit_fields;

std::string allowed_text(bool, const auto&) { return "true | false"; }
std::string allowed_text(const std::string&, const Limits&) { return "text"; }
std::string allowed_text(std::uint64_t, const auto&) { return "0 .. 2^64-1"; }
std::string range_text(const Limits& limits) { return cat(limits.lowest, " .. ", limits.highest); }
std::string allowed_text(std::int64_t, const Limits& limits) { return range_text(limits); }
std::string allowed_text(double, const Limits& limits) { return range_text(limits); }
std::string allowed_text(const std::vector<std::int64_t>&, const Limits& limits) {
  return cat("list of 1 to 8 numbers ", range_text(limits));
}
template <class E>
requires std::is_enum_v<E> std::string allowed_text(E, const Limits&) {
  std::string text;
  for (const std::string_view name : kNames<E>) text += (text.empty() ? "" : " | ") + std::string(name);
  return text;
}

template <class S>
void add_keys(const S& section, const std::string& prefix, std::vector<ConfigKey>& keys) {
  visit_fields(section, [&](const char* name, const auto& member, const auto& limits, const char* meaning) {
    using T = std::remove_cvref_t<decltype(member)>;
    if constexpr (std::is_same_v<T, std::vector<ModalityConfig>>) {
      add_keys(ModalityConfig(), cat(prefix, name, ".NAME."), keys);
    } else if constexpr (std::is_same_v<S, ModalityConfig> && std::is_same_v<T, StageConfig>) {
      keys.push_back({cat(prefix, name, ".*"), "", "as " + std::string(name), meaning});
    } else if constexpr (Section<T>) {
      add_keys(member, cat(prefix, name, "."), keys);
    } else {
      keys.push_back({prefix + name, value_json(member).dump(), allowed_text(member, limits), meaning});
    }
  });
}

// Words of `text` in lines of at most `width`, the first after `indent` blanks, the others after four more.
std::string wrapped(const std::string& text, std::size_t indent, std::size_t width) {
  std::istringstream words(text);
  std::string out, line(indent, ' ');
  for (std::string word; words >> word;) {
    if (line.back() != ' ' && line.size() + 1 + word.size() > width) {
      out += line + "\n";
      line.assign(indent + 4, ' ');
    }
    line += (line.back() == ' ' ? "" : " ") + word;
  }
  return out + line + "\n";
}

}  // namespace

std::vector<ConfigKey> config_keys() {
  std::vector<ConfigKey> keys;
  add_keys(Config(), "", keys);
  return keys;
}

std::string config_reference() {
  constexpr std::size_t kWidth = 110;
  std::string text;
  for (const ConfigKey& key : config_keys()) {
    const std::string value = key.default_value.empty() ? "" : " = " + key.default_value;
    text += wrapped(cat(key.key, value, " (", key.allowed, ")"), 2, kWidth);
    text += wrapped(key.meaning, 6, kWidth);
  }
  return text +
         "\nOrder: defaults, preset, file, MLD_* variables, settings; the later wins. The variable of "
         "score.width is\n"
         "MLD_SCORE__WIDTH. A key of stage1 or classifier_training is set for every modality, unless the "
         "same layer\n"
         "sets it for one.\n";
}

}  // namespace mld
