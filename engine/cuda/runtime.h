// What the engine asks of the CUDA runtime, without its headers: memory, copies and recording on the one
// compute stream of each device. Only in builds with CUDA; calls stand behind `if constexpr (kCudaBuilt)`.
// A build with CUDA runs on a machine without a GPU or driver: device_count() is then 0.
//
// Errors are ErrorKind::device and name the call. After an error that the driver calls sticky (an illegal
// access, say) nothing more works in this process; the message says so.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "engine/base/device.h"

namespace mld::cuda {

int device_count() noexcept;
std::string why_no_device();  // one sentence for the user, if device_count() is 0

struct DeviceInfo {
  std::string name;
  int major = 0, minor = 0, multiprocessors = 0;
  std::size_t total_bytes = 0, free_bytes = 0, l2_bytes = 0;
};
DeviceInfo device_info(int index);
int driver_version() noexcept;   // 13000 for 13.0; 0 without a driver
int runtime_version() noexcept;  // of the toolkit this was built with

void* allocate(Device device, std::size_t bytes);  // null if memory has run out
void release(Device device, void* block) noexcept;

// In stream order, without waiting.
void copy(Device device, void* to, const void* from, std::size_t bytes);
void zero(Device device, void* to, std::size_t bytes);
// Host to device: the host memory may be reused on return. Device to host: waits for the stream.
void upload(Device device, void* to, const void* host, std::size_t bytes);
void download(Device device, void* host, const void* from, std::size_t bytes);
void synchronize(Device device);

// Between begin and end the stream's work is recorded instead of run; a recording can be replayed.
struct Recording {
  std::shared_ptr<void> graph;
  std::size_t nodes = 0;  // kernels, products, copies and fills
};
bool capturing(Device device);
void begin_capture(Device device);
Recording end_capture(Device device);
void abandon_capture(Device device) noexcept;
void replay(Device device, const Recording& recording);

}  // namespace mld::cuda
