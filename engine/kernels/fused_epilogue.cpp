#include "engine/kernels/fused_epilogue.h"

#include "engine/loops/drivers.h"

namespace mld::fused {
namespace {

// dpre = dy * act'. `s` is the saved tensor, which is the one argument that `derivative` reads.
template <class T, class F>
struct Derivative {
  F f;
  const T* s;
  const T* dy;
  T* dpre;
  MLD_HD T operator()(std::int64_t i) const { return dpre[i] = dy[i] * f.derivative(s[i], s[i]); }
};

// The same without a sum: what the term returns is not looked at.
template <class Term>
struct Discard {
  Term term;
  MLD_HD void operator()(std::int64_t i) const { (void)term(i); }
};

template <class T, class F>
struct Activate {
  F f;
  const T* x;
  T* y;
  MLD_HD void operator()(std::int64_t i) const { y[i] = f.value(x[i]); }
};

template <class T>
struct Identity {
  const T* dy;
  MLD_HD T operator()(std::int64_t i) const { return dy[i]; }
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
  MLD_HD Acc zero() const { return T(0); }
  MLD_HD Acc load(std::int64_t column, std::int64_t row) const { return term(row * columns + column); }
  MLD_HD Acc join(Acc a, Acc b) const { return a + b; }
  MLD_HD void store(std::int64_t column, Acc a) const { sum[column] = add ? sum[column] + a : a; }
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
      for_each(in.device(), in.numel(), Activate<T, decltype(f)>{f, in.ptr<T>(), out.ptr<T>()});
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
      using Term = Derivative<T, decltype(f)>;
      const Term term{f, saved.ptr<T>(), dy.ptr<T>(), dpre.ptr<T>()};
      if (bias.constant())
        for_each(dy.device(), dy.numel(), Discard<Term>{term});
      else
        run<T>(dy, term, bias, tape);
    });
  });
  return dpre;
}

}  // namespace mld::fused
