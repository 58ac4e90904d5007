// Which of the two callers a convolution takes.
#include "engine/kernels/cuda/conv.h"

#include <array>
#include <cstdlib>
#include <mutex>
#include <set>
#include <string>
#include <tuple>

#include "engine/base/notes.h"
#include "engine/base/precision.h"
#include "engine/kernels/cuda/channel_bias.h"
#include "engine/kernels/cuda/conv_cudnn.h"
#include "engine/kernels/cuda/conv_gemm.h"
#include "engine/loops/add_into.h"
#include "engine/loops/cuda_drivers.h"

namespace mld::cuda {

namespace {

using Key = std::tuple<int, int, Precision, std::array<std::int64_t, 11>>;

// What cuDNN promised and did not do.
struct Refusals {
  std::mutex mutex;
  std::set<Key> keys;
};
Refusals& refusals() {
  static auto* all = new Refusals;
  return *all;
}

std::string wanted_way() {
  const char* text = std::getenv("MLD_CONV");
  const std::string way = text ? text : "auto";
  MLD_CHECK_AS(ErrorKind::usage, way == "auto" || way == "cudnn" || way == "gemm", "MLD_CONV: '", way,
               "' is none of auto, cudnn, gemm");
  return way;
}

std::int64_t outputs(ConvKind kind, const ConvDims& s) {
  switch (kind) {
    case ConvKind::forward:
      return s.n * s.out_h() * s.out_w() * s.out;
    case ConvKind::data:
      return s.n * s.h * s.w * s.in;
    case ConvKind::weights:
      return s.out * s.kh * s.kw * s.in;
  }
  return 0;
}

Key key_of(Device device, ConvKind kind, const ConvDims& s) {
  return {device.index,
          static_cast<int>(kind),
          precision(),
          {s.n, s.h, s.w, s.in, s.out, s.kh, s.kw, s.sh, s.sw, s.ph, s.pw}};
}

void refused(Device device, ConvKind kind, const ConvDims& s, const std::string& reason) {
  constexpr const char* kNames[] = {"forward", "backward (data)", "backward (weights)"};
  note_once(cat("cuDNN ", by_cudnn::version(), " does not do a convolution that it offers (",
                kNames[static_cast<int>(kind)], ", ", s.n, "x", s.h, "x", s.w, "x", s.in, " to ", s.out,
                " channels, kernel ", s.kh, "x", s.kw, "): ", reason,
                "; products of matrices do it instead"));
  Refusals& all = refusals();
  const std::lock_guard lock(all.mutex);
  all.keys.insert(key_of(device, kind, s));
}

bool ask_cudnn(Device device, ConvKind kind, const ConvDims& s) {
  static const std::string wanted = wanted_way();
  if (wanted == "gemm" || (wanted == "auto" && by_gemm::without_patches(s)) ||
      !by_cudnn::supported(device, kind, s))
    return false;
  Refusals& all = refusals();
  const std::lock_guard lock(all.mutex);
  return !all.keys.contains(key_of(device, kind, s));
}

// True if cuDNN did it.
bool cudnn_did(Device device, ConvKind kind, const ConvDims& s, const float* first, const float* second,
               const float* bias, std::int64_t channels, bool add, float* out) {
  if (!ask_cudnn(device, kind, s)) return false;
  const std::int64_t n = outputs(kind, s);
  const Workspace scratch(device, add ? static_cast<std::size_t>(n) * sizeof(float) : 0);
  float* const to = add ? scratch.as<float>() : out;
  if (const std::string reason = by_cudnn::run(device, kind, s, first, second, to); !reason.empty()) {
    refused(device, kind, s, reason);
    return false;
  }
  if (add) cuda::for_each(device, n, AddInto<float>{out, to});
  if (bias) cuda::for_each(device, n, AddChannelBias<float>{channels, bias, out});
  return true;
}

}  // namespace

template <class T>
void conv_forward(Device device, const ConvDims& s, const T* x, const T* w, const T* bias, T* y) {
  if constexpr (std::is_same_v<T, float>)
    if (cudnn_did(device, ConvKind::forward, s, x, w, bias, s.out, false, y)) return;
  by_gemm::conv_forward<T>(device, s, x, w, bias, y);
}

template <class T>
void conv_backward_data(Device device, const ConvDims& s, const T* dy, const T* w, const T* bias, bool add,
                        T* dx) {
  if constexpr (std::is_same_v<T, float>)
    if (cudnn_did(device, ConvKind::data, s, dy, w, bias, s.in, add, dx)) return;
  by_gemm::conv_backward_data<T>(device, s, dy, w, bias, add, dx);
}

template <class T>
void conv_backward_weights(Device device, const ConvDims& s, const T* x, const T* dy, bool add, T* dw) {
  if constexpr (std::is_same_v<T, float>)
    if (cudnn_did(device, ConvKind::weights, s, x, dy, nullptr, 0, add, dw)) return;
  by_gemm::conv_backward_weights<T>(device, s, x, dy, add, dw);
}

#define MLD_INSTANTIATE(T)                                                                              \
  template void conv_forward<T>(Device, const ConvDims&, const T*, const T*, const T*, T*);             \
  template void conv_backward_data<T>(Device, const ConvDims&, const T*, const T*, const T*, bool, T*); \
  template void conv_backward_weights<T>(Device, const ConvDims&, const T*, const T*, bool, T*);
MLD_INSTANTIATE(float)
MLD_INSTANTIATE(double)
#undef MLD_INSTANTIATE

}  // namespace mld::cuda
