#include "mld/run/stage_id.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "engine/base/names.h"
#include "mld/run/budget.h"

namespace mld {
namespace {

// In the order of the latents.
std::string modality_names(const Config& config) {
  std::vector<std::string> names;
  for (const ModalityConfig& m : config.modalities) names.push_back(m.name);
  return join(names);
}

Config read_config(const StageRecord& record) {
  try {
    return parse_config(record.config, record.file.string());
  } catch (const Error& error) {
    fail(ErrorKind::model, record.file.string(),
         ": the configuration in its metadata is damaged: ", error.what());
  }
}

}  // namespace

std::string StageId::name() const {
  if (kind == StageKind::score) return "score";
  return (kind == StageKind::autoencoder ? "autoencoder/" : "classifier/") + modality;
}

std::string StageId::part() const {
  std::string text = name();
  std::ranges::replace(text, '/', '.');
  return text;
}

std::string StageId::key() const {
  if (kind == StageKind::score) return "score";
  return "modalities." + modality + (kind == StageKind::autoencoder ? ".stage1" : ".classifier_training");
}

std::filesystem::path StageId::file(const RunFiles& run) const {
  if (kind == StageKind::score) return run.score();
  return kind == StageKind::autoencoder ? run.autoencoder(modality) : run.classifier(modality);
}

TrainConfig* StageId::settings(Config& config) const {
  return const_cast<TrainConfig*>(settings(std::as_const(config)));
}

const TrainConfig* StageId::settings(const Config& config) const {
  if (kind == StageKind::score) return &config.score;
  const auto found = std::ranges::find(config.modalities, modality, &ModalityConfig::name);
  if (found == config.modalities.end()) return nullptr;
  return kind == StageKind::autoencoder ? &found->stage1 : &found->classifier_training;
}

bool StageId::depends_on(const std::string& setting) const {
  if (kind == StageKind::score)
    return setting.starts_with("score.") || setting.starts_with("model.") ||
           (setting.starts_with("modalities.") && setting.ends_with(".weight"));
  const std::string own = "modalities." + modality + ".";
  if (!setting.starts_with(own)) return false;
  const std::string rest = setting.substr(own.size());
  if (rest == "name" || rest == "units") return true;
  const bool of_classifier = rest.starts_with("classifier");  // and classifier_training
  return (kind == StageKind::classifier) == of_classifier && rest != "weight";
}

Config check_settings(const StageId& id, const StageRecord& record, const Config& config,
                      const SettingsCheck& check) {
  MLD_CHECK_AS(ErrorKind::model, record.stage.empty() || record.stage == id.name(), record.file.string(),
               ": holds ", record.stage, ", not ", id.name(), "; put the right file in its place");
  Config then = read_config(record);
  const bool of_score = id.kind == StageKind::score;
  std::string other;
  for (const SettingDifference& d : differences(then, config)) {
    if (is_budget_key(d.key) && check.budgets == Budgets::may_differ) continue;
    if (id.depends_on(d.key) || (d.key == "seed" && !check.taken_over)) other += "\n  " + d.str();
  }
  const std::string order = modality_names(then), order_now = modality_names(config);
  if (of_score && order != order_now) other += "\n  modalities: " + order + ", not " + order_now;
  MLD_CHECK_AS(ErrorKind::model, other.empty() && id.settings(then) != nullptr, record.file.string(),
               ": was trained with other settings than ", check.source.string(),
               " holds; put the files of one run together",
               of_score ? ":" : " (a new run takes over those of another with --reuse):", other);
  return then;
}

}  // namespace mld
