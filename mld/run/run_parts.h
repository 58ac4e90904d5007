// The checkpoints of a run as its readers meet them: each is compared with the configuration beside it before
// a network is built from it, so that what does not belong together is told by its settings and not by the
// shapes of tensors.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "engine/io/safetensors.h"
#include "mld/run/reused_files.h"
#include "mld/run/run_files.h"
#include "mld/run/stage_record.h"
#include "mld/run/stage_settings.h"
#include "nn/parameter.h"

namespace mld {

struct RunPart {
  StageId id;
  SafetensorsFile file;
  StageRecord record;
  Config made_with;

  void load(nn::ParameterStore& store) const;  // the final weights: the EMA where there is one
};

// The checkpoint of a stage that has finished; none if there is no file. `config` is the run's, `reused` what
// it took over. ErrorKind::model if the file is damaged, the stage unfinished, or trained with other
// settings. Budgets count only in files that record the steps of an epoch: earlier versions wrote down
// budgets that they did not use.
std::optional<RunPart> open_part(const RunFiles& run, const StageId& id, const Config& config,
                                 const std::vector<ReusedFile>& reused);

// All that there are of `stages`, what generates last. ErrorKind::model also if one is not of those that the latter
// was trained on and is measured by, or was trained on other data than those of `fingerprint`, which
// dataset.json names, without having been let in; or if what generates is there without what it rests on.
std::vector<RunPart> open_parts(const RunFiles& run, const std::vector<StageId>& stages, const Config& config,
                                const std::string& fingerprint);

}  // namespace mld
