#include "mld/config/config.h"

#include <algorithm>
#include <set>

#include "engine/io/file_error.h"
#include "engine/io/files.h"
#include "mld/config/config_reader.h"

namespace mld {
namespace {

using Problems = std::vector<std::string>;

// --- checks between values ---

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
    if (is_trained(modality.classifier))
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
  check_training(config.vae, "vae", problems);
  if (config.score.network == ScoreNetworkKind::resmlp && config.score.width % config.score.groups != 0)
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

// --- layers ---

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

// What default_config() chose otherwise in earlier versions.
void keep_choices(const ModalityConfig& earlier, ModalityConfig& modality) {
  modality.units = earlier.units;
  modality.autoencoder = earlier.autoencoder;
  modality.layers = earlier.layers;
  modality.classifier = earlier.classifier;
  modality.stage1.batch = earlier.stage1.batch;
  modality.classifier_training.batch = earlier.classifier_training.batch;
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
      for (const Preset::OfKind& part : preset->of_kinds)
        if (part.kind == named.model.kind)
          reader.apply_json(part.json, cat("preset ", preset->name, " of ", name_of(part.kind)));
      MLD_CHECK(reader.problems().empty(), join(reader.problems()));
    }
  } else if (!named.data.store.empty() && sources.describe) {
    config = default_config(sources.describe(named.data.store));
    if (sources.earlier)
      for (ModalityConfig& modality : config.modalities) {
        const auto& earlier = sources.earlier->modalities;
        const auto found = std::ranges::find(earlier, modality.name, &ModalityConfig::name);
        if (found != earlier.end()) keep_choices(*found, modality);
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

}  // namespace

Config resolve_config(const ConfigSources& sources) {
  FileLayer file;
  if (!sources.file.empty()) file = {read_file(sources.file, ErrorKind::usage, kMaxFileBytes), sources.file};
  return resolve(file, sources);
}

Config parse_config(std::string_view json, const std::string& where) {
  return resolve({std::string(json), where}, {});
}

}  // namespace mld
