#include "mld/run/stage_settings.h"

#include <algorithm>
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

Config check_settings(const StageId& id, const StageRecord& record, const Config& config,
                      const SettingsCheck& check) {
  MLD_CHECK_AS(ErrorKind::model, record.stage.empty() || record.stage == id.name(), record.file.string(),
               ": holds ", record.stage, ", not ", id.name(), "; put the right file in its place");
  Config then = read_config(record);
  std::string other;
  for (const SettingDifference& d : differences(then, config)) {
    if (is_budget_key(d.key) && check.budgets == Budgets::may_differ) continue;
    if (id.depends_on(d.key) || (d.key == "seed" && !check.taken_over)) other += "\n  " + d.str();
  }
  const std::string order = modality_names(then), order_now = modality_names(config);
  if (id.generates() && order != order_now) other += "\n  modalities: " + order + ", not " + order_now;
  MLD_CHECK_AS(ErrorKind::model, other.empty() && id.settings(then) != nullptr, record.file.string(),
               ": was trained with other settings than ", check.source.string(),
               " holds; put the files of one run together",
               id.generates() ? ":" : " (a new run takes over those of another with --reuse):", other);
  return then;
}

}  // namespace mld
