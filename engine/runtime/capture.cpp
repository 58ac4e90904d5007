#include "engine/runtime/capture.h"

#include <utility>

#include "engine/core/error.h"

namespace mld {

CapturedStep::CapturedStep(Device device, std::function<void()> step)
    : device_(device), step_(std::move(step)), pool_(std::make_shared<Pool>(device)) {}

CapturedStep::~CapturedStep() {
  if (device_.kind != DeviceKind::cpu) synchronize(device_);  // queued work still uses the pool's blocks
}

void CapturedStep::operator()() {
  if (device_.kind == DeviceKind::cpu) return step_();
  if (!captured_) return warm_ ? record() : run_eagerly();
  sim::replay(recorded_);
}

void CapturedStep::run_eagerly() {
  const PoolScope scope(pool_);
  const auto misses = pool_->stats().misses;
  step_();
  warm_ = pool_->stats().misses == misses;
}

void CapturedStep::record() {
  const PoolScope scope(pool_);
  const auto misses = pool_->stats().misses;
  sim::begin_capture();
  try {
    step_();
  } catch (...) {
    sim::end_capture();
    throw;
  }
  recorded_ = sim::end_capture();
  MLD_CHECK(pool_->stats().misses == misses, "capture: the step asked for new memory while being recorded");
  captured_ = true;
  sim::replay(recorded_);
}

}  // namespace mld
