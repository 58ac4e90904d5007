#include "engine/runtime/step_state.h"

#include "engine/loops/drivers.h"

namespace mld {
namespace {

template <class T>
struct Judge {
  StepState* s;
  const T* loss;
  T* upstream;
  MLD_HD void operator()(std::int64_t) const {
    const double value = static_cast<double>(*loss);
    s->loss[s->step % kLossRing] = value;
    s->ok = std::isfinite(value) ? 1 : 0;
    *upstream = T(1);
  }
};

}  // namespace

StepCounter::StepCounter(std::uint64_t seed, LrPlan plan, double beta1, double beta2, Device device)
    : plan_(plan), beta1_(beta1), beta2_(beta2) {
  memory_ = Tensor::empty({static_cast<std::int64_t>(sizeof(StepState))}, DType::u8, device);
  StepState state;
  state.seed = seed;
  write(state);
}

void StepCounter::tick() { for_each(memory_.device(), 1, beginning()); }

Tensor StepCounter::judge(const Tensor& loss) {
  MLD_CHECK(loss.numel() == 1, "judge: the loss must have one element, shape is ", loss.shape());
  const Tensor upstream = Tensor::empty(loss.shape(), loss.dtype(), loss.device());
  dispatch_float(loss.dtype(), "judge", [&]<class T>() {
    for_each(memory_.device(), 1, Judge<T>{ptr(), loss.ptr<T>(), upstream.ptr<T>()});
  });
  return upstream;
}

void StepCounter::commit() { for_each(memory_.device(), 1, committing()); }

StepState StepCounter::read() const {
  StepState state;
  memory_.download(&state);
  return state;
}

void StepCounter::write(const StepState& state) { memory_.upload(&state); }

}  // namespace mld
