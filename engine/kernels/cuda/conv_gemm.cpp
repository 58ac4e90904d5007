#include "engine/kernels/cuda/conv_gemm.h"

#include <algorithm>

#include "engine/kernels/cuda/channel_bias.h"
#include "engine/kernels/cuda/gemm.h"
#include "engine/loops/cuda_drivers.h"

namespace mld::cuda::by_gemm {

bool without_patches(const ConvDims& s) {
  const bool unpadded = s.ph == 0 && s.pw == 0;
  const bool point = s.kh == 1 && s.kw == 1 && s.sh == 1 && s.sw == 1;
  return unpadded && (point || (s.kh == s.h && s.kw == s.w));
}

namespace {

constexpr std::int64_t kPatchBytes = std::int64_t{256} << 20;  // of patches held at a time

// Sizes in 32 bits: a division of 64 costs more than the copy it serves.
struct Sizes {
  std::uint32_t h, w, in, kh, kw, sh, sw, ph, pw, oh, ow;
  explicit Sizes(const ConvDims& s)
      : h(u32(s.h)),
        w(u32(s.w)),
        in(u32(s.in)),
        kh(u32(s.kh)),
        kw(u32(s.kw)),
        sh(u32(s.sh)),
        sw(u32(s.sw)),
        ph(u32(s.ph)),
        pw(u32(s.pw)),
        oh(u32(s.out_h())),
        ow(u32(s.out_w())) {}
  static std::uint32_t u32(std::int64_t x) { return static_cast<std::uint32_t>(x); }
};

// patches[row, tap, c] = x at that tap of output position `row`, 0 outside; thread i copies kWidth channels.
template <class T, int kWidth>
struct WritePatches {
  Sizes s;
  const T* x;
  T* patches;
  MLD_HD void operator()(std::int64_t i) const {
    const std::uint32_t groups = s.in / kWidth;
    std::uint32_t rest = static_cast<std::uint32_t>(i);
    const std::uint32_t c = rest % groups * kWidth;
    rest /= groups;
    const std::uint32_t tap_w = rest % s.kw;
    rest /= s.kw;
    const std::uint32_t tap_h = rest % s.kh;
    rest /= s.kh;
    const std::uint32_t q = rest % s.ow;
    rest /= s.ow;
    const std::uint32_t p = rest % s.oh, n = rest / s.oh;
    // Wraps around where it would be negative, and is then larger than the image.
    const std::uint32_t row = p * s.sh + tap_h - s.ph, column = q * s.sw + tap_w - s.pw;
    const bool inside = row < s.h && column < s.w;
    const T* from = x + ((std::int64_t{n} * s.h + row) * s.w + column) * s.in + c;
    T* to = patches + i * kWidth;
    for (int k = 0; k < kWidth; ++k) to[k] = inside ? from[k] : T(0);
  }
};

// dx[pixel, c] (+)= sum over the taps that reach the pixel of patches[row, tap, c], + bias.
template <class T>
struct GatherPatches {
  Sizes s;
  const T* patches;
  const T* bias;  // or null
  bool add;
  T* dx;
  MLD_HD void operator()(std::int64_t i) const {
    std::uint32_t rest = static_cast<std::uint32_t>(i);
    const std::uint32_t c = rest % s.in;
    rest /= s.in;
    const std::uint32_t column = rest % s.w;
    rest /= s.w;
    const std::uint32_t row = rest % s.h, n = rest / s.h;
    T sum = add ? dx[i] : T(0);
    for (std::uint32_t r = 0; r < s.kh; ++r) {
      const std::uint32_t at = row + s.ph - r;  // = p sh, wrapped around if negative
      const std::uint32_t p = at / s.sh;
      if (p * s.sh != at || p >= s.oh) continue;
      for (std::uint32_t t = 0; t < s.kw; ++t) {
        const std::uint32_t across = column + s.pw - t, q = across / s.sw;
        if (q * s.sw != across || q >= s.ow) continue;
        const std::int64_t position = (std::int64_t{n} * s.oh + p) * s.ow + q;
        sum += patches[((position * s.kh + r) * s.kw + t) * s.in + c];
      }
    }
    dx[i] = bias ? sum + bias[c] : sum;
  }
};

std::int64_t positions(const ConvDims& s) { return s.out_h() * s.out_w(); }
std::int64_t patch(const ConvDims& s) { return s.kh * s.kw * s.in; }

// Calls f(first sample, samples) for parts whose patches fit into kPatchBytes and 31 bits.
template <class F>
void for_parts(const ConvDims& s, std::int64_t element, const F& f) {
  const std::int64_t per_sample = std::max(positions(s) * patch(s), s.h * s.w * s.in);
  const std::int64_t limit = std::min(kPatchBytes / element, (std::int64_t{1} << 31) - 1);
  MLD_CHECK(per_sample <= (std::int64_t{1} << 31) - 1, "conv: an image of ", s.h, "x", s.w, "x", s.in,
            " with a kernel of ", s.kh, "x", s.kw, " is too large");
  const std::int64_t part = without_patches(s) ? s.n : std::clamp<std::int64_t>(limit / per_sample, 1, s.n);
  for (std::int64_t first = 0; first < s.n; first += part) f(first, std::min(part, s.n - first));
}

// The patches of `count` samples from x on: x itself, or written to the workspace.
template <class T>
const T* patches_of(Device device, const ConvDims& s, const T* x, std::int64_t count, T* workspace) {
  if (without_patches(s)) return x;
  const std::int64_t total = count * positions(s) * patch(s);
  if (s.in % 4 == 0)
    cuda::for_each(device, total / 4, WritePatches<T, 4>{Sizes(s), x, workspace});
  else
    cuda::for_each(device, total, WritePatches<T, 1>{Sizes(s), x, workspace});
  return workspace;
}

template <class T>
Workspace patch_memory(Device device, const ConvDims& s, std::int64_t count) {
  const std::int64_t elements = without_patches(s) ? 0 : count * positions(s) * patch(s);
  return Workspace(device, static_cast<std::size_t>(elements) * sizeof(T));
}

}  // namespace

template <class T>
void conv_forward(Device device, const ConvDims& s, const T* x, const T* w, const T* bias, T* y) {
  for_parts(s, sizeof(T), [&](std::int64_t first, std::int64_t count) {
    const Workspace memory = patch_memory<T>(device, s, count);
    const T* p = patches_of(device, s, x + first * s.h * s.w * s.in, count, memory.as<T>());
    gemm<T>(device, {.m = count * positions(s),
                     .n = s.out,
                     .k = patch(s),
                     .a = {p, patch(s)},
                     .b = {w, patch(s), true},
                     .c = y + first * positions(s) * s.out,
                     .ldc = s.out,
                     .bias = bias});
  });
}

template <class T>
void conv_backward_data(Device device, const ConvDims& s, const T* dy, const T* w, const T* bias, bool add,
                        T* dx) {
  for_parts(s, sizeof(T), [&](std::int64_t first, std::int64_t count) {
    const Workspace memory = patch_memory<T>(device, s, count);
    T* image = dx + first * s.h * s.w * s.in;
    // Where patches are the image, a per-channel bias is one per column only if the kernel is a point.
    const bool straight = without_patches(s) && (!bias || patch(s) == s.in);
    T* to = without_patches(s) ? image : memory.as<T>();
    gemm<T>(device, {.m = count * positions(s),
                     .n = patch(s),
                     .k = s.out,
                     .a = {dy + first * positions(s) * s.out, s.out},
                     .b = {w, patch(s)},
                     .c = to,
                     .ldc = patch(s),
                     .add = without_patches(s) && add ? image : nullptr,
                     .bias = straight ? bias : nullptr});
    if (straight) return;
    const std::int64_t pixels = count * s.h * s.w * s.in;
    if (without_patches(s))
      cuda::for_each(device, pixels, AddChannelBias<T>{s.in, bias, image});
    else
      cuda::for_each(device, pixels, GatherPatches<T>{Sizes(s), to, bias, add, image});
  });
}

template <class T>
void conv_backward_weights(Device device, const ConvDims& s, const T* x, const T* dy, bool add, T* dw) {
  for_parts(s, sizeof(T), [&](std::int64_t first, std::int64_t count) {
    const Workspace memory = patch_memory<T>(device, s, count);
    const T* p = patches_of(device, s, x + first * s.h * s.w * s.in, count, memory.as<T>());
    gemm<T>(device, {.m = s.out,
                     .n = patch(s),
                     .k = count * positions(s),
                     .a = {dy + first * positions(s) * s.out, s.out, true},
                     .b = {p, patch(s)},
                     .c = dw,
                     .ldc = patch(s),
                     .add = add || first > 0 ? dw : nullptr});
  });
}

#define MLD_INSTANTIATE(T)                                                                              \
  template void conv_forward<T>(Device, const ConvDims&, const T*, const T*, const T*, T*);             \
  template void conv_backward_data<T>(Device, const ConvDims&, const T*, const T*, const T*, bool, T*); \
  template void conv_backward_weights<T>(Device, const ConvDims&, const T*, const T*, bool, T*);
MLD_INSTANTIATE(float)
MLD_INSTANTIATE(double)
#undef MLD_INSTANTIATE

}  // namespace mld::cuda::by_gemm
