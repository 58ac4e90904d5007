// The cuDNN caller of engine/kernels/cuda/conv.h: f32, channels-last, deterministic algorithms only.
#pragma once

#include <string>

#include "engine/base/device.h"
#include "engine/kernels/conv_dims.h"

namespace mld::cuda {

// What is computed from the first two buffers of the call: y from x, w; dx from dy, w; dw from x, dy.
enum class ConvKind : int { forward, data, weights };

namespace by_cudnn {

const char* version();  // of the library that is loaded

// Whether there is an algorithm; the answer and the algorithm are kept.
bool supported(Device device, ConvKind kind, const ConvDims& s);
// out = the result; only if supported. Returns an empty text, or the library's reason if it refuses what it
// promised: `out` is then as it was. ErrorKind::device if it failed while computing.
std::string run(Device device, ConvKind kind, const ConvDims& s, const float* first, const float* second,
                float* out);

}  // namespace by_cudnn
}  // namespace mld::cuda
