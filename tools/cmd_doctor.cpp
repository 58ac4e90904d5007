#include <chrono>
#include <cmath>
#include <cstdio>

#include "engine/base/precision.h"
#include "engine/cuda/runtime.h"
#include "engine/kernels/cuda/conv_cudnn.h"
#include "engine/ops/reduction.h"
#include "engine/runtime/devices.h"
#include "engine/threads/threads.h"
#include "nn/sequential.h"
#include "nn/train_step.h"
#include "tools/commands.h"

namespace mld::tools {
namespace {

void line(const char* name, const std::string& value) { std::printf("%-22s %s\n", name, value.c_str()); }

std::string version_text(int number) { return cat(number / 1000, ".", number % 1000 / 10); }

// Parameters of a small network of convolutions, norms and products after a few steps on a device, and the
// losses on the way.
struct Trained {
  std::vector<double> losses;
  Tensor gradient;
};

Trained train_on(Device device, Precision arithmetic) {
  set_precision(arithmetic);
  constexpr std::int64_t kBatch = 32;
  nn::Sequential net{Shape{16, 16, 3},
                     nn::Conv2d(3, 32, 4, 2, 1, {.act = nn::kRelu}),
                     nn::Conv2d(32, 64, 3, 1, 1, {.act = {}, .bias = false}),
                     nn::BatchNorm(64, {.act = nn::kSilu}),
                     nn::Flatten{},
                     nn::Linear(4096, 128, {.act = nn::kGelu}),
                     nn::GroupNorm(8, 128, {.act = nn::kSilu}),
                     nn::Linear(128, 10)};
  nn::ParameterStore store(net, {.device = device, .ema = true});
  store.initialize(1);
  const auto ramp = [&](const Shape& shape, std::int64_t period) {
    std::vector<float> v(static_cast<std::size_t>(shape.numel()));
    for (std::size_t i = 0; i < v.size(); ++i)
      v[i] = static_cast<float>(static_cast<std::int64_t>(i * 7919) % period) / static_cast<float>(period) -
             0.5f;
    return Tensor::from(v, shape).to(device);
  };
  const Tensor x = ramp({kBatch, 16, 16, 3}, 1013), target = ramp({kBatch, 10}, 101);
  nn::TrainStep step(store, 1, {.lr = 1e-3}, {}, [&](const StepState* state) {
    return squared_error(net(x, {.training = true, .key = {.state = state, .site = 1}}), target,
                         1.0 / kBatch);
  });
  step();
  Trained result{{}, store.grad().clone().to(kCpu)};  // a copy: the next step overwrites it
  for (int i = 1; i < 8; ++i) step();
  const StepState state = step.state();
  result.losses.assign(state.loss, state.loss + 8);
  return result;
}

// Largest difference over the largest value.
double distance(const Tensor& a, const Tensor& b) {
  double worst = 0, scale = 0;
  for (std::int64_t i = 0; i < b.numel(); ++i) {
    const double want = static_cast<double>(b.data<float>()[i]);
    const double error = std::abs(static_cast<double>(a.data<float>()[i]) - want);
    worst = error <= worst ? worst : error;
    scale = std::max(scale, std::abs(want));
  }
  return worst / scale;
}

// Gradients and losses of the GPU against those of the cpu, in every precision.
bool compare(Device device) {
  struct Limit {
    Precision precision;
    double gradient;  // rounding of the operands, 2^-24, 2^-11 and 2^-8, times the depth of the network
  };
  const auto start = std::chrono::steady_clock::now();
  const Trained want = train_on(kCpu, Precision::fp32);
  bool all = true;
  for (const Limit& limit :
       {Limit{Precision::fp32, 1e-4}, Limit{Precision::tf32, 2e-2}, Limit{Precision::bf16, 1e-1}}) {
    const Trained got = train_on(device, limit.precision);
    const double gradient = distance(got.gradient, want.gradient);
    const double loss = std::abs(got.losses.back() / want.losses.back() - 1);
    const bool good = gradient <= limit.gradient && loss <= limit.gradient;
    all = all && good;
    line(cat("  ", precision_name(limit.precision)).c_str(),
         cat(good ? "agrees" : "DIFFERS", ": gradient within ", gradient, ", loss after 8 steps within ",
             loss));
  }
  line("  seconds", cat(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()));
  return all;
}

void run() {
  line("cpu threads", describe_threads());
  line("built with CUDA", kCudaBuilt ? (MLD_CUDA_EMULATED ? "emulated on the host" : "yes") : "no");
  bool agrees = true;
  if constexpr (kCudaBuilt) {
    line("CUDA toolkit", version_text(cuda::runtime_version()));
    line("architectures", MLD_CUDA_ARCHS);
#if MLD_CUDA
    line("cuDNN", cuda::by_cudnn::version());
#endif
    line("NVIDIA driver", cuda::driver_version() > 0
                              ? cat("supports CUDA ", version_text(cuda::driver_version()))
                              : std::string("none"));
    for (int i = 0; i < cuda::device_count(); ++i) {
      const cuda::DeviceInfo g = cuda::device_info(i);
      line(cat("cuda:", i).c_str(), cat(g.name, ", compute capability ", g.major, ".", g.minor, ", ",
                                        g.multiprocessors, " multiprocessors, ", g.free_bytes >> 20, " of ",
                                        g.total_bytes >> 20, " MiB free, L2 ", g.l2_bytes >> 20, " MiB"));
      line("  against the cpu", "");
      agrees = compare({DeviceKind::cuda, i}) && agrees;
    }
  }
  const std::string why = why_no_cuda();
  line("computes on", why.empty() ? "cuda:0" : "cpu; " + why);
  MLD_CHECK_AS(ErrorKind::device, agrees, "doctor: the GPU does not compute what the cpu computes");
}

}  // namespace

void add_doctor_command(CLI::App& app) {
  app.add_subcommand("doctor", "What there is to compute with, and whether a GPU agrees with the cpu")
      ->callback(run);
}

}  // namespace mld::tools
