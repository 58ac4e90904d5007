// Adam (Kingma & Ba 2015) and the exponential moving average of the weights in one pass over the arenas: each
// value is read and written once. Per-step scalars (learning rate, bias corrections, whether the step is ok)
// are read from the StepState in device memory, so that the pass can be captured; a step that is not ok
// changes nothing, and one with a gradient that is not finite is marked as such first.
#pragma once

#include "engine/runtime/step_state.h"
#include "nn/parameter.h"

namespace mld::nn {

struct AdamOptions {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double weight_decay = 0;   // L2 term added to the gradient, as in the original Adam
  bool decoupled = false;    // weight decay applied to the weight instead (AdamW)
  double clip_norm = 0;      // if > 0, gradients are scaled down to this norm (over all parameters)
  double ema_decay = 0.999;  // used if the store has an EMA
};

class AdamEma {
 public:
  // `state` is the device memory of the training's StepCounter. The store must train and outlive this.
  AdamEma(ParameterStore& store, AdamOptions options, StepState* state);
  void step();
  const AdamOptions& options() const { return options_; }

 private:
  template <class T>
  void step_as();

  ParameterStore& store_;
  AdamOptions options_;
  StepState* state_;
  Tensor clip_;  // f64 [1]: what gradients are multiplied with; undefined without clipping
};

}  // namespace mld::nn
