// The im2col caller of engine/kernels/cuda/conv.h.
#pragma once

#include "engine/base/device.h"
#include "engine/kernels/conv_dims.h"

namespace mld::cuda::by_gemm {

// 1x1 kernels and those of the image's extent: patches are the image itself.
bool without_patches(const ConvDims& s);

template <class T>
void conv_forward(Device device, const ConvDims& s, const T* x, const T* w, const T* bias, T* y);
template <class T>
void conv_backward_data(Device device, const ConvDims& s, const T* dy, const T* w, const T* bias, bool add,
                        T* dx);
template <class T>
void conv_backward_weights(Device device, const ConvDims& s, const T* x, const T* dy, bool add, T* dw);

}  // namespace mld::cuda::by_gemm
