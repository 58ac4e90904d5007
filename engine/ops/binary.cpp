// The two-operand pointwise operators: one broadcasting loop forward; backward one loop for an operand of the
// result's shape, and a sum for one that was repeated.
#include <utility>

#include "engine/kernels/broadcast.h"
#include "engine/kernels/pointwise_functors.h"
#include "engine/ops/op_check.h"
#include "engine/ops/pointwise.h"

namespace mld {
namespace {

// What backward keeps of one operation. Operands that no derivative needs are undefined.
template <class F>
struct Kept {
  Shape out, shape_a, shape_b;
  Tensor a, b;
  Slot slot_a, slot_b;
};

// dy * derivative with respect to one operand (a, or b if kOfB); i, ia, ib: the places in dy, a and b.
template <class F, class T, bool kOfB>
struct OperandGrad {
  static constexpr bool kUsesA = kOfB && F::kDbUsesA;
  static constexpr bool kUsesB = kOfB ? F::kDbUsesB : F::kDaUsesB;
  F f;
  const T *a, *b, *dy;
  MLD_HD T operator()(std::int64_t i, std::int64_t ia, std::int64_t ib) const {
    const T va = kUsesA ? a[ia] : T(0), vb = kUsesB ? b[ib] : T(0);
    return dy[i] * (kOfB ? f.db(va, vb) : f.da(va, vb));
  }
};

template <class F, class T>
struct BinaryForward {
  F f;
  const T *a, *b;
  T* y;
  MLD_HD void operator()(std::int64_t i, std::int64_t ia, std::int64_t ib) const {
    y[i] = f.value(a[ia], b[ib]);
  }
};

template <class Grad, class T, bool kAdd>
struct WriteGrad {
  Grad grad;
  T* out;
  MLD_HD void operator()(std::int64_t i, std::int64_t ia, std::int64_t ib) const {
    put<kAdd>(out[i], grad(i, ia, ib));
  }
};

template <class T>
struct Product {
  const T *a, *b;
  MLD_HD T operator()(std::int64_t i) const { return a[i] * b[i]; }
};

template <class F, class T, bool kOfB, bool kAdd>
void write_grad(const Kept<F>& kept, const Tensor& dy, const Tensor& to) {
  using Grad = OperandGrad<F, T, kOfB>;
  const Grad grad{{},
                  Grad::kUsesA ? kept.a.template ptr<T>() : nullptr,
                  Grad::kUsesB ? kept.b.template ptr<T>() : nullptr,
                  dy.ptr<T>()};
  for_each_broadcast(dy.device(), broadcast_plan(kept.out, kept.shape_a, kept.shape_b),
                     WriteGrad<Grad, T, kAdd>{grad, to.ptr<T>()});
}

// to = sum of dy * other over the one summed run, in one pass (+ what is there).
void sum_product(const Tensor& dy, const Tensor& other, const AxisRuns& runs, const Tape::Target& to) {
  const AxisSplit s = split_at_sum(runs);
  dispatch_float(dy.dtype(), "backward", [&]<class T>() {
    sum_axis<T>(dy.device(), s.p, s.q, s.r, Product<T>{dy.ptr<T>(), other.ptr<T>()}, to.grad.ptr<T>(), T(1),
                to.add);
  });
}

// The gradient of an operand that was repeated.
template <class F, class T, bool kOfB>
void pull_repeated(const Kept<F>& kept, const Tensor& dy, const AxisRuns& runs, const Tape::Target& to) {
  constexpr fn::Factor kFactor = kOfB ? F::kDb : F::kDa;
  if constexpr (kFactor == fn::Factor::one || kFactor == fn::Factor::minus_one)
    return sum_runs(dy, runs, to.grad, kFactor == fn::Factor::one ? 1 : -1, to.add);
  const Tensor& other = kOfB ? kept.a : kept.b;
  if (kFactor == fn::Factor::other && other.numel() == dy.numel() && runs.sums() == 1)
    return sum_product(dy, other, runs, to);
  const Tensor full = Tensor::empty(kept.out, dy.dtype(), dy.device());
  write_grad<F, T, kOfB, false>(kept, dy, full);
  sum_runs(full, runs, to.grad, 1, to.add);
}

template <class F, class T, bool kOfB>
void pull_operand(const Kept<F>& kept, const Tensor& dy, Tape& tape) {
  const Slot slot = kOfB ? kept.slot_b : kept.slot_a;
  const Shape& own = kOfB ? kept.shape_b : kept.shape_a;
  if (slot.constant()) return;
  const bool whole = own.numel() == dy.numel();
  if ((kOfB ? F::kDb : F::kDa) == fn::Factor::one && whole) return tape.accumulate(slot, dy.reshape(own));
  const Tape::Target to = tape.target(slot, own, dy.dtype(), dy.device());
  if (!whole)
    pull_repeated<F, T, kOfB>(kept, dy, repeated_axes(kept.out, own), to);
  else if (to.add)
    write_grad<F, T, kOfB, true>(kept, dy, to.grad);
  else
    write_grad<F, T, kOfB, false>(kept, dy, to.grad);
}

template <class F>
Var binary(Op op, const Var& a, const Var& b, F f) {
  check::same_kind(op_name(op), "a", a.value, "b", b.value);
  const Shape shape = broadcast_shape(op_name(op), a.shape(), b.shape());
  const Tensor y = Tensor::empty(shape, a.dtype(), a.device());
  dispatch_float(a.dtype(), op_name(op), [&]<class T>() {
    for_each_broadcast(y.device(), broadcast_plan(shape, a.shape(), b.shape()),
                       BinaryForward<F, T>{f, a.value.ptr<T>(), b.value.ptr<T>(), y.ptr<T>()});
  });
  if (!needs_grad(a, b)) return y;
  Kept<F> kept{shape, a.shape(), b.shape(), {}, {}, a.slot, b.slot};
  const bool da = !a.slot.constant(), db = !b.slot.constant();
  if (db && F::kDbUsesA) kept.a = a.value;
  if ((da && F::kDaUsesB) || (db && F::kDbUsesB)) kept.b = b.value;
  return {y, Tape::current()->record(op, [kept = std::move(kept)](const Tensor& dy, Tape& tape) {
            dispatch_float(dy.dtype(), "backward", [&]<class T>() {
              pull_operand<F, T, false>(kept, dy, tape);
              pull_operand<F, T, true>(kept, dy, tape);
            });
          })};
}

}  // namespace

#define X(name, Functor) \
  Var name(const Var& a, const Var& b) { return binary(Op::name, a, b, fn::Functor{}); }
MLD_BINARY_FUNCTIONS(X)
#undef X

}  // namespace mld
