#include <array>
#include <atomic>
#include <cstring>

#include "cuda_emulation.h"
#include "cudnn.h"
#include "engine/kernels/conv_naive.h"

struct EmulatedDnn {
  cudaStream_t stream = nullptr;
};
struct EmulatedDnnTensor {
  int n = 0, c = 0, h = 0, w = 0;
};
struct EmulatedDnnConvolution {
  int ph = 0, pw = 0, sh = 1, sw = 1;
  cudnnMathType_t math = CUDNN_DEFAULT_MATH;
};

namespace {

using mld::ConvDims;

std::atomic<cudnnStatus_t> refuses{CUDNN_STATUS_SUCCESS};

// What the heuristics name, best first: one that is not reproducible, one that rounds to half, one whose math
// type only the tensor cores have, and one for any. Each asks for more memory than the ranking says.
struct Variant {
  int algorithm;
  cudnnDeterminism_t determinism;
  cudnnMathType_t math;
  std::size_t memory;
};
std::array<Variant, 4> variants(cudnnMathType_t asked) {
  return {{{7, CUDNN_NON_DETERMINISTIC, asked, 0},
           {5, CUDNN_DETERMINISTIC, CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION, 64},
           {3, CUDNN_DETERMINISTIC, CUDNN_TENSOR_OP_MATH, 4096},
           {1, CUDNN_DETERMINISTIC, asked, 128}}};
}

cudnnStatus_t workspace_of(const EmulatedDnnConvolution& conv, int algorithm, std::size_t* bytes) {
  for (const Variant& v : variants(conv.math)) {
    if (v.algorithm != algorithm) continue;
    *bytes = 2 * v.memory;
    return v.math == conv.math ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
  }
  return CUDNN_STATUS_BAD_PARAM;
}

template <class Perf>
cudnnStatus_t rank(const EmulatedDnnConvolution& conv, int most, int* count, Perf* ranked) {
  *count = 0;
  for (const Variant& v : variants(conv.math))
    if (*count < most)
      ranked[(*count)++] = {.algo = static_cast<decltype(ranked->algo)>(v.algorithm),
                            .status = CUDNN_STATUS_SUCCESS,
                            .time = -1,
                            .memory = v.memory,
                            .determinism = v.determinism,
                            .mathType = v.math};
  return CUDNN_STATUS_SUCCESS;
}

ConvDims dims(const EmulatedDnnTensor& x, const EmulatedDnnTensor& w, const EmulatedDnnConvolution& conv) {
  return {x.n, x.h, x.w, x.c, w.n, w.h, w.w, conv.sh, conv.sw, conv.ph, conv.pw};
}

template <class F>
cudnnStatus_t work(cudnnHandle_t handle, const EmulatedDnnConvolution& conv, int algorithm,
                   const void* memory, std::size_t bytes, const void* beta, const F& f) {
  std::size_t needed = 0;
  const cudnnStatus_t status = workspace_of(conv, algorithm, &needed);
  if (status != CUDNN_STATUS_SUCCESS) return status;
  if (bytes < needed || (needed > 0 && memory == nullptr)) return CUDNN_STATUS_BAD_PARAM;
  if (*static_cast<const float*>(beta) != 0) return CUDNN_STATUS_NOT_SUPPORTED;
  if (refuses != CUDNN_STATUS_SUCCESS) return refuses;
  mld::cuda::emulation::enqueue(handle->stream, {.word = "convolution"}, f);
  return CUDNN_STATUS_SUCCESS;
}

template <class T>
cudnnStatus_t create(T** descriptor) {
  *descriptor = new T;
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace

namespace mld::cuda::emulation {

void set_dnn_refuses(int status) { refuses = static_cast<cudnnStatus_t>(status); }

}  // namespace mld::cuda::emulation

std::size_t cudnnGetVersion() { return 91200; }

const char* cudnnGetErrorString(cudnnStatus_t status) {
  switch (status) {
    case CUDNN_STATUS_SUCCESS:
      return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_BAD_PARAM:
      return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_NOT_SUPPORTED:
      return "CUDNN_STATUS_NOT_SUPPORTED";
    case CUDNN_STATUS_INTERNAL_ERROR:
      return "CUDNN_STATUS_INTERNAL_ERROR";
    case CUDNN_STATUS_EXECUTION_FAILED:
      return "CUDNN_STATUS_EXECUTION_FAILED";
  }
  return "unknown";
}

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) { return create(handle); }
cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t* d) { return create(d); }
cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t* d) { return create(d); }
cudnnStatus_t cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t* d) { return create(d); }

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t d, cudnnTensorFormat_t, cudnnDataType_t,
                                         int n, int c, int h, int w) {
  *d = {n, c, h, w};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t d, cudnnDataType_t, cudnnTensorFormat_t,
                                         int k, int c, int h, int w) {
  *d = {k, c, h, w};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t d, int ph, int pw, int sh, int sw,
                                              int dh, int dw, cudnnConvolutionMode_t, cudnnDataType_t) {
  if (dh != 1 || dw != 1) return CUDNN_STATUS_NOT_SUPPORTED;
  *d = {ph, pw, sh, sw, d->math};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t d, cudnnMathType_t math) {
  d->math = math;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(cudnnHandle_t, cudnnTensorDescriptor_t,
                                                     cudnnFilterDescriptor_t,
                                                     cudnnConvolutionDescriptor_t conv,
                                                     cudnnTensorDescriptor_t, int most, int* count,
                                                     cudnnConvolutionFwdAlgoPerf_t* ranked) {
  return rank(*conv, most, count, ranked);
}

cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(cudnnHandle_t, cudnnFilterDescriptor_t,
                                                          cudnnTensorDescriptor_t,
                                                          cudnnConvolutionDescriptor_t conv,
                                                          cudnnTensorDescriptor_t, int most, int* count,
                                                          cudnnConvolutionBwdDataAlgoPerf_t* ranked) {
  return rank(*conv, most, count, ranked);
}

cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(cudnnHandle_t, cudnnTensorDescriptor_t,
                                                            cudnnTensorDescriptor_t,
                                                            cudnnConvolutionDescriptor_t conv,
                                                            cudnnFilterDescriptor_t, int most, int* count,
                                                            cudnnConvolutionBwdFilterAlgoPerf_t* ranked) {
  return rank(*conv, most, count, ranked);
}

cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(
    cudnnHandle_t, cudnnTensorDescriptor_t, cudnnFilterDescriptor_t, cudnnConvolutionDescriptor_t conv,
    cudnnTensorDescriptor_t, cudnnConvolutionFwdAlgo_t algorithm, std::size_t* bytes) {
  return workspace_of(*conv, algorithm, bytes);
}

cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(
    cudnnHandle_t, cudnnFilterDescriptor_t, cudnnTensorDescriptor_t, cudnnConvolutionDescriptor_t conv,
    cudnnTensorDescriptor_t, cudnnConvolutionBwdDataAlgo_t algorithm, std::size_t* bytes) {
  return workspace_of(*conv, algorithm, bytes);
}

cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(
    cudnnHandle_t, cudnnTensorDescriptor_t, cudnnTensorDescriptor_t, cudnnConvolutionDescriptor_t conv,
    cudnnFilterDescriptor_t, cudnnConvolutionBwdFilterAlgo_t algorithm, std::size_t* bytes) {
  return workspace_of(*conv, algorithm, bytes);
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void*, cudnnTensorDescriptor_t xd,
                                      const void* x, cudnnFilterDescriptor_t wd, const void* w,
                                      cudnnConvolutionDescriptor_t conv, cudnnConvolutionFwdAlgo_t algorithm,
                                      void* memory, std::size_t bytes, const void* beta,
                                      cudnnTensorDescriptor_t, void* y) {
  const ConvDims s = dims(*xd, *wd, *conv);
  return work(handle, *conv, algorithm, memory, bytes, beta, [=] {
    mld::naive::conv_forward<float>(s, static_cast<const float*>(x), static_cast<const float*>(w), nullptr,
                                    {}, static_cast<float*>(y));
  });
}

cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t handle, const void*, cudnnFilterDescriptor_t wd,
                                           const void* w, cudnnTensorDescriptor_t, const void* dy,
                                           cudnnConvolutionDescriptor_t conv,
                                           cudnnConvolutionBwdDataAlgo_t algorithm, void* memory,
                                           std::size_t bytes, const void* beta, cudnnTensorDescriptor_t xd,
                                           void* dx) {
  const ConvDims s = dims(*xd, *wd, *conv);
  return work(handle, *conv, algorithm, memory, bytes, beta, [=] {
    mld::naive::conv_backward_data<float>(s, static_cast<const float*>(dy), static_cast<const float*>(w),
                                          nullptr, {}, false, static_cast<float*>(dx));
  });
}

cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t handle, const void*, cudnnTensorDescriptor_t xd,
                                             const void* x, cudnnTensorDescriptor_t, const void* dy,
                                             cudnnConvolutionDescriptor_t conv,
                                             cudnnConvolutionBwdFilterAlgo_t algorithm, void* memory,
                                             std::size_t bytes, const void* beta, cudnnFilterDescriptor_t wd,
                                             void* dw) {
  const ConvDims s = dims(*xd, *wd, *conv);
  return work(handle, *conv, algorithm, memory, bytes, beta, [=] {
    mld::naive::conv_backward_weights<float>(s, static_cast<const float*>(x), static_cast<const float*>(dy),
                                             false, static_cast<float*>(dw));
  });
}
