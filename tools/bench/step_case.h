// One step that bench_steps times, and what the train steps among them share.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "engine/ops/ops.h"
#include "mld/config/config.h"
#include "nn/train_step.h"

namespace mld::bench {

using i64 = std::int64_t;

inline constexpr std::uint64_t kSeed = 0;

// Words of device memory that a train step has to move for each parameter: forward reads the weight, the
// gradient of the input reads it again, the gradient is written and read, and the optimiser reads and writes
// the value and both moments; the averaged weights are read and written where there are some. Activations are
// not counted: small beside it for the score networks, not for convolutions.
inline constexpr double kTrainWords = 10, kEmaWords = 2, kWordBytes = 4;

struct Case {
  double flops = 0;  // of one step
  double bytes = 0;
  i64 parameters = 0;
  i64 schedule_calls = 0;                              // of a whole schedule
  std::function<std::optional<double>(i64)> run = {};  // makes that many steps, returns the last loss
  std::function<std::size_t()> nodes = [] { return std::size_t{0}; };  // of the recording; 0: no replay
};

// Sum over the weight matrices and kernels of 2 * size * times(name, number of the matrix).
template <class F>
double matrix_flops(const nn::Visitor& net, F&& times) {
  double sum = 0;
  std::size_t number = 0;
  for (const auto& p : net.parameters())
    if (p.data->shape.rank() >= 2)
      sum += 2.0 * static_cast<double>(p.data->shape.numel()) * times(p.name, number++);
  return sum;
}

inline Tensor random_values(const Shape& shape, std::uint32_t site, bool normal, Device device = kCpu) {
  const Tensor out = Tensor::empty(shape, DType::f32, device);
  const DrawKey key{.seed = kSeed, .site = site};
  if (normal)
    fill_normal(out, key);
  else
    fill_uniform(out, key);
  return out;
}

// A network in training. The callers' lambdas keep it alive; it is built in place, as TrainStep refers to it.
template <class Model>
struct Training {
  template <class Loss>
  Training(Model built, const TrainConfig& config, Device device, Loss&& loss)
      : model(std::move(built)),
        store(model, {.device = device, .ema = config.ema > 0}),
        step(store, kSeed, {.lr = config.lr}, {.ema_decay = config.ema},
             [this, loss](const StepState* state) { return loss(model, state); }) {
    store.initialize(kSeed);
  }

  double run(i64 steps) {
    for (i64 i = 0; i < steps; ++i) step();
    const StepState state = step.state();
    return state.loss[state.step % kLossRing];
  }

  Model model;
  nn::ParameterStore store;
  nn::TrainStep step;
};

template <class Model>
Case training_case(std::shared_ptr<Training<Model>> training, double flops) {
  const double words = kTrainWords + (training->store.options().ema ? kEmaWords : 0);
  return {.flops = flops,
          .bytes = words * kWordBytes * static_cast<double>(training->store.count()),
          .parameters = training->store.count(),
          .run = [training](i64 steps) { return training->run(steps); },
          .nodes = [training] { return training->step.nodes(); }};
}

}  // namespace mld::bench
