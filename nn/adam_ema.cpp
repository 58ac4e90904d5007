#include "nn/adam_ema.h"

#include <algorithm>
#include <cmath>

#include "engine/core/drivers.h"

namespace mld::nn {
namespace {

constexpr std::int64_t kChunk = 8192;  // elements that share one reading of the scalars

// One element: Adam with L2 or decoupled weight decay, then the EMA. All coefficients were computed in
// double.
template <class T>
struct Update {
  T clip, l2, c1, c2, rate, scale, eps, decay, c_ema;

  void adam(T& p, T& m, T& v, T g) const {
    g = clip * g + l2 * p;
    m = m + c1 * (g - m);
    v = v + c2 * (g * g - v);
    p = p - (rate * m / (std::sqrt(v) * scale + eps) + decay * p);
  }
  void ema(T& e, T p) const { e = e + c_ema * (p - e); }
};

template <class T>
Update<T> coefficients(const AdamOptions& o, const StepState& s, double clip) {
  return {.clip = static_cast<T>(clip),
          .l2 = static_cast<T>(o.decoupled ? 0 : o.weight_decay),
          .c1 = static_cast<T>(1 - o.beta1),
          .c2 = static_cast<T>(1 - o.beta2),
          .rate = static_cast<T>(s.lr / s.bias1),
          .scale = static_cast<T>(1 / std::sqrt(s.bias2)),
          .eps = static_cast<T>(o.eps),
          .decay = static_cast<T>(o.decoupled ? s.lr * o.weight_decay : 0),
          .c_ema = static_cast<T>(1 - o.ema_decay)};
}

// The arenas from the first element of a chunk on.
template <class T, bool kEma>
void update_chunk(const Update<T>& u, std::int64_t n, T* __restrict p, T* __restrict m, T* __restrict v,
                  [[maybe_unused]] T* __restrict e, const T* __restrict g) {
  for (std::int64_t i = 0; i < n; ++i) {
    u.adam(p[i], m[i], v[i], g[i]);
    if constexpr (kEma) u.ema(e[i], p[i]);
  }
}

template <class T, bool kEma>
void update_arenas(const ParameterStore& store, const AdamOptions& options, const StepState* state,
                   const double* clip) {
  const std::int64_t n = store.value().numel();
  T* e = nullptr;
  if constexpr (kEma) e = store.ema().ptr<T>();
  for_each_row(store.options().device, (n + kChunk - 1) / kChunk, kChunk,
               [=, p = store.value().ptr<T>(), m = store.adam_m().ptr<T>(), v = store.adam_v().ptr<T>(),
                g = store.grad().ptr<T>()](std::int64_t chunk) {
                 if (!state->ok) return;
                 const std::int64_t i = chunk * kChunk;
                 update_chunk<T, kEma>(coefficients<T>(options, *state, clip ? *clip : 1.0),
                                       std::min(kChunk, n - i), p + i, m + i, v + i, kEma ? e + i : nullptr,
                                       g + i);
               });
}

// *clip = min(1, limit / (norm + 1e-6)); the step is not ok if the norm is not finite.
template <class T>
struct ClipFactor {
  using Acc = double;
  const T* g;
  double limit;
  double* clip;
  StepState* state;

  Acc zero() const { return 0; }
  Acc load(std::int64_t, std::int64_t j) const {
    return static_cast<double>(g[j]) * static_cast<double>(g[j]);
  }
  Acc join(Acc a, Acc b) const { return a + b; }
  void store(std::int64_t, Acc a) const {
    *clip = std::min(1.0, limit / (std::sqrt(a) + 1e-6));
    if (!std::isfinite(a)) state->ok = 0;
  }
};

// Without a norm that would tell: the step is not ok if a gradient is not finite.
template <class T>
struct FiniteCheck {
  using Acc = T;
  const T* g;
  StepState* state;

  Acc zero() const { return 0; }
  Acc load(std::int64_t, std::int64_t j) const { return g[j] * 0; }  // NaN of an infinity or a NaN
  Acc join(Acc a, Acc b) const { return a + b; }
  void store(std::int64_t, Acc a) const {
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
  const std::int64_t n = store_.grad().numel();
  if (clip)
    reduce(store_.options().device, 1, n, ClipFactor<T>{g, options_.clip_norm, clip, state_});
  else
    reduce(store_.options().device, 1, n, FiniteCheck<T>{g, state_});
  if (store_.ema().defined())
    update_arenas<T, true>(store_, options_, state_, clip);
  else
    update_arenas<T, false>(store_, options_, state_, clip);
}

}  // namespace mld::nn
