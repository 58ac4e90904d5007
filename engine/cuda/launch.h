// Starting a kernel on the stream of a device: the one place that differs between nvcc and the emulation.
#pragma once

#include <cstdint>
#include <tuple>
#include <typeinfo>

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
  emulation::launch(stream(device), typeid(kernel), grid, kThreads, [=] { kernel(arguments...); });
#else
  std::tuple<P...> parameters(arguments...);
  std::apply(
      [&](P&... parameter) {
        void* addresses[] = {&parameter...};
        check(cudaLaunchKernel(reinterpret_cast<const void*>(kernel), dim3(grid), dim3(kThreads), addresses,
                               0, stream(device)),
              "kernel launch");
      },
      parameters);
#endif
}

}  // namespace mld::cuda
