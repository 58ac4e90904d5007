#include "mld/config/config.h"

#include <algorithm>
#include <set>
#include <sstream>

#include "engine/base/hash.h"
#include "engine/io/file_error.h"
#include "engine/io/files.h"
#include "mld/config/config_reader.h"

extern char** environ;  // NOLINT: POSIX declares it nowhere

namespace mld {
namespace {

using config::Json;
using config::Section;
using config::visit_fields;
using OrderedJson = nlohmann::ordered_json;
using Problems = std::vector<std::string>;

// --- writing -----------------------------------------------------------------------------------------------

enum class Keys : std::uint8_t {
  all,
  fingerprint  // those that fingerprints cover (config.h)
};

template <class T>
OrderedJson value_json(const T& value, Keys keys = Keys::all) {
  if constexpr (Section<T>) {
    OrderedJson object;
    visit_fields(value, [&](const char* name, const auto& member, const config::Limits&, const char*) {
      object[name] = value_json(member, keys);
    });
    const T neutral{};
    if (keys == Keys::fingerprint)
      visit_fields(neutral,
                   [&](const char* name, const auto& member, const config::Limits& limits, const char*) {
                     if (limits.is_added && object[name] == value_json(member, keys)) object.erase(name);
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

std::string hash_of(std::string_view text) { return hex(fnv1a(text), 16); }

OrderedJson autoencoder_json(const ModalityConfig& modality) {
  OrderedJson object = value_json(modality, Keys::fingerprint);
  for (const char* other : {"weight", "classifier", "classifier_training"}) object.erase(other);
  return object;
}

// --- checks between values ---------------------------------------------------------------------------------

void check_training(const TrainConfig& train, const std::string& key, Problems& problems) {
  if (train.steps == 0 && train.epochs == 0 && train.minutes == 0)
    problems.push_back(key + ": no budget; set steps, epochs or minutes");
  if (train.schedule != LearningRate::cosine) return;
  if (train.steps == 0 && train.epochs == 0 && train.schedule_steps == 0)
    problems.push_back(
        key + ".schedule: a cosine needs a budget of steps or epochs, or schedule_steps, to run along");
  if (train.final_lr > train.lr)
    problems.push_back(cat(key, ".final_lr: ", train.final_lr, " is above lr, ", train.lr));
}

void check_modalities(const Config& config, Problems& problems) {
  if (config.modalities.empty())
    problems.push_back("modalities: there are none; choose a preset, name a data.store, or list them");
  if (config.modalities.size() > static_cast<std::size_t>(kMaxModalities))
    problems.push_back(
        cat("modalities: ", config.modalities.size(), ", at most ", kMaxModalities, " are possible"));
  std::set<std::string> names;
  for (const ModalityConfig& modality : config.modalities) {
    const std::string key = "modalities." + modality.name;
    try {
      data::check_name(modality.name, "modalities");
    } catch (const Error& error) {
      problems.emplace_back(error.what());
    }
    if (!names.insert(modality.name).second) problems.push_back(key + ": is there twice");
    check_training(modality.stage1, key + ".stage1", problems);
    if (modality.classifier != ClassifierKind::none)
      check_training(modality.classifier_training, key + ".classifier_training", problems);
  }
}

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const Preset& preset : presets()) names.emplace_back(preset.name);
  return names;
}

const Preset* find_preset(const std::string& name) {
  const auto found = std::ranges::find(presets(), name, &Preset::name);
  return found == presets().end() ? nullptr : &*found;
}

void check(const Config& config, Problems& problems) {
  if (!config.preset.empty() && find_preset(config.preset) == nullptr) {
    const std::vector<std::string> names = preset_names();
    const std::string guess = nearest(config.preset, names);
    problems.push_back(cat("preset: there is none named ", quote(config.preset),
                           guess.empty() ? "; there are " + join(names) : ", did you mean " + guess + "?"));
  } else {  // without its preset a configuration has no modalities to speak of
    check_modalities(config, problems);
  }
  check_training(config.score, "score", problems);
  if (config.score.width % config.score.groups != 0)
    problems.push_back(
        cat("score.groups: ", config.score.groups, " does not divide score.width, ", config.score.width));
  if (config.sampler.resample > 1 && config.sampler.jump > config.sampler.steps)
    problems.push_back(
        cat("sampler.jump: ", config.sampler.jump, " is more than sampler.steps, ", config.sampler.steps));
}

[[noreturn]] void fail_config(const Problems& problems) {
  if (problems.size() == 1) fail(ErrorKind::usage, "configuration: ", problems.front());
  std::string text = cat("configuration: ", problems.size(), " problems");
  for (const std::string& problem : problems) text += "\n  " + problem;
  fail(ErrorKind::usage, text);
}

// --- layers ------------------------------------------------------------------------------------------------

constexpr std::int64_t kMaxFileBytes = 1 << 20;  // more than any configuration has

struct FileLayer {
  std::string text, origin;  // no layer if the text is empty
};

// Everything above the preset.
void apply_layers(config::Reader& reader, const FileLayer& file, const ConfigSources& sources) {
  if (!file.origin.empty()) reader.apply_json(file.text, file.origin);
  // A modality's own variable wins over the one for all modalities, whatever the alphabet says.
  const auto of_modality = [](const std::string& name) { return name.starts_with("MLD_MODALITIES__"); };
  for (const bool now : {false, true})
    for (const auto& [name, value] : sources.environment)
      if (of_modality(name) == now) reader.apply_variable(name, value);
  for (const std::string& setting : sources.settings) reader.apply_setting(setting);
}

Config resolve(const FileLayer& file, const ConfigSources& sources) {
  Config named;  // what the layers say by themselves: which preset, which store
  config::Reader first(named);
  apply_layers(first, file, sources);
  if (!sources.preset.empty()) named.preset = sources.preset;

  Config config;
  if (!named.preset.empty()) {
    if (const Preset* preset = find_preset(named.preset)) {
      config::Reader reader(config);
      reader.apply_json(preset->json, cat("preset ", preset->name));
      MLD_CHECK(reader.problems().empty(), join(reader.problems()));
    }
  } else if (!named.data.store.empty() && sources.describe) {
    config = default_config(sources.describe(named.data.store));
    if (sources.earlier)
      for (ModalityConfig& modality : config.modalities) {
        const auto& earlier = sources.earlier->modalities;
        const auto found = std::ranges::find(earlier, modality.name, &ModalityConfig::name);
        if (found != earlier.end()) modality.units = found->units;
      }
  }
  config::Reader reader(config);
  apply_layers(reader, file, sources);
  config.preset = named.preset;
  Problems problems = reader.problems();
  check(config, problems);
  if (!problems.empty()) fail_config(problems);
  return config;
}

// --- reference ---------------------------------------------------------------------------------------------

std::string allowed_text(bool, const auto&) { return "true | false"; }
std::string allowed_text(const std::string&, const config::Limits&) { return "text"; }
std::string allowed_text(std::uint64_t, const auto&) { return "0 .. 2^64-1"; }
std::string range_text(const config::Limits& limits) { return cat(limits.lowest, " .. ", limits.highest); }
std::string allowed_text(std::int64_t, const config::Limits& limits) { return range_text(limits); }
std::string allowed_text(double, const config::Limits& limits) { return range_text(limits); }
std::string allowed_text(const std::vector<std::int64_t>&, const config::Limits& limits) {
  return cat("list of 1 to 8 numbers ", range_text(limits));
}
template <class E>
requires std::is_enum_v<E> std::string allowed_text(E, const config::Limits&) {
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
    } else if constexpr (std::is_same_v<S, ModalityConfig> && Section<T>) {
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

Config resolve_config(const ConfigSources& sources) {
  FileLayer file;
  if (!sources.file.empty()) file = {read_file(sources.file, ErrorKind::usage, kMaxFileBytes), sources.file};
  return resolve(file, sources);
}

Config parse_config(std::string_view json, const std::string& where) {
  return resolve({std::string(json), where}, {});
}

std::string to_json(const Config& config) { return value_json(config).dump(2) + "\n"; }

std::map<std::string, std::string> mld_environment() {
  // Variables of that prefix with another purpose: where the metric networks' weights are, how a GPU works,
  // and what tests demand of it.
  const std::set<std::string> others = {"MLD_WEIGHTS",          "MLD_CONV",
                                        "MLD_NO_GRAPH",         "MLD_REQUIRE_CUDA",
                                        "MLD_EMULATION_MEMORY", "MLD_EMULATION_ORDER"};
  std::map<std::string, std::string> variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::string name = text.substr(0, text.find('='));
    if (name.starts_with("MLD_") && name.size() < text.size() && !others.contains(name))
      variables[name] = text.substr(name.size() + 1);
  }
  return variables;
}

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
  const Config base = config.preset.empty() ? default_config(description) : resolve_config(sources);
  std::map<std::string, std::string> settings;
  for (const SettingDifference& d : differences(config, base)) {
    const bool of_autoencoder = d.key.starts_with("modalities.") && !d.key.ends_with(".classifier") &&
                                d.key.find(".classifier_training.") == std::string::npos;
    if (d.key.starts_with("model.") || d.key.starts_with("score.") || of_autoencoder)
      settings[d.key] = d.found;
  }
  return settings;
}

std::string stage1_hash(const ModalityConfig& modality) { return hash_of(autoencoder_json(modality).dump()); }

std::string classifier_hash(const ModalityConfig& modality) {
  OrderedJson object;
  const OrderedJson whole = value_json(modality, Keys::fingerprint);
  for (const char* key : {"name", "units", "classifier", "classifier_training"})
    if (whole.contains(key)) object[key] = whole[key];
  return hash_of(object.dump());
}

std::string classifiers_hash(const Config& config) {
  std::string all;
  for (const ModalityConfig& modality : config.modalities) all += classifier_hash(modality);
  return hash_of(all);
}

std::string score_hash(const Config& config) {
  OrderedJson object = {{"model", value_json(config.model, Keys::fingerprint)},
                        {"score", value_json(config.score, Keys::fingerprint)}};
  for (const ModalityConfig& modality : config.modalities)
    object["modalities"].push_back({autoencoder_json(modality), modality.weight});
  return hash_of(object.dump());
}

}  // namespace mld
