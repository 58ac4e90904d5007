#include "engine/runtime/capture.h"

#include <cstdlib>
#include <utility>

#include "engine/base/error.h"

namespace mld {

CapturedStep::CapturedStep(Device device, std::function<void()> step)
    : device_(device),
      step_(std::move(step)),
      pool_(std::make_shared<Pool>(device)),
      eager_(std::getenv("MLD_NO_GRAPH") != nullptr) {}

CapturedStep::~CapturedStep() {
  if (device_.kind == DeviceKind::cpu) return;
  try {
    synchronize(device_);  // queued work still uses the pool's blocks
  } catch (const Error&) {
    // A lost device: there is nothing left to wait for.
  }
}

void CapturedStep::operator()() {
  if (device_.kind == DeviceKind::cpu) return step_();
  if (!captured_) return warm_ && !eager_ ? record() : run_eagerly();
  replay();
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
  begin_capture();
  try {
    step_();
  } catch (...) {
    abandon_capture();
    throw;
  }
  end_capture();
  MLD_CHECK(pool_->stats().misses == misses, "capture: the step asked for new memory while being recorded");
  captured_ = true;
  replay();
}

void CapturedStep::begin_capture() {
  if constexpr (kCudaBuilt)
    if (device_.kind == DeviceKind::cuda) return cuda::begin_capture(device_);
  sim::begin_capture();
}

void CapturedStep::end_capture() {
  if constexpr (kCudaBuilt)
    if (device_.kind == DeviceKind::cuda) {
      recording_ = cuda::end_capture(device_);
      return;
    }
  queue_ = sim::end_capture();
}

void CapturedStep::abandon_capture() noexcept {
  if constexpr (kCudaBuilt)
    if (device_.kind == DeviceKind::cuda) return cuda::abandon_capture(device_);
  sim::end_capture();
}

void CapturedStep::replay() {
  if constexpr (kCudaBuilt)
    if (device_.kind == DeviceKind::cuda) return cuda::replay(device_, recording_);
  sim::replay(queue_);
}

}  // namespace mld
