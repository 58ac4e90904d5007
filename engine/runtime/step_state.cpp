#include "engine/runtime/step_state.h"

#include <cstring>

namespace mld {

StepCounter::StepCounter(std::uint64_t seed, LrPlan plan, double beta1, double beta2, Device device)
    : plan_(plan), beta1_(beta1), beta2_(beta2) {
  memory_ = Tensor::empty({static_cast<std::int64_t>(sizeof(StepState))}, DType::u8, device);
  StepState state;
  state.seed = seed;
  write(state);
}

void StepCounter::tick() {
  auto* s = reinterpret_cast<StepState*>(memory_.raw());
  for_each(memory_.device(), 1, [s, plan = plan_, b1 = beta1_, b2 = beta2_](std::int64_t) {
    s->step += 1;
    s->ok = 1;
    s->lr = plan.at(s->updates);
    const double k = static_cast<double>(s->updates + 1);
    s->bias1 = 1 - std::pow(b1, k);
    s->bias2 = 1 - std::pow(b2, k);
  });
}

void StepCounter::judge(const Tensor& loss) {
  auto* s = reinterpret_cast<StepState*>(memory_.raw());
  dispatch_float(loss.dtype(), "judge", [&]<class T>() {
    for_each(memory_.device(), 1, [s, l = loss.ptr<T>()](std::int64_t) {
      const double value = static_cast<double>(*l);
      s->loss[s->step % kLossRing] = value;
      s->ok = std::isfinite(value) ? 1 : 0;
    });
  });
}

void StepCounter::commit() {
  auto* s = reinterpret_cast<StepState*>(memory_.raw());
  for_each(memory_.device(), 1, [s](std::int64_t) {
    s->updates += s->ok ? 1 : 0;
    s->bad_steps = s->ok ? 0 : s->bad_steps + 1;
  });
}

StepState StepCounter::read() const {
  synchronize(memory_.device());
  StepState state;
  std::memcpy(static_cast<void*>(&state), memory_.raw(), sizeof state);
  return state;
}

void StepCounter::write(const StepState& state) {
  synchronize(memory_.device());
  std::memcpy(memory_.raw(), &state, sizeof state);
}

}  // namespace mld
