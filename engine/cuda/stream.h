// The compute stream of a device, and checked calls, for sources that include CUDA headers.
#pragma once

#include <cuda_runtime.h>

#include "engine/base/device.h"

namespace mld::cuda {

// Makes the device current on this thread and returns its stream, made at the first call. While a thread
// records a step on it, the stream is that thread's alone: ErrorKind::internal for any other.
cudaStream_t stream(Device device);
// A counter in device memory for kernels whose blocks count themselves; each leaves it at 0.
unsigned* arrivals(Device device);

[[noreturn]] void fail_call(const char* call, cudaError_t error);
inline void check(cudaError_t error, const char* call) {
  if (error != cudaSuccess) fail_call(call, error);
}

}  // namespace mld::cuda

#define MLD_CUDA_CALL(call) ::mld::cuda::check((call), #call)
