// Compares a layer with golden/metrics_golden.safetensors, which golden/make_metrics.py made with the public
// implementations in double precision: mean, root mean square and largest magnitude, then values at equal
// distances of index.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/core/tensor.h"
#include "engine/io/safetensors.h"
#include "tests/devices.h"

namespace mld::test {

// The cpu, and a GPU where there is one; an emulated one would take hours.
inline std::vector<Device> metric_devices() {
  std::vector<Device> all{kCpu};
#ifndef MLD_CUDA_EMULATED
  if (has_cuda()) all.push_back(kCuda);
#endif
  return all;
}

class MetricsGolden {
 public:
  // Largest difference from the entry `name`, in units of its root mean square.
  double error(const std::string& name, std::span<const float> got) {
    const TensorInfo* info = file_.find(name);
    REQUIRE_MESSAGE(info != nullptr, name);
    std::vector<float> want(static_cast<std::size_t>(info->shape.numel()));
    file_.read(name, std::as_writable_bytes(std::span(want)));
    ++compared_;
    double sum = 0, squares = 0, largest = 0;
    for (const float v : got) {
      const auto value = static_cast<double>(v);
      sum += value;
      squares += value * value;
      largest = std::isnan(value) ? value : std::max(largest, std::abs(value));
    }
    const auto count = static_cast<double>(got.size());
    const auto expected = [&](std::size_t i) { return static_cast<double>(want[i]); };
    const double scale = expected(1);
    double worst = std::max({std::abs(sum / count - expected(0)),
                             std::abs(std::sqrt(squares / count) - scale), std::abs(largest - expected(2))});
    const std::size_t samples = want.size() - 3;
    for (std::size_t i = 0; i < samples; ++i) {
      const double difference =
          std::abs(static_cast<double>(got[i * got.size() / samples]) - expected(3 + i));
      if (!(difference <= worst)) worst = difference;
    }
    return worst / scale;
  }
  double error(const std::string& name, const Tensor& got) {
    const Tensor host = got.to(kCpu);
    return error(name, host.span<float>());
  }

  // Entries that begin so; every one of them must have been compared.
  std::int64_t entries(const std::string& prefix) const {
    return std::ranges::count_if(file_.tensors(),
                                 [&](const TensorInfo& info) { return info.name.starts_with(prefix); });
  }
  std::int64_t compared() const { return compared_; }

 private:
  SafetensorsFile file_{MLD_MLD_GOLDEN_DIR "/metrics_golden.safetensors"};
  std::int64_t compared_ = 0;
};

}  // namespace mld::test
