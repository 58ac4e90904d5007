// The stages of a training, each with the checkpoint and the settings that are its own.
#pragma once

#include <filesystem>
#include <string>

#include "mld/run_files.h"

namespace mld {

enum class StageKind { autoencoder, classifier, score };

struct StageId {
  StageKind kind = StageKind::score;
  std::string modality = {};  // of stage 1

  std::string name() const;  // "autoencoder/image"
  std::string part() const;  // "autoencoder.image"
  std::string key() const;   // "modalities.image.stage1": its training's settings
  std::filesystem::path file(const RunFiles& run) const;  // its checkpoint
  TrainConfig* settings(Config& config) const;            // null if the configuration lacks the modality
  bool depends_on(const std::string& setting) const;      // the key of one, whatever stage 1 made of it
};

enum class Budgets { equal, may_differ };  // may_differ: while a run is continued with another one

// The configuration that the checkpoint was made with. ErrorKind::model, listing what differs, if the stage
// was trained with other settings, the score network also with another seed, than those of `config`, which
// `source` holds: then one of the two files is of another run, or was edited. Stage 1 may be of another seed,
// as it can be taken over.
Config check_settings(const StageId& id, const StageRecord& record, const Config& config,
                      const std::filesystem::path& source, Budgets budgets);

}  // namespace mld
