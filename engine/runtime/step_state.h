// Per-step scalars of a train step. They live in device memory because a captured step freezes by-value
// arguments: kernels read seed, step, learning rate and the ok flag from here, and a one-element functor
// (BeginStep) advances it as the first work of a step.
//
// ok: set from the loss before backward, cleared by the optimiser if a gradient is not finite. Such a step
// updates nothing and is counted; the host looks at the ring between steps.
#pragma once

#include <cmath>
#include <cstdint>

#include "engine/base/hd.h"
#include "engine/core/tensor.h"

namespace mld {

enum class LrSchedule : std::int32_t { constant, cosine };

// Learning rate at update k = 0, 1, ...: linear warm-up to `lr` over `warmup` updates, then constant, or a
// half cosine down to `lr_final` at update `total`.
struct LrPlan {
  LrSchedule schedule = LrSchedule::constant;
  double lr = 1e-3;
  double lr_final = 0;
  std::int64_t warmup = 0;
  std::int64_t total = 1;

  MLD_HD double at(std::int64_t k) const {
    if (k < warmup) return lr * static_cast<double>(k + 1) / static_cast<double>(warmup);
    if (schedule == LrSchedule::constant) return lr;
    const double span = static_cast<double>(total > warmup ? total - warmup : 1);
    const double x = static_cast<double>(k - warmup) / span;
    constexpr double pi = 3.14159265358979323846;
    return lr_final + 0.5 * (lr - lr_final) * (1 + std::cos(pi * (x < 1 ? x : 1)));
  }
};

constexpr int kLossRing = 64;

struct StepState {
  std::uint64_t seed = 0;
  std::int64_t step = -1;      // index of the step in progress; random draws use it
  std::int64_t updates = 0;    // optimiser updates made before this step
  std::int64_t bad_steps = 0;  // non-finite steps in a row, up to now
  double lr = 0;
  // With Adam's bias corrections, k = updates + 1: lr / (1 - beta1^k) and 1 / sqrt(1 - beta2^k).
  double rate = 0, scale = 1;
  std::int32_t ok = 1;
  std::int32_t pad = 0;
  double loss[kLossRing] = {};  // of step s at [s % kLossRing]
};

// What tick() and commit() do, for kernels that have more to do: the beginning of a step, and the count of
// its update or failure.
struct BeginStep {
  StepState* state;
  LrPlan plan;
  double beta1, beta2;
  MLD_HD void operator()(std::int64_t) const {
    StepState& s = *state;
    s.step += 1;
    s.ok = 1;
    s.lr = plan.at(s.updates);
    const double k = static_cast<double>(s.updates + 1);
    s.rate = s.lr / (1 - std::pow(beta1, k));
    s.scale = 1 / std::sqrt(1 - std::pow(beta2, k));
  }
};
struct CommitStep {
  StepState* state;
  MLD_HD void operator()(std::int64_t) const {
    state->updates += state->ok ? 1 : 0;
    state->bad_steps = state->ok ? 0 : state->bad_steps + 1;
  }
};

// The device copy of a StepState and what advances it.
class StepCounter {
 public:
  StepCounter(std::uint64_t seed, LrPlan plan, double beta1, double beta2, Device device);
  StepState* ptr() { return reinterpret_cast<StepState*>(memory_.raw()); }
  const StepState* ptr() const { return reinterpret_cast<const StepState*>(memory_.raw()); }
  BeginStep beginning() { return {ptr(), plan_, beta1_, beta2_}; }
  void tick();  // first work of a step
  // Before backward: sets ok and records the loss [1] in the ring. Returns the gradient that backward starts
  // from, which is 1.
  Tensor judge(const Tensor& loss);
  CommitStep committing() { return {ptr()}; }
  void commit();                       // last work of a step
  StepState read() const;              // host copy, after synchronisation
  void write(const StepState& state);  // resume
 private:
  LrPlan plan_;
  double beta1_, beta2_;
  Tensor memory_;
};

}  // namespace mld
