#include "engine/kernels/cuda/conv_cudnn.h"

#include <cudnn.h>

#include <array>
#include <map>
#include <mutex>
#include <span>
#include <tuple>

#include "engine/base/error.h"
#include "engine/base/precision.h"
#include "engine/cuda/stream.h"
#include "engine/memory/pool.h"

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
  // For the ranking. The default allows TF32; bf16 is not offered for f32 tensors, and TF32 is finer.
  const bool exact = precision() == Precision::fp32;
  MLD_DNN_CALL(cudnnSetConvolutionMathType(p.conv, exact ? CUDNN_FMA_MATH : CUDNN_DEFAULT_MATH));
  return p;
}

// Of the ranked variants of the algorithms the first that is deterministic, modest, and in the arithmetic
// asked for. A variant is an algorithm with a math type, and only that pair does what the library promises
// for it.
template <class Algorithm, class Perf>
void take_first(cudnnHandle_t h, Plan& plan, const Perf* ranked, int count,
                cudnnStatus_t (*workspace)(cudnnHandle_t, const Plan&, Algorithm, std::size_t*)) {
  const bool exact = precision() == Precision::fp32;
  for (const Perf& variant : std::span(ranked, static_cast<std::size_t>(count))) {
    if (variant.status != CUDNN_STATUS_SUCCESS || variant.determinism != CUDNN_DETERMINISTIC) continue;
    if (variant.mathType == CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION) continue;  // to half
    if (exact && variant.mathType == CUDNN_TENSOR_OP_MATH) continue;
    // Under the default type f32 may be rounded to TF32.
    const cudnnMathType_t math = exact ? CUDNN_FMA_MATH : variant.mathType;
    if (cudnnSetConvolutionMathType(plan.conv, math) != CUDNN_STATUS_SUCCESS) continue;
    std::size_t bytes = 0;
    if (workspace(h, plan, variant.algo, &bytes) != CUDNN_STATUS_SUCCESS || bytes > kWorkspaceBytes) continue;
    plan.supported = true;
    plan.algorithm = static_cast<int>(variant.algo);
    plan.workspace = bytes;
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
        take_first<cudnnConvolutionFwdAlgo_t>(
            h, plan, ranked, count,
            [](cudnnHandle_t on, const Plan& p, cudnnConvolutionFwdAlgo_t algorithm, std::size_t* bytes) {
              return cudnnGetConvolutionForwardWorkspaceSize(on, p.x, p.w, p.conv, p.y, algorithm, bytes);
            });
      break;
    }
    case ConvKind::data: {
      cudnnConvolutionBwdDataAlgoPerf_t ranked[kMost];
      if (cudnnGetConvolutionBackwardDataAlgorithm_v7(h, plan.w, plan.y, plan.conv, plan.x, kMost, &count,
                                                      ranked) == CUDNN_STATUS_SUCCESS)
        take_first<cudnnConvolutionBwdDataAlgo_t>(
            h, plan, ranked, count,
            [](cudnnHandle_t on, const Plan& p, cudnnConvolutionBwdDataAlgo_t algorithm, std::size_t* bytes) {
              return cudnnGetConvolutionBackwardDataWorkspaceSize(on, p.w, p.y, p.conv, p.x, algorithm,
                                                                  bytes);
            });
      break;
    }
    case ConvKind::weights: {
      cudnnConvolutionBwdFilterAlgoPerf_t ranked[kMost];
      if (cudnnGetConvolutionBackwardFilterAlgorithm_v7(h, plan.x, plan.y, plan.conv, plan.w, kMost, &count,
                                                        ranked) == CUDNN_STATUS_SUCCESS)
        take_first<cudnnConvolutionBwdFilterAlgo_t>(
            h, plan, ranked, count,
            [](cudnnHandle_t on, const Plan& p, cudnnConvolutionBwdFilterAlgo_t algorithm,
               std::size_t* bytes) {
              return cudnnGetConvolutionBackwardFilterWorkspaceSize(on, p.x, p.y, p.conv, p.w, algorithm,
                                                                    bytes);
            });
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

std::string run(Device device, ConvKind kind, const ConvDims& s, const float* first, const float* second,
                float* out) {
  Library& l = library();
  const std::lock_guard lock(l.mutex);
  const Plan& p = plan_of(l, device, kind, s);
  const cudnnHandle_t h = handle(l, device);
  const std::shared_ptr<Pool> pool = active_pool(device);
  void* const memory = p.workspace > 0 ? pool->allocate(p.workspace) : nullptr;
  // The heuristics know nothing of a result that is added to: that is the caller's work.
  const float alpha = 1, beta = 0;
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
  if (status == CUDNN_STATUS_SUCCESS) return {};
  // From here on the library has begun to work on the device, and nobody knows what it left.
  if (status >= CUDNN_STATUS_INTERNAL_ERROR) check_dnn(status, "cudnn convolution");
  return cudnnGetErrorString(status);
}

}  // namespace mld::cuda::by_cudnn
