// Convolutions on a GPU, channels-last; buffers and meaning as in engine/kernels/conv_kernel.h. Two callers:
// cuDNN (f32, where it has a deterministic algorithm for the shape), and patches written out (im2col) in
// front of a cuBLAS product, which takes every shape and is the path of f64. 1x1 and full-extent kernels need
// no patches: they are plain products.
//
// cuDNN is asked wherever it has such an algorithm but for kernels without patches, never by the clock: two
// runs have the same bits. MLD_CONV=gemm in the environment asks it for nothing, MLD_CONV=cudnn for those
// kernels too.
#pragma once

#include "engine/base/device.h"
#include "engine/kernels/conv_dims.h"

namespace mld::cuda {

// y = conv(x, w) + bias; bias may be null.
template <class T>
void conv_forward(Device device, const ConvDims& s, const T* x, const T* w, const T* bias, T* y);
// dx (+)= conv_transposed(dy, w), + bias [I] (for the forward pass of a transposed
// convolution; not with add).
template <class T>
void conv_backward_data(Device device, const ConvDims& s, const T* dy, const T* w, const T* bias, bool add,
                        T* dx);
// dw (+)= gradient of the weights.
template <class T>
void conv_backward_weights(Device device, const ConvDims& s, const T* x, const T* dy, bool add, T* dw);

}  // namespace mld::cuda
