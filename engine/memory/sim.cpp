#include "engine/memory/sim.h"

#include <cstring>
#include <utility>

#include "engine/base/device.h"
#include "engine/base/error.h"
#include "engine/cuda/runtime.h"

namespace mld {
namespace sim {
namespace {

struct State {
  Queue queue;
  Queue recorded;
  bool capturing = false;
};

State& state() {
  static thread_local State s;
  return s;
}

}  // namespace

void enqueue(std::function<void()> work) {
  State& s = state();
  (s.capturing ? s.recorded : s.queue).push_back(std::move(work));
}

void run_queue() {
  State& s = state();
  MLD_CHECK(!s.capturing, "sim: synchronisation inside a captured step; move host reads out of the step");
  for (const auto& work : s.queue) work();
  s.queue.clear();
}

bool queue_empty() { return state().queue.empty() && !state().capturing; }

void begin_capture() {
  State& s = state();
  MLD_CHECK(!s.capturing, "sim: captures do not nest");
  s.capturing = true;
  s.recorded.clear();
}

Queue end_capture() {
  State& s = state();
  MLD_CHECK(s.capturing, "sim: no capture to end");
  s.capturing = false;
  return std::exchange(s.recorded, {});
}

bool capturing() { return state().capturing; }

void replay(const Queue& recorded) {
  for (const auto& work : recorded) enqueue(work);
}

void poison(void* block, std::size_t bytes) {
  enqueue([=] { std::memset(block, 0xff, bytes); });  // all ones is a NaN in f32 and f64
}

}  // namespace sim

void synchronize(Device device) {
  if (device.kind == DeviceKind::sim) sim::run_queue();
  if constexpr (kCudaBuilt)
    if (device.kind == DeviceKind::cuda) cuda::synchronize(device);
}

bool pending(Device device) {
  return device.kind == DeviceKind::cuda || (device.kind == DeviceKind::sim && !sim::queue_empty());
}

}  // namespace mld
