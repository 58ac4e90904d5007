// The stages of a training, by the names that they have in files, settings and messages.
#pragma once

#include <string>

#include "mld/config/config.h"

namespace mld {

enum class StageKind { autoencoder, classifier, score, vae };

struct StageId {
  StageKind kind = StageKind::score;
  std::string modality = {};  // of stage 1

  std::string name() const;   // "autoencoder/image"
  std::string part() const;   // "autoencoder.image"
  std::string title() const;  // "the autoencoder of 'image'"
  std::string key() const;    // "modalities.image.stage1": its training's settings
  // Whether it is what draws samples: it rests on the others and is trained last.
  bool generates() const { return kind == StageKind::score || kind == StageKind::vae; }
  // Null if the configuration lacks the modality.
  TrainConfig* settings(Config& config) const;
  const TrainConfig* settings(const Config& config) const;
  bool depends_on(const std::string& setting) const;  // the key of one, whatever stage 1 made of it
};

}  // namespace mld
