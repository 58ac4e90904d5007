#include "engine/runtime/devices.h"

#include <charconv>

#include "engine/cuda/runtime.h"

namespace mld {

std::string why_no_cuda() {
  if constexpr (kCudaBuilt) return cuda::why_no_device();
  return "this program was built without CUDA; configure with -DMLD_CUDA=ON";
}

Device choose_device(const std::string& name) {
  if (name == "cpu") return kCpu;
  if (name == "sim") return kSim;
  if (name == "auto") return why_no_cuda().empty() && !MLD_CUDA_EMULATED ? kCuda : kCpu;
  int index = 0;
  bool valid = name == "cuda";
  if (name.starts_with("cuda:")) {
    const char *first = name.data() + 5, *last = name.data() + name.size();
    const auto [end, error] = std::from_chars(first, last, index);
    valid = error == std::errc() && end == last && index >= 0;
  }
  MLD_CHECK_AS(ErrorKind::usage, valid, "device: '", name, "' is none of auto, cpu, cuda, cuda:1, ...");
  const std::string why = why_no_cuda();
  MLD_CHECK_AS(ErrorKind::device, why.empty(), "device ", name, ": ", why);
  if constexpr (kCudaBuilt) {
    const int count = cuda::device_count();
    MLD_CHECK_AS(ErrorKind::device, index < count, "device ", name, ": this machine has ", count,
                 " GPU(s), numbered from 0");
  }
  return {DeviceKind::cuda, index};
}

}  // namespace mld
