// Convolution on the CPU, channels-last, float: raw pointers, no tensors, no autodiff.
//
// Buffers, all dense and row-major, with ConvDims s and OH, OW its output size:
//   x, dx [N,H,W,I]    w, dw [O,kh,kw,I]    y, dy [N,OH,OW,O]    bias [O] (or [I] for backward_data)
//   y[n,p,q,o] = sum over r,t,i of x[n, p*sh + r - ph, q*sw + t - pw, i] * w[o,r,t,i]   (x is 0 outside)
//
// backward_data is also the forward pass of a transposed convolution whose input is dy and whose output is
// dx: H and W are given, so an output padding is just a larger H and W. Its weights are then [in,kh,kw,out].
//
// Bits: forward and backward_data give each sample the same result whatever the thread count and the batch it
// stands in; backward_weights does not depend on the thread count.
#pragma once

#include <cstdint>

#include "engine/kernels/activation.h"
#include "engine/kernels/conv_dims.h"

namespace mld::cpu {

// Throws ErrorKind::internal unless sizes are positive and every output size is at least 1.
void check_conv(const ConvDims& s);

// y = act(conv(x, w) + bias); bias [O] may be null.
void conv_forward(const ConvDims& s, const float* x, const float* w, const float* bias, Activation activation,
                  float* y);

// dx = act(conv_transposed(dy, w) + bias), or dx += ... if accumulate (bias and activation are for the
// forward pass of a transposed convolution); bias [I] may be null.
void conv_backward_data(const ConvDims& s, const float* dy, const float* w, const float* bias,
                        Activation activation, bool accumulate, float* dx);

// dw = gradient of the weights, or dw += ... if accumulate.
void conv_backward_weights(const ConvDims& s, const float* x, const float* dy, bool accumulate, float* dw);

}  // namespace mld::cpu
