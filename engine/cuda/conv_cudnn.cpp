#include "engine/cuda/conv_cudnn.h"

#include <cudnn.h>

#include <array>
#include <map>
#include <mutex>
#include <tuple>

#include "engine/core/error.h"
#include "engine/cuda/stream.h"
#include "engine/memory/pool.h"
#include "engine/runtime/precision.h"

namespace mld::cuda::by_cudnn {
namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{512}
                                        << 20;  // algorithms that ask for more are passed over

void check_dnn(cudnnStatus_t status, const char* call) {
  MLD_CHECK_AS(ErrorKind::device, status == CUDNN_STATUS_SUCCESS, "cuda: ", call, ": ",
               cudnnGetErrorString(status));
}
#define MLD_DNN_CALL(call) check_dnn((call), #call)

struct Plan {
  cudnnTensorDescriptor_t x = nullptr, y = nullptr;
  cudnnFilterDescriptor_t w = nullptr;
  cudnnConvolutionDescriptor_t conv = nullptr;
  bool supported = false;
  int algorithm = 0;
  std::size_t workspace = 0;
};

using Key = std::tuple<int, int, Precision, std::array<std::int64_t, 11>>;

struct Library {
  std::mutex mutex;
  std::map<int, cudnnHandle_t> handles;
  std::map<Key, Plan> plans;
};
// Never destroyed: the driver may be gone before static objects are.
Library& library() {
  static auto* all = new Library;
  return *all;
}

cudnnHandle_t handle(Library& l, Device device) {
  cudnnHandle_t& h = l.handles[device.index];
  if (!h) {
    const cudaStream_t s = stream(device);
    MLD_DNN_CALL(cudnnCreate(&h));
    MLD_DNN_CALL(cudnnSetStream(h, s));
  }
  return h;
}

int narrow(std::int64_t x) { return static_cast<int>(x); }

Plan describe(const ConvDims& s) {
  Plan p;
  MLD_DNN_CALL(cudnnCreateTensorDescriptor(&p.x));
  MLD_DNN_CALL(cudnnCreateTensorDescriptor(&p.y));
  MLD_DNN_CALL(cudnnCreateFilterDescriptor(&p.w));
  MLD_DNN_CALL(cudnnCreateConvolutionDescriptor(&p.conv));
  MLD_DNN_CALL(cudnnSetTensor4dDescriptor(p.x, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, narrow(s.n), narrow(s.in),
                                          narrow(s.h), narrow(s.w)));
  MLD_DNN_CALL(cudnnSetTensor4dDescriptor(p.y, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, narrow(s.n),
                                          narrow(s.out), narrow(s.out_h()), narrow(s.out_w())));
  MLD_DNN_CALL(cudnnSetFilter4dDescriptor(p.w, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NHWC, narrow(s.out),
                                          narrow(s.in), narrow(s.kh), narrow(s.kw)));
  MLD_DNN_CALL(cudnnSetConvolution2dDescriptor(p.conv, narrow(s.ph), narrow(s.pw), narrow(s.sh), narrow(s.sw),
                                               1, 1, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT));
  // The default allows TF32; bf16 is not offered for f32 tensors, and TF32 is finer.
  const bool exact = precision() == Precision::fp32;
  MLD_DNN_CALL(cudnnSetConvolutionMathType(p.conv, exact ? CUDNN_FMA_MATH : CUDNN_DEFAULT_MATH));
  return p;
}

// The first of the ranked algorithms that is deterministic and modest.
template <class Perf>
void take_first(Plan& plan, const Perf* ranked, int count) {
  for (int i = 0; i < count; ++i) {
    if (ranked[i].status != CUDNN_STATUS_SUCCESS || ranked[i].determinism != CUDNN_DETERMINISTIC ||
        ranked[i].memory > kWorkspaceBytes)
      continue;
    plan.supported = true;
    plan.algorithm = static_cast<int>(ranked[i].algo);
    plan.workspace = ranked[i].memory;
    return;
  }
}

void choose(cudnnHandle_t h, ConvKind kind, Plan& plan) {
  constexpr int kMost = 10;
  int count = 0;
  switch (kind) {
    case ConvKind::forward: {
      cudnnConvolutionFwdAlgoPerf_t ranked[kMost];
      if (cudnnGetConvolutionForwardAlgorithm_v7(h, plan.x, plan.w, plan.conv, plan.y, kMost, &count,
                                                 ranked) == CUDNN_STATUS_SUCCESS)
        take_first(plan, ranked, count);
      break;
    }
    case ConvKind::data: {
      cudnnConvolutionBwdDataAlgoPerf_t ranked[kMost];
      if (cudnnGetConvolutionBackwardDataAlgorithm_v7(h, plan.w, plan.y, plan.conv, plan.x, kMost, &count,
                                                      ranked) == CUDNN_STATUS_SUCCESS)
        take_first(plan, ranked, count);
      break;
    }
    case ConvKind::weights: {
      cudnnConvolutionBwdFilterAlgoPerf_t ranked[kMost];
      if (cudnnGetConvolutionBackwardFilterAlgorithm_v7(h, plan.x, plan.y, plan.conv, plan.w, kMost, &count,
                                                        ranked) == CUDNN_STATUS_SUCCESS)
        take_first(plan, ranked, count);
      break;
    }
  }
}

const Plan& plan_of(Library& l, Device device, ConvKind kind, const ConvDims& s) {
  const Key key{device.index,
                static_cast<int>(kind),
                precision(),
                {s.n, s.h, s.w, s.in, s.out, s.kh, s.kw, s.sh, s.sw, s.ph, s.pw}};
  const auto it = l.plans.find(key);
  if (it != l.plans.end()) return it->second;
  Plan plan = describe(s);
  choose(handle(l, device), kind, plan);
  return l.plans.emplace(key, plan).first->second;
}

}  // namespace

const char* version() {
  static const std::string text = [] {
    const std::size_t v = cudnnGetVersion();
    return cat(v / 10000, ".", v / 100 % 100, ".", v % 100);
  }();
  return text.c_str();
}

bool supported(Device device, ConvKind kind, const ConvDims& s) {
  Library& l = library();
  const std::lock_guard lock(l.mutex);
  return plan_of(l, device, kind, s).supported;
}

void run(Device device, ConvKind kind, const ConvDims& s, const float* first, const float* second, bool add,
         float* out) {
  Library& l = library();
  const std::lock_guard lock(l.mutex);
  const Plan& p = plan_of(l, device, kind, s);
  const cudnnHandle_t h = handle(l, device);
  const std::shared_ptr<Pool> pool = active_pool(device);
  void* const memory = p.workspace > 0 ? pool->allocate(p.workspace) : nullptr;
  const float alpha = 1, beta = add ? 1 : 0;
  cudnnStatus_t status{};
  switch (kind) {
    case ConvKind::forward:
      status = cudnnConvolutionForward(h, &alpha, p.x, first, p.w, second, p.conv,
                                       static_cast<cudnnConvolutionFwdAlgo_t>(p.algorithm), memory,
                                       p.workspace, &beta, p.y, out);
      break;
    case ConvKind::data:
      status = cudnnConvolutionBackwardData(h, &alpha, p.w, second, p.y, first, p.conv,
                                            static_cast<cudnnConvolutionBwdDataAlgo_t>(p.algorithm), memory,
                                            p.workspace, &beta, p.x, out);
      break;
    case ConvKind::weights:
      status = cudnnConvolutionBackwardFilter(h, &alpha, p.x, first, p.y, second, p.conv,
                                              static_cast<cudnnConvolutionBwdFilterAlgo_t>(p.algorithm),
                                              memory, p.workspace, &beta, p.w, out);
      break;
  }
  if (memory) pool->release(memory, p.workspace);  // the next user comes after on the stream
  check_dnn(status, "cudnn convolution");
}

}  // namespace mld::cuda::by_cudnn
