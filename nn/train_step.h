// One training step in the order that makes it capturable: tick, forward, judge the loss, backward, Adam+EMA,
// commit. Nothing in it waits for the device. Autoencoders, classifiers and the score network all train
// through it.
#pragma once

#include <cstdint>
#include <functional>

#include "engine/runtime/capture.h"
#include "engine/runtime/step_state.h"
#include "nn/adam_ema.h"
#include "nn/parameter.h"

namespace mld::nn {

class TrainStep {
 public:
  // loss(state) computes the loss [1] of the next batch under a live tape; draws read seed and step from
  // `state`. The same calls with the same shapes and addresses must happen every time, as they may be
  // recorded and replayed: what varies (the batch) is to be found in memory that `before` fills.
  using Loss = std::function<Var(const StepState* state)>;
  // Between the end of backward and Adam: makes of the gradients (the store's arena) those of the whole batch,
  // where other processes compute other rows of it. It is recorded with the rest of the step.
  using Reduce = std::function<void(const Tensor& gradients)>;
  TrainStep(ParameterStore& store, std::uint64_t seed, LrPlan plan, AdamOptions adam, Loss loss,
            Reduce reduce = {});
  TrainStep(const TrainStep&) = delete;
  TrainStep& operator=(const TrainStep&) = delete;

  void operator()() { step_(); }
  bool captured() const { return step_.captured(); }
  std::size_t nodes() const { return step_.nodes(); }  // of the recording on cuda, else 0

  // After synchronisation: steps and updates so far, bad steps in a row, recent losses.
  StepState state() const { return counter_.read(); }
  void resume(const StepState& state) { counter_.write(state); }
  // Device memory of the state, for draws outside of the loss.
  const StepState* device_state() const { return counter_.ptr(); }

 private:
  void run();

  ParameterStore& store_;
  StepCounter counter_;
  AdamEma adam_;
  Loss loss_;
  Reduce reduce_;
  CapturedStep step_;
};

}  // namespace mld::nn
