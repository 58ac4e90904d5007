// The stages of a training, each with the checkpoint and the settings that are its own.
#pragma once

#include <filesystem>
#include <string>

#include "mld/run/run_files.h"
#include "mld/run/stage_record.h"

namespace mld {

enum class StageKind { autoencoder, classifier, score };

struct StageId {
  StageKind kind = StageKind::score;
  std::string modality = {};  // of stage 1

  std::string name() const;  // "autoencoder/image"
  std::string part() const;  // "autoencoder.image"
  std::string key() const;   // "modalities.image.stage1": its training's settings
  std::filesystem::path file(const RunFiles& run) const;  // its checkpoint
  // Null if the configuration lacks the modality.
  TrainConfig* settings(Config& config) const;
  const TrainConfig* settings(const Config& config) const;
  bool depends_on(const std::string& setting) const;  // the key of one, whatever stage 1 made of it
};

enum class Budgets { equal, may_differ };  // may_differ: while a run is continued with another one

struct SettingsCheck {
  std::filesystem::path source;  // of the configuration, for messages
  Budgets budgets = Budgets::equal;
  bool taken_over = false;  // from another run (--reuse), which may be of another seed
};

// The configuration that the checkpoint was made with. ErrorKind::model, listing what differs, if the stage
// was trained with other settings or another seed than those of `config`: then one of the two files is of
// another run, or was edited.
Config check_settings(const StageId& id, const StageRecord& record, const Config& config,
                      const SettingsCheck& check);

}  // namespace mld
