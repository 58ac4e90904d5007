// Where a tensor lives and how work reaches it.
//
// Every kernel goes through submit(device, closure): the cpu device runs it at once; the sim device, host
// memory that behaves like a GPU, queues it until a synchronisation (engine/runtime/sim.h), so that whatever
// would break on a stream (a host read before the work ran, a freed block still in use, an allocation inside
// a capture) breaks in a test on any laptop. Closures capture raw pointers and scalars only, as a kernel
// launch would.
#pragma once

#include <cstdint>
#include <functional>
#include <ostream>
#include <utility>

namespace mld {

enum class DeviceKind : std::uint8_t { cpu, sim };

struct Device {
  DeviceKind kind = DeviceKind::cpu;
  int index = 0;
  bool operator==(const Device&) const = default;
};

constexpr Device kCpu{DeviceKind::cpu, 0};
constexpr Device kSim{DeviceKind::sim, 0};

inline std::ostream& operator<<(std::ostream& out, Device device) {
  return out << (device.kind == DeviceKind::cpu ? "cpu" : "sim") << ":" << device.index;
}

namespace sim {
void enqueue(std::function<void()> work);
}

template <class F>
void submit(Device device, F&& work) {
  if (device.kind == DeviceKind::cpu)
    work();
  else
    sim::enqueue(std::function<void()>(std::forward<F>(work)));
}

// Waits until all submitted work has run. Not allowed while a step is being captured.
void synchronize(Device device);
// True if work is queued that has not run: host memory of the device must not be read now.
bool pending(Device device);

}  // namespace mld
