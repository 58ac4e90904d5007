#include "nn/adam_ema.h"

#include <algorithm>
#include <cmath>

#include "engine/loops/drivers.h"

namespace mld::nn {
namespace {

constexpr std::int64_t kChunk = 8192;  // elements that share one reading of the scalars on the CPU
constexpr int kPack = 4;               // elements of a GPU thread; an arena's parts are padded to multiples

// One element: Adam with L2 or decoupled weight decay, then the EMA. All coefficients were
// computed in double.
template <class T>
struct Update {
  T clip, l2, c1, c2, rate, scale, eps, decay, c_ema;

  MLD_HD void adam(T& p, T& m, T& v, T g) const {
    g = clip * g + l2 * p;
    m = m + c1 * (g - m);
    v = v + c2 * (g * g - v);
    p = p - (rate * m / (std::sqrt(v) * scale + eps) + decay * p);
  }
  MLD_HD void ema(T& e, T p) const { e = e + c_ema * (p - e); }
};

template <class T>
MLD_HD Update<T> coefficients(const AdamOptions& o, const StepState& s, double clip) {
  return {.clip = static_cast<T>(clip),
          .l2 = static_cast<T>(o.decoupled ? 0 : o.weight_decay),
          .c1 = static_cast<T>(1 - o.beta1),
          .c2 = static_cast<T>(1 - o.beta2),
          .rate = static_cast<T>(s.rate),
          .scale = static_cast<T>(s.scale),
          .eps = static_cast<T>(o.eps),
          .decay = static_cast<T>(o.decoupled ? s.lr * o.weight_decay : 0),
          .c_ema = static_cast<T>(1 - o.ema_decay)};
}

template <class T>
struct Arenas {
  T *p, *m, *v, *e;  // e: null without EMA
  const T* g;
};

// Elements [first, last) of the arenas.
template <class T, bool kEma>
inline void update_range(const Update<T>& u, std::int64_t first, std::int64_t last, T* __restrict p,
                         T* __restrict m, T* __restrict v, [[maybe_unused]] T* __restrict e,
                         const T* __restrict g) {
  for (std::int64_t i = first; i < last; ++i) {
    u.adam(p[i], m[i], v[i], g[i]);
    if constexpr (kEma) u.ema(e[i], p[i]);
  }
}

// The arenas from the first element of a chunk on. Five streams end with a page every 1024 floats, where the
// hardware stops fetching ahead; asked for by hand, steps take 2 to 7 % less.
template <class T, bool kEma>
void update_chunk(const Update<T>& u, std::int64_t n, T* p, T* m, T* v, T* e, const T* g) {
  constexpr std::int64_t kLine = 64 / sizeof(T), kAhead = 16 * kLine;
  std::int64_t i = 0;
  for (; i + kLine <= n; i += kLine) {
    for (T* written : {p, m, v}) __builtin_prefetch(written + i + kAhead, 1);
    if constexpr (kEma) __builtin_prefetch(e + i + kAhead, 1);
    __builtin_prefetch(g + i + kAhead);
    update_range<T, kEma>(u, i, i + kLine, p, m, v, e, g);
  }
  update_range<T, kEma>(u, i, n, p, m, v, e, g);
}

template <class T, bool kEma>
struct UpdateChunk {
  Arenas<T> a;
  std::int64_t n;
  AdamOptions options;
  const StepState* state;
  const double* clip;  // or null
  void operator()(std::int64_t chunk) const {
    if (!state->ok) return;
    const std::int64_t i = chunk * kChunk;
    update_chunk<T, kEma>(coefficients<T>(options, *state, clip ? *clip : 1.0), std::min(kChunk, n - i),
                          a.p + i, a.m + i, a.v + i, kEma ? a.e + i : nullptr, a.g + i);
  }
};

// Read and written 16 bytes at a time.
template <class T>
struct alignas(16) Pack {
  T x[kPack];
};
template <class T>
MLD_HD Pack<T>& pack(T* arena, std::int64_t i) {
  return reinterpret_cast<Pack<T>*>(arena)[i];
}
template <class T>
MLD_HD const Pack<T>& pack(const T* arena, std::int64_t i) {
  return reinterpret_cast<const Pack<T>*>(arena)[i];
}

template <class T, bool kEma>
struct UpdatePack {
  Arenas<T> a;
  AdamOptions options;
  const StepState* state;
  const double* clip;  // or null
  MLD_HD void operator()(std::int64_t i) const {
    if (!state->ok) return;
    const auto u = coefficients<T>(options, *state, clip ? *clip : 1.0);
    const Pack<T> g = pack(a.g, i);
    Pack<T> p = pack(a.p, i), m = pack(a.m, i), v = pack(a.v, i), e{};
    if constexpr (kEma) e = pack(a.e, i);
    for (int k = 0; k < kPack; ++k) {
      u.adam(p.x[k], m.x[k], v.x[k], g.x[k]);
      if constexpr (kEma) u.ema(e.x[k], p.x[k]);
    }
    pack(a.p, i) = p;
    pack(a.m, i) = m;
    pack(a.v, i) = v;
    if constexpr (kEma) pack(a.e, i) = e;
  }
};

template <class T, bool kEma>
void update_arenas(const ParameterStore& store, const AdamOptions& options, const StepState* state,
                   const double* clip) {
  const Device device = store.options().device;
  const std::int64_t n = store.value().numel();
  const Arenas<T> arenas{store.value().ptr<T>(), store.adam_m().ptr<T>(), store.adam_v().ptr<T>(),
                         kEma ? store.ema().ptr<T>() : nullptr, store.grad().ptr<T>()};
  if (device.kind == DeviceKind::cuda) {
    gpu::for_each(device, n / kPack, UpdatePack<T, kEma>{arenas, options, state, clip});
  } else {
    for_each_host_row(device, (n + kChunk - 1) / kChunk, kChunk,
                      UpdateChunk<T, kEma>{arenas, n, options, state, clip});
  }
}

// *clip = min(1, limit / (norm + 1e-6)); the step is not ok if the norm is not finite.
template <class T>
struct ClipFactor {
  using Acc = double;
  const T* g;
  double limit;
  double* clip;
  StepState* state;

  MLD_HD Acc zero() const { return 0; }
  MLD_HD Acc load(std::int64_t, std::int64_t j) const {
    return static_cast<double>(g[j]) * static_cast<double>(g[j]);
  }
  MLD_HD Acc join(Acc a, Acc b) const { return a + b; }
  MLD_HD void store(std::int64_t, Acc a) const {
    *clip = std::min(1.0, limit / (std::sqrt(a) + 1e-6));
    if (!std::isfinite(a)) state->ok = 0;
  }
};

// Where no norm is computed, which would show it: the step is not ok if a gradient is not finite. On a GPU
// every thread that sees one writes the same, so that nothing has to be joined.
template <class T>
struct FiniteCheckPack {
  const T* g;
  StepState* state;
  MLD_HD void operator()(std::int64_t i) const {
    const Pack<T> x = pack(g, i);
    T sum = 0;
    for (int k = 0; k < kPack; ++k) sum += x.x[k] * 0;  // NaN of an infinity or a NaN
    if (std::isnan(sum)) state->ok = 0;
  }
};

template <class T>
struct FiniteCheck {
  using Acc = T;
  const T* g;
  StepState* state;

  MLD_HD Acc zero() const { return 0; }
  MLD_HD Acc load(std::int64_t, std::int64_t j) const { return g[j] * 0; }
  MLD_HD Acc join(Acc a, Acc b) const { return a + b; }
  MLD_HD void store(std::int64_t, Acc a) const {
    if (std::isnan(a)) state->ok = 0;
  }
};

}  // namespace

AdamEma::AdamEma(ParameterStore& store, AdamOptions options, StepState* state)
    : store_(store), options_(options), state_(state) {
  MLD_CHECK(store.options().training, "Adam: the store was made without gradients (training = false)");
  if (options.clip_norm > 0) clip_ = Tensor::full({1}, 1, DType::f64, store.options().device);
}

void AdamEma::step() {
  dispatch_float(store_.options().dtype, "Adam", [&]<class T>() { step_as<T>(); });
}

template <class T>
void AdamEma::step_as() {
  double* clip = clip_.defined() ? clip_.ptr<double>() : nullptr;
  const T* g = store_.grad().ptr<T>();
  const Device device = store_.options().device;
  const std::int64_t n = store_.grad().numel();
  if (clip)
    reduce(device, 1, n, ClipFactor<T>{g, options_.clip_norm, clip, state_});
  else if (device.kind == DeviceKind::cuda)
    gpu::for_each(device, n / kPack, FiniteCheckPack<T>{g, state_});
  else
    reduce(device, 1, n, FiniteCheck<T>{g, state_});
  if (store_.ema().defined())
    update_arenas<T, true>(store_, options_, state_, clip);
  else
    update_arenas<T, false>(store_, options_, state_, clip);
}

}  // namespace mld::nn
