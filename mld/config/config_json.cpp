#include "mld/config/config_json.h"

#include <algorithm>
#include <map>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/names.h"
#include "mld/config/stage_id.h"

namespace mld {

using config::OrderedJson;
using config::value_json;

namespace {

// Every value by its key, a modality's below its name.
void flatten(const OrderedJson& value, const std::string& key, std::map<std::string, std::string>& flat) {
  if (value.is_object()) {
    for (const auto& [name, member] : value.items())
      flatten(member, key.empty() ? name : key + "." + name, flat);
  } else if (value.is_array() && (value.empty() || value[0].is_object())) {
    std::vector<std::string> names;
    for (const auto& modality : value) {
      names.push_back(modality["name"]);
      flatten(modality, key + "." + names.back(), flat);
    }
    flat[key] = join(names);
  } else {
    flat[key] = value.dump();
  }
}

}  // namespace

std::string to_json(const Config& config) { return value_json(config).dump(2) + "\n"; }

std::string SettingDifference::str() const { return cat(key, ": ", found, ", not ", expected); }

std::vector<SettingDifference> differences(const Config& found, const Config& expected) {
  std::map<std::string, std::string> left, right;
  flatten(value_json(found), "", left);
  flatten(value_json(expected), "", right);
  std::vector<SettingDifference> list;
  for (const auto& [key, value] : left) {
    const auto other = right.find(key);
    if (other != right.end() && other->second != value) list.push_back({key, value, other->second});
  }
  return list;
}

std::map<std::string, std::string> settings_beyond_preset(const Config& config,
                                                          const data::Description& description) {
  ConfigSources sources;
  sources.preset = config.preset;
  Config base;
  if (config.preset.empty()) {
    base = default_config(description);
  } else {
    const ModelKind kind = resolve_config(sources).model.kind;
    sources.settings = {cat("model.kind=", name_of(config.model.kind))};
    base = resolve_config(sources);
    base.model.kind = kind;  // which is a setting, but what the preset has for it is none
  }
  const bool vae = is_vae(config.model.kind);
  std::vector<StageId> stages{{vae ? StageKind::vae : StageKind::score, {}}};
  for (const ModalityConfig& m : config.modalities)
    if (!vae) stages.push_back({StageKind::autoencoder, m.name});
  std::map<std::string, std::string> settings;
  for (const SettingDifference& d : differences(config, base))
    if (std::ranges::any_of(stages, [&](const StageId& stage) { return stage.depends_on(d.key); }))
      settings[d.key] = d.found;
  return settings;
}

}  // namespace mld
