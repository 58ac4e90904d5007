// Training a run: every autoencoder and classifier alone (stage 1), then the score network on the latents of
// the whole training split (stage 2). Writes the run directory that run_files.h describes.
#pragma once

#include <filesystem>
#include <string>

#include "mld/config/config.h"
#include "mld/methods/method.h"
#include "mld/train/stage.h"

namespace mld {

enum class StageChoice { all, autoencoders, classifiers, score };

struct TrainRequest {
  Config config;              // config.data.store names the store
  std::filesystem::path out;  // the run directory
  StageChoice stages = StageChoice::all;
  std::string modality = {};         // only this one's stage 1; empty: all
  std::filesystem::path reuse = {};  // run whose autoencoders and classifiers are taken over; empty: none
  bool resume = false;               // continue what `out` holds
  // Of a run that is continued:
  bool stop_here = false;  // an unfinished stage ends at the steps made, and the configuration says so
  bool retrain_score =
      false;                // the score network is trained anew, as is due when an autoencoder was trained on
  bool other_data = false;  // the store, or the run that is reused, may be of other data; the record says so
  Device device = kCpu;
  MethodFactory method = make_method;
};

// Returns `stopped` if the hooks asked to; everything is saved then, and a call with resume continues bit for
// bit. A larger budget trains a finished stage on (budget.h, run_plan.h). ErrorKind::busy if the folder is in
// use, or holds a run and resume is not set, or holds a run of another configuration or of other data
// (budgets, logging and sampling may differ); ErrorKind::usage for a budget less than what is done. Whatever
// can be known is checked before the folder is touched, and a failed start leaves nothing in it.
StageEnd train(const TrainRequest& request, const TrainHooks& hooks);

}  // namespace mld
