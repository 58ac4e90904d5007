#include "tools/version.h"

#include "data/audio/wav.h"
#include "data/formats/image_io.h"
#include "data/formats/npz.h"
#include "engine/base/error.h"
#include "engine/cuda/runtime.h"
#include "engine/runtime/devices.h"
#include "engine/threads/threads.h"

namespace mld::tools {

Facts version_facts() {
  const auto feature = [](bool present) { return std::string(present ? "yes" : "no"); };
  return {{"mldctl", MLD_VERSION},
          {"compiler", cat(__VERSION__, ", target ", MLD_TARGET_ARCH)},
          {"threads", describe_threads()},
          {"png", feature(data::have_png())},
          {"jpeg", feature(data::have_jpeg())},
          {"webp", feature(data::have_webp())},
          {"tiff", feature(data::have_tiff())},
          {"sndfile", feature(data::have_sndfile())},
          {"zip", feature(data::have_zip())},
          {"cuda", feature(kCudaBuilt)}};
}

Facts environment_facts(Device device) {
  Facts facts = version_facts();
  std::string name = "cpu";
  if constexpr (kCudaBuilt)
    if (device.kind == DeviceKind::cuda)
      name = cat("cuda:", device.index, ", ", cuda::device_info(device.index).name);
  facts.emplace_back("device", name);
  return facts;
}

}  // namespace mld::tools
