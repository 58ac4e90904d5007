#include "engine/ops/fused_epilogue.h"

#include "engine/core/drivers.h"

namespace mld::fused {
namespace {

// dpre = dy * act'. `s` is the saved tensor, which is the one argument that `derivative` reads.
template <class T, class F>
struct Derivative {
  F f;
  const T* s;
  const T* dy;
  T* dpre;
  T operator()(std::int64_t i) const { return dpre[i] = dy[i] * f.derivative(s[i], s[i]); }
};

template <class T>
struct Identity {
  const T* dy;
  T operator()(std::int64_t i) const { return dy[i]; }
};

// Column sums of term(i) over a row-major [rows, columns] array. A driver loads every element exactly once,
// so the term may store dpre on the way.
template <class T, class Term>
struct ColumnSum {
  Term term;
  std::int64_t columns;
  T* sum;
  bool add;
  using Acc = T;
  Acc zero() const { return T(0); }
  Acc load(std::int64_t column, std::int64_t row) const { return term(row * columns + column); }
  Acc join(Acc a, Acc b) const { return a + b; }
  void store(std::int64_t column, Acc a) const { sum[column] = add ? sum[column] + a : a; }
};

template <class T, class Term>
void run(const Tensor& dy, const Term& term, Slot bias, Tape& tape) {
  const std::int64_t columns = dy.shape()[-1];
  const Tape::Target db = tape.target(bias, {columns}, dy.dtype(), dy.device());
  reduce_columns(dy.device(), columns == 0 ? 0 : dy.numel() / columns, columns,
                 ColumnSum<T, Term>{term, columns, db.grad.ptr<T>(), db.add});
}

}  // namespace

void apply_activation(const Tensor& in, Activation act, const Tensor& out) {
  dispatch_float(in.dtype(), "activation", [&]<class T>() {
    with_activation(act, [&](auto f) {
      for_each(in.device(), in.numel(),
               [f, x = in.ptr<T>(), y = out.ptr<T>()](std::int64_t i) { y[i] = f.value(x[i]); });
    });
  });
}

Tensor backward(const Tensor& dy, const Tensor& saved, Activation act, Slot bias, Tape& tape) {
  Tensor dpre =
      act.kind == Act::none || dy.unique() ? dy : Tensor::empty(dy.shape(), dy.dtype(), dy.device());
  dispatch_float(dy.dtype(), "backward", [&]<class T>() {
    if (act.kind == Act::none) {
      if (!bias.constant()) run<T>(dy, Identity<T>{dy.ptr<T>()}, bias, tape);
      return;
    }
    with_activation(act, [&](auto f) {
      const Derivative<T, decltype(f)> term{f, saved.ptr<T>(), dy.ptr<T>(), dpre.ptr<T>()};
      if (bias.constant())
        for_each(dy.device(), dy.numel(), term);
      else
        run<T>(dy, term, bias, tape);
    });
  });
  return dpre;
}

}  // namespace mld::fused
