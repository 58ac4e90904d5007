// Whether a checkpoint was trained with the settings of the run that it lies in.
#pragma once

#include <filesystem>

#include "mld/config/config.h"
#include "mld/config/stage_id.h"
#include "mld/run/stage_record.h"

namespace mld {

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
