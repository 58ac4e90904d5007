#include "engine/ops/pointwise.h"

#include "engine/kernels/broadcast.h"
#include "engine/kernels/pointwise_functors.h"
#include "engine/loops/drivers.h"
#include "engine/ops/op_check.h"

namespace mld {
namespace {

template <class F, class T>
struct UnaryForward {
  F f;
  const T* x;
  T* y;
  MLD_HD void operator()(std::int64_t i) const { y[i] = f.value(x[i]); }
};

template <class F, class T, bool kAdd>
struct UnaryBackward {
  F f;
  const T *saved, *dy;
  T* dx;
  MLD_HD void operator()(std::int64_t i) const {
    const T v = F::kSaved == fn::Saved::nothing ? T(0) : saved[i];
    put<kAdd>(dx[i], dy[i] * f.derivative(v, v));
  }
};

// dx = dy * derivative; `saved` is what F keeps, in both places where only one is looked at.
template <class F>
void pull_unary(const Tensor& dy, const Tensor& saved, Slot slot, F f, Tape& tape) {
  const Tape::Target dx = tape.target(slot, dy.shape(), dy.dtype(), dy.device());
  dispatch_float(dy.dtype(), "backward", [&]<class T>() {
    const T* kept = F::kSaved == fn::Saved::nothing ? nullptr : saved.ptr<T>();
    with_flag(dx.add, [&](auto adding) {
      for_each(dy.device(), dy.numel(),
               UnaryBackward<F, T, decltype(adding)::value>{f, kept, dy.ptr<T>(), dx.grad.ptr<T>()});
    });
  });
}

template <class F>
Var unary(Op op, const Var& x, F f) {
  check::defined(op_name(op), "x", x.value);
  const Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  dispatch_float(x.dtype(), op_name(op), [&]<class T>() {
    for_each(x.device(), y.numel(), UnaryForward<F, T>{f, x.value.ptr<T>(), y.ptr<T>()});
  });
  if (!needs_grad(x)) return y;
  Tensor saved;
  if (F::kSaved == fn::Saved::input) saved = x.value;
  if (F::kSaved == fn::Saved::output) saved = y;
  return {y, Tape::current()->record(op, [saved, f, slot = x.slot](const Tensor& dy, Tape& tape) {
            pull_unary(dy, saved, slot, f, tape);
          })};
}

}  // namespace

#define X(name, Functor) \
  Var name(const Var& x) { return unary(Op::name, x, fn::Functor{}); }
#define P(name, Functor)
MLD_ACTIVATIONS(X, P)
MLD_FUNCTIONS(X, P)
#undef X
#undef P
Var leaky_relu(const Var& x, double slope) {
  MLD_CHECK(slope >= 0, "leaky_relu: slope ", slope, " must not be negative");
  return unary(Op::leaky_relu, x, fn::LeakyRelu{static_cast<float>(slope)});
}
Var clamp(const Var& x, double lo, double hi) {
  MLD_CHECK(lo <= hi, "clamp: lower bound ", lo, " above upper bound ", hi);
  return unary(Op::clamp, x, fn::Clamp{lo, hi});
}
Var affine(const Var& x, double scale, double shift) {
  return unary(Op::affine, x, fn::Affine{scale, shift});
}

Var apply(Activation act, const Var& x) {
  switch (act.kind) {
    case Act::none:
      return x;
#define X(name, Functor) \
  case Act::name:        \
    return name(x);
#define P(name, Functor) \
  case Act::name:        \
    return name(x, double{act.slope});
      MLD_ACTIVATIONS(X, P)
#undef X
#undef P
  }
  return x;
}

}  // namespace mld
