#include "nn/train_step.h"

#include <utility>

namespace mld::nn {

TrainStep::TrainStep(ParameterStore& store, std::uint64_t seed, LrPlan plan, AdamOptions adam, Loss loss,
                     Reduce reduce)
    : store_(store),
      counter_(seed, plan, adam.beta1, adam.beta2, store.options().device),
      adam_(store, adam, counter_.ptr()),
      loss_(std::move(loss)),
      reduce_(std::move(reduce)),
      step_(store.options().device, [this] { run(); }) {}

void TrainStep::run() {
  store_.begin_step(counter_);
  {
    Tape tape;
    const Var loss = loss_(counter_.ptr());
    tape.backward(loss, counter_.judge(loss.value));
  }
  store_.finish_backward();
  if (reduce_) reduce_(store_.grad());
  adam_.step();
  store_.finish_step(counter_);
}

}  // namespace mld::nn
