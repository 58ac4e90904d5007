// The devices that test bodies run on: cpu, sim, and cuda where the build has it and the machine a GPU (or
// the build emulates one). A run without cuda says so; with MLDTEST_REQUIRE_CUDA=1 in the environment it fails.
#pragma once

#include <vector>

#include "engine/base/device.h"
#include "engine/cuda/runtime.h"

namespace mld::test {

inline bool has_cuda() {
  if constexpr (kCudaBuilt) return cuda::device_count() > 0;
  return false;
}

inline std::vector<Device> test_devices() {
  std::vector<Device> all{kCpu, kSim};
  if (has_cuda()) all.push_back(kCuda);
  return all;
}

// Those on which a step is queued, recorded and replayed.
inline std::vector<Device> queued_devices() {
  std::vector<Device> all{kSim};
  if (has_cuda()) all.push_back(kCuda);
  return all;
}

}  // namespace mld::test
