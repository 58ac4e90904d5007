// One training stage: an autoencoder, a classifier or the score network, from its checkpoint or from scratch
// to the end of its budget. Knows nothing of what is trained: the caller gives the store, the loss and what
// fills the batch. Resuming continues bit for bit, metrics included.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>

#include "engine/io/safetensors.h"
#include "engine/runtime/step_state.h"
#include "mld/config/config.h"
#include "mld/config/seed.h"
#include "mld/run/budget.h"
#include "nn/train_step.h"

namespace mld {

struct StageProgress {
  std::string stage;      // "autoencoder/image"
  std::int64_t step = 0;  // steps done
  std::int64_t total = 0;
  double loss = 0;  // mean since the last line of metrics
  double lr = 0;
  double seconds = 0;  // in this process
  double steps_per_second = 0;
};

struct TrainHooks {
  std::function<void(const StageProgress&)> progress;  // about every second step of work, at least at the end
  std::function<void(const std::string&)> note;        // one-line announcements
  std::function<bool()> stop;  // polled between steps; true: write a checkpoint and stop
};

enum class StageEnd { finished, stopped };

struct Stage {
  std::string name;
  std::filesystem::path checkpoint, metrics;
  TrainConfig train;
  RunConfig run;
  std::uint64_t seed = 0;
  std::int64_t steps_per_epoch = 1;
  std::string config;  // stored verbatim in the checkpoint,
  Metadata record;     // with these entries (StageRecord::entries)
  nn::ParameterStore* store = nullptr;
  std::function<void(std::int64_t step)> before;  // fills the batch of a step
  nn::TrainStep::Loss loss;
};

// Trains. An existing checkpoint of the stage is continued; one that is finished returns at once, with the
// store filled. Ten steps in a row whose loss or gradient is not finite end it with ErrorKind::diverged, the
// last good checkpoint kept.
StageEnd run_stage(const Stage& stage, const TrainHooks& hooks);

// One step of a new stage, to see whether the device has the memory for it; writes no file.
void try_stage(const Stage& stage);

// The largest batch below `failed`, exact to a sixteenth, with which `step` does not throw OutOfMemory; 0 if
// there is none.
std::int64_t largest_batch(std::int64_t failed, const std::function<void(std::int64_t)>& step);

}  // namespace mld
