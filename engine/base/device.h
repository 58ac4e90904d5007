// Where a tensor lives and how work reaches it.
//
// On the cpu and sim devices every kernel goes through submit(device, closure): the cpu runs it at once; the
// sim device, host memory that behaves like a GPU, queues it until a synchronisation (engine/memory/sim.h),
// so that whatever would break on a stream (a host read before the work ran, a freed block still in use, an
// allocation inside a capture) breaks in a test on any laptop. Closures capture raw pointers and scalars
// only, as a kernel launch does. On a cuda device the drivers launch their functors
// (engine/loops/cuda_drivers.h).
#pragma once

#include <cstdint>
#include <functional>
#include <ostream>
#include <utility>

#include "engine/base/error.h"
#include "engine/base/hd.h"

namespace mld {

enum class DeviceKind : std::uint8_t { cpu, sim, cuda };

struct Device {
  DeviceKind kind = DeviceKind::cpu;
  int index = 0;
  bool operator==(const Device&) const = default;
};

constexpr Device kCpu{DeviceKind::cpu, 0};
constexpr Device kSim{DeviceKind::sim, 0};
constexpr Device kCuda{DeviceKind::cuda, 0};

inline std::ostream& operator<<(std::ostream& out, Device device) {
  constexpr const char* kNames[] = {"cpu", "sim", "cuda"};
  return out << kNames[static_cast<int>(device.kind)] << ":" << device.index;
}

namespace sim {
void enqueue(std::function<void()> work);
}

template <class F>
void submit(Device device, F&& work) {
  if (device.kind == DeviceKind::cpu) return work();
  MLD_CHECK(device.kind == DeviceKind::sim, "submit: host code for a tensor on ", device);
  sim::enqueue(std::function<void()>(std::forward<F>(work)));
}

// Waits until all submitted work has run. Not allowed while a step is being captured.
void synchronize(Device device);
// True if the host must not read the device's memory now: work is queued that has not run. Always on cuda.
bool pending(Device device);

}  // namespace mld
