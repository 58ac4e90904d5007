// A run on its way to where training begins: what it is trained on, which stages it has and what is left of them, and
// its folder brought there. Everything that is wrong is found before anything in the folder changes.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/store/store.h"
#include "mld/methods/method.h"
#include "mld/run/reused_files.h"
#include "mld/train/run_folder.h"
#include "mld/train/run_plan.h"
#include "mld/train/train.h"

namespace mld {

class RunSetup {
 public:
  // ErrorKind::usage, or data, for a request that cannot be.
  RunSetup(const TrainRequest& request, const std::function<void(const std::string&)>& note);
  RunSetup(const RunSetup&) = delete;
  RunSetup& operator=(const RunSetup&) = delete;

  void list_stages();  // with all checks of networks and data, and what is taken over
  // Brings the folder to where training begins; can be killed at any point and repeated.
  void start(RunFolder& folder);

  const TrainRequest& request;
  Config config;
  const RunFiles files;
  const data::Store store;
  const data::Split& train;
  std::string fingerprint;  // of the data of the run
  std::string config_text;  // as it is written
  std::unique_ptr<Method> method;
  std::vector<StagePlan> stages;
  std::vector<ReusedFile> reused;
  TrainingData data;

 private:
  bool chosen(const StageId& stage) const;
  void list_classifier(const StageId& stage);
  void check_modality(const std::string& name) const;
  void continue_run();
  void check_run_data();
  void let_in_checkpoints();
  void write_start(RunFolder& folder);

  const std::function<void(const std::string&)>& note_;
  bool data_change_ = false;  // the run goes on with other data than those of before
};

// Replaces what a checkpoint says of its training.
void write_record(const StageRecord& record);

}  // namespace mld
