// Which variables of the process are settings.
#include <algorithm>

#include "engine/base/names.h"
#include "engine/base/notes.h"
#include "engine/io/file_error.h"
#include "mld/config/config.h"

extern char** environ;  // NOLINT: POSIX declares it nowhere

namespace mld {
namespace {

constexpr std::string_view kPrefix = "MLD_";

// Letters and digits alone, in which a key and the ways of writing its variable are alike.
std::string plain(std::string_view name) {
  std::string out = lower(name);
  std::erase_if(out, [](char c) { return c == '.' || c == '_'; });
  return out;
}

// Whether a variable is meant as a setting, rightly spelt or not; `name` without the prefix, in lower case.
bool means_setting(const std::string& name) {
  if (name.find("__") != std::string::npos) return true;
  std::vector<std::string> plain_keys;
  for (const ConfigKey& key : config_keys()) {
    const std::string first = key.key.substr(0, key.key.find('.'));
    if (name == first || name.starts_with(first + "_")) return true;
    if (first == "modalities") continue;
    if (name == key.key.substr(key.key.rfind('.') + 1)) return true;
    plain_keys.push_back(plain(key.key));
  }
  return !nearest(plain(name), plain_keys).empty();
}

}  // namespace

std::map<std::string, std::string> mld_environment() {
  const std::vector<std::string> others(kOtherVariables.begin(), kOtherVariables.end());
  std::map<std::string, std::string> variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::string name = text.substr(0, text.find('='));
    if (!name.starts_with(kPrefix) || name.size() == text.size()) continue;
    if (std::ranges::find(others, name) != others.end()) continue;
    if (means_setting(lower(name.substr(kPrefix.size())))) {
      variables[name] = text.substr(name.size() + 1);
      continue;
    }
    const std::string guess = nearest(name, others);
    note_once(cat("variable ", quote(name), " is no setting and is ignored",
                  guess.empty() ? "" : cat("; did you mean ", guess, "?")));
  }
  return variables;
}

}  // namespace mld
