#include "mld/config/stage_id.h"

#include <algorithm>
#include <utility>

namespace mld {

std::string StageId::name() const {
  if (kind == StageKind::score) return "score";
  return (kind == StageKind::autoencoder ? "autoencoder/" : "classifier/") + modality;
}

std::string StageId::part() const {
  std::string text = name();
  std::ranges::replace(text, '/', '.');
  return text;
}

std::string StageId::title() const {
  if (kind == StageKind::score) return "the score network";
  return (kind == StageKind::autoencoder ? "the autoencoder of '" : "the classifier of '") + modality + "'";
}

std::string StageId::key() const {
  if (kind == StageKind::score) return "score";
  return "modalities." + modality + (kind == StageKind::autoencoder ? ".stage1" : ".classifier_training");
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

}  // namespace mld
