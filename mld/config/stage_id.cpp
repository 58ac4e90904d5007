#include "mld/config/stage_id.h"

#include <algorithm>
#include <initializer_list>
#include <utility>

namespace mld {

std::string StageId::name() const {
  if (kind == StageKind::score) return "score";
  if (kind == StageKind::vae) return "vae";
  return (kind == StageKind::autoencoder ? "autoencoder/" : "classifier/") + modality;
}

std::string StageId::part() const {
  std::string text = name();
  std::ranges::replace(text, '/', '.');
  return text;
}

std::string StageId::title() const {
  if (kind == StageKind::score) return "the score network";
  if (kind == StageKind::vae) return "the VAE";
  return (kind == StageKind::autoencoder ? "the autoencoder of '" : "the classifier of '") + modality + "'";
}

std::string StageId::key() const {
  if (generates()) return name();
  return "modalities." + modality + (kind == StageKind::autoencoder ? ".stage1" : ".classifier_training");
}

TrainConfig* StageId::settings(Config& config) const {
  return const_cast<TrainConfig*>(settings(std::as_const(config)));
}

const TrainConfig* StageId::settings(const Config& config) const {
  if (kind == StageKind::score) return &config.score;
  if (kind == StageKind::vae) return &config.vae;
  const auto found = std::ranges::find(config.modalities, modality, &ModalityConfig::name);
  if (found == config.modalities.end()) return nullptr;
  return kind == StageKind::autoencoder ? &found->stage1 : &found->classifier_training;
}

bool StageId::depends_on(const std::string& setting) const {
  const auto is_one_of = [](const std::string& key, std::initializer_list<const char*> keys) {
    return std::ranges::any_of(keys, [&](const char* k) { return key == k; });
  };
  if (generates() && setting.starts_with("model.")) return true;
  if (generates() && setting.starts_with(name() + ".")) return true;
  if (!setting.starts_with("modalities.")) return false;
  // "modalities.NAME.rest"
  const auto dot = setting.find('.', std::string("modalities.").size());
  const std::string rest = dot == std::string::npos ? "" : setting.substr(dot + 1);
  if (kind == StageKind::score) return is_one_of(rest, {"weight", "fresh"});
  const bool of_classifier = rest.starts_with("classifier");  // and classifier_training
  if (kind == StageKind::vae) return !of_classifier && !is_one_of(rest, {"weight", "fresh"});
  if (!setting.starts_with("modalities." + modality + ".")) return false;
  if (is_one_of(rest, {"name", "units"})) return true;
  return (kind == StageKind::classifier) == of_classifier &&
         !is_one_of(rest, {"weight", "vae_weight", "nexus_weight", "nexus_upper", "nexus_scale", "fresh"});
}

}  // namespace mld
