// Starting a kernel on the stream of a device: the one place that differs between nvcc and the emulation.
#pragma once

#include <cstdint>

#include "engine/cuda/stream.h"

#if MLD_CUDA_EMULATED
#include "cuda_emulation.h"
#elif !defined(__CUDACC__)
#error "a source with driver calls is compiled as CUDA: list it in mld_device_sources()"
#endif

namespace mld::cuda {

constexpr int kThreads = 256;  // of every block

template <class... P, class... A>
void launch(Device device, void (*kernel)(P...), std::int64_t blocks, A... arguments) {
  if (blocks <= 0) return;
  const auto grid = static_cast<unsigned>(blocks);
#if MLD_CUDA_EMULATED
  emulation::launch(stream(device), grid, kThreads, [=] { kernel(arguments...); });
#else
  kernel<<<grid, kThreads, 0, stream(device)>>>(arguments...);
#endif
  check(cudaGetLastError(), "kernel launch");
}

}  // namespace mld::cuda
