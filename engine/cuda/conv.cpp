// Which of the two callers a convolution takes.
#include "engine/cuda/conv.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <tuple>

#include "engine/cuda/conv_cudnn.h"
#include "engine/cuda/conv_gemm.h"
#include "engine/cuda/drivers.h"
#include "engine/cuda/runtime.h"
#include "engine/runtime/notes.h"
#include "engine/runtime/precision.h"

namespace mld::cuda {

namespace {

enum class Way { gemm, cudnn };

using Key = std::tuple<int, int, Precision, std::array<std::int64_t, 11>>;

struct Choices {
  std::mutex mutex;
  std::map<Key, Way> made;
};
Choices& choices() {
  static auto* all = new Choices;
  return *all;
}

std::string wanted_way() {
  const char* text = std::getenv("MLD_CONV");
  const std::string way = text ? text : "auto";
  MLD_CHECK_AS(ErrorKind::usage, way == "auto" || way == "cudnn" || way == "gemm", "MLD_CONV: '", way,
               "' is none of auto, cudnn, gemm");
  return way;
}

// Milliseconds of one call, the median of a few.
template <class F>
float time_of(Device device, const F& f) {
  cudaEvent_t start = nullptr, end = nullptr;
  MLD_CUDA_CALL(cudaEventCreate(&start));
  MLD_CUDA_CALL(cudaEventCreate(&end));
  f();
  std::array<float, 5> times{};
  for (float& t : times) {
    MLD_CUDA_CALL(cudaEventRecord(start, stream(device)));
    f();
    MLD_CUDA_CALL(cudaEventRecord(end, stream(device)));
    MLD_CUDA_CALL(cudaEventSynchronize(end));
    MLD_CUDA_CALL(cudaEventElapsedTime(&t, start, end));
  }
  (void)cudaEventDestroy(start);
  (void)cudaEventDestroy(end);
  std::nth_element(times.begin(), times.begin() + 2, times.end());
  return times[2];
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

// What cuDNN promised and did not do is never asked of it again.
void refused(Device device, ConvKind kind, const ConvDims& s, const std::string& reason) {
  constexpr const char* kNames[] = {"forward", "backward (data)", "backward (weights)"};
  note_once(cat("cuDNN ", by_cudnn::version(), " does not do a convolution that it offers (",
                kNames[static_cast<int>(kind)], ", ", s.n, "x", s.h, "x", s.w, "x", s.in, " to ", s.out,
                " channels, kernel ", s.kh, "x", s.kw, "): ", reason,
                "; products of matrices do it instead"));
  Choices& all = choices();
  const std::lock_guard lock(all.mutex);
  all.made[key_of(device, kind, s)] = Way::gemm;
}

// gemm(out) and cudnn(out) write their result to `out`; the latter returns why not, if it does not.
template <class Gemm, class Cudnn>
Way choose(Device device, ConvKind kind, const ConvDims& s, const Gemm& gemm, const Cudnn& cudnn) {
  static const std::string wanted = wanted_way();
  if (wanted == "gemm" || !by_cudnn::supported(device, kind, s)) return Way::gemm;
  const Key key = key_of(device, kind, s);
  {
    Choices& all = choices();
    const std::lock_guard lock(all.mutex);
    const auto it = all.made.find(key);
    if (it != all.made.end()) return it->second;
  }
  if (wanted == "cudnn" || capturing(device)) return Way::cudnn;
  const Workspace scratch(device, static_cast<std::size_t>(outputs(kind, s)) * sizeof(float));
  float* const out = scratch.as<float>();
  if (const std::string reason = cudnn(out); !reason.empty()) {
    refused(device, kind, s, reason);
    return Way::gemm;
  }
  const float by_gemm = time_of(device, [&] { gemm(out); });
  const Way way = by_gemm < time_of(
                                device, [&] { (void)cudnn(out); })
                      ? Way::gemm
                      : Way::cudnn;
  Choices& all = choices();
  const std::lock_guard lock(all.mutex);
  all.made.emplace(key, way);
  return way;
}

struct AddBias {
  std::int64_t channels;
  const float* bias;
  float* to;
  MLD_HD void operator()(std::int64_t i) const { to[i] += bias[i % channels]; }
};

struct AddTo {
  const float* from;
  float* to;
  MLD_HD void operator()(std::int64_t i) const { to[i] += from[i]; }
};

// True if cuDNN did it.
template <class Gemm>
bool cudnn_did(Device device, ConvKind kind, const ConvDims& s, const float* first, const float* second,
               const float* bias, std::int64_t channels, bool add, float* out, const Gemm& gemm) {
  const auto cudnn = [&](float* to) { return by_cudnn::run(device, kind, s, first, second, to); };
  if (choose(device, kind, s, gemm, cudnn) == Way::gemm) return false;
  const std::int64_t n = outputs(kind, s);
  const Workspace scratch(device, add ? static_cast<std::size_t>(n) * sizeof(float) : 0);
  float* const to = add ? scratch.as<float>() : out;
  if (const std::string reason = cudnn(to); !reason.empty()) {
    refused(device, kind, s, reason);
    return false;
  }
  if (add) cuda::for_each(device, n, AddTo{to, out});
  if (bias) cuda::for_each(device, n, AddBias{channels, bias, out});
  return true;
}

}  // namespace

template <class T>
void conv_forward(Device device, const ConvDims& s, const T* x, const T* w, const T* bias, T* y) {
  if constexpr (std::is_same_v<T, float>)
    if (cudnn_did(device, ConvKind::forward, s, x, w, bias, s.out, false, y,
                  [&](T* to) { by_gemm::conv_forward<T>(device, s, x, w, bias, to); }))
      return;
  by_gemm::conv_forward<T>(device, s, x, w, bias, y);
}

template <class T>
void conv_backward_data(Device device, const ConvDims& s, const T* dy, const T* w, const T* bias, bool add,
                        T* dx) {
  if constexpr (std::is_same_v<T, float>)
    if (cudnn_did(device, ConvKind::data, s, dy, w, bias, s.in, add, dx,
                  [&](T* to) { by_gemm::conv_backward_data<T>(device, s, dy, w, bias, false, to); }))
      return;
  by_gemm::conv_backward_data<T>(device, s, dy, w, bias, add, dx);
}

template <class T>
void conv_backward_weights(Device device, const ConvDims& s, const T* x, const T* dy, bool add, T* dw) {
  if constexpr (std::is_same_v<T, float>)
    if (cudnn_did(device, ConvKind::weights, s, x, dy, static_cast<const T*>(nullptr), 0, add, dw,
                  [&](T* to) { by_gemm::conv_backward_weights<T>(device, s, x, dy, false, to); }))
      return;
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
