// Losses: one pass forward (formula and sum), one pass backward. The upstream gradient is read on the device,
// so that a captured step needs no host.
#include <cstdint>
#include <limits>

#include "engine/kernels/broadcast.h"
#include "engine/kernels/pointwise_functors.h"
#include "engine/ops/index_check.h"
#include "engine/ops/op_check.h"
#include "engine/ops/reduction.h"

namespace mld {
namespace {

// Probabilities of the categorical likelihood are kept this far from 0 and 1.
constexpr fn::Clamp probability() { return {1.19e-7, 1 - 1.19e-7}; }

template <class T>
constexpr T not_a_number() {
  return std::numeric_limits<T>::quiet_NaN();
}

// The loss of one element with its derivative with respect to x, for a target t.
template <class F>
struct OfDifference {
  F f{};
  template <class T>
  MLD_HD T value(T x, T t) const {
    return f.value(x - t);
  }
  template <class T>
  MLD_HD T derivative(T x, T t) const {
    return f.derivative(x - t, T(0));
  }
};

struct BernoulliNll {
  template <class T>
  MLD_HD T value(T x, T t) const {
    // softplus(x) - t x, in an order that keeps the tail when t is 1 and x is large
    return ((x < T(0) ? T(0) : x) - t * x) + fn::Softplus{}.tail(x);
  }
  template <class T>
  MLD_HD T derivative(T x, T t) const {
    return fn::Softplus{}.derivative(x, T(0)) - t;
  }
};

void check_pair(const char* op, const Var& x, const Tensor& t) {
  check::same_kind(op, "x", x.value, "target", t);
  MLD_CHECK(x.shape() == t.shape(), op, ": ", check::describe("x", x.value), " and ",
            check::describe("target", t), " must have one shape");
}

// True if the weight has one value per leading index, false if it is absent or has the shape of x.
bool weight_per_row(const char* op, const Var& x, const Tensor& weight) {
  if (!weight.defined()) return false;
  check::same_kind(op, "x", x.value, "weight", weight);
  if (weight.shape() == x.shape()) return false;
  MLD_CHECK(x.shape().rank() > 0 && weight.shape().rank() == x.shape().rank() &&
                weight.shape()[0] == x.shape()[0] && weight.numel() == x.shape()[0],
            op, ": weight ", weight.shape(), " for x ", x.shape(), "; give it the shape of x, or [B,1,...]");
  return true;
}

template <class T, class F>
struct Term {
  F f;
  const T *x, *target;
  MLD_HD T operator()(std::int64_t i) const { return f.value(x[i], target[i]); }
};

template <class T, class Load>
struct Weighted {
  const T* weight;
  Load load;
  MLD_HD T operator()(std::int64_t i) const { return weight[i] * load(i); }
};

// Weighted terms come with the place of their weight.
template <class T, class F, bool kAdd>
struct TermPull {
  F f;
  const T *dy, *x, *target, *weight;
  T* dx;
  T scale;
  MLD_HD void operator()(std::int64_t i) const { write(i, dy[0] * scale); }
  MLD_HD void operator()(std::int64_t i, std::int64_t, std::int64_t iw) const {
    write(i, dy[0] * scale * weight[iw]);
  }
  MLD_HD void write(std::int64_t i, T upstream) const {
    put<kAdd>(dx[i], upstream * f.derivative(x[i], target[i]));
  }
};

template <class T, class F>
void loss_forward(F f, const Tensor& x, const Tensor& target, double scale, const Tensor& weight,
                  bool per_row, const Tensor& y) {
  using OneTerm = Term<T, F>;
  const OneTerm term{f, x.ptr<T>(), target.ptr<T>()};
  const T* w = weight.defined() ? weight.ptr<T>() : nullptr;
  const std::int64_t n = x.numel();
  if (per_row) {
    const std::int64_t rows = x.shape()[0];
    const Tensor sums = Tensor::empty({rows}, x.dtype(), x.device());
    sum_rows(x.device(), rows, rows > 0 ? n / rows : 0, term, sums.ptr<T>());
    sum_rows(x.device(), 1, rows, Weighted<T, Element<T>>{w, {sums.ptr<T>()}}, y.ptr<T>(),
             static_cast<T>(scale));
  } else if (w) {
    sum_rows(x.device(), 1, n, Weighted<T, OneTerm>{w, term}, y.ptr<T>(), static_cast<T>(scale));
  } else {
    sum_rows(x.device(), 1, n, term, y.ptr<T>(), static_cast<T>(scale));
  }
}

template <class T, class F>
void loss_backward(F f, const Tensor& dy, const Tensor& x, const Tensor& target, double scale,
                   const Tensor& weight, const Tape::Target& dx) {
  const T* w = weight.defined() ? weight.ptr<T>() : nullptr;
  with_flag(dx.add, [&](auto adding) {
    const TermPull<T, F, decltype(adding)::value> pull{
        f, dy.ptr<T>(), x.ptr<T>(), target.ptr<T>(), w, dx.grad.ptr<T>(), static_cast<T>(scale)};
    if (w)
      for_each_broadcast(x.device(), broadcast_plan(x.shape(), x.shape(), weight.shape()), pull);
    else
      for_each(x.device(), x.numel(), pull);
  });
}

template <class F>
Var elementwise_loss(Op op, F f, const Var& x, const Tensor& target, double scale, const Tensor& weight) {
  check_pair(op_name(op), x, target);
  const bool per_row = weight_per_row(op_name(op), x, weight);
  const Tensor y = Tensor::empty({1}, x.dtype(), x.device());
  dispatch_float(x.dtype(), op_name(op),
                 [&]<class T>() { loss_forward<T>(f, x.value, target, scale, weight, per_row, y); });
  if (!needs_grad(x)) return y;
  return {y, Tape::current()->record(op, [=, v = x.value, slot = x.slot](const Tensor& dy, Tape& tape) {
            const Tape::Target dx = tape.target(slot, v.shape(), dy.dtype(), dy.device());
            dispatch_float(dy.dtype(), "backward",
                           [&]<class T>() { loss_backward<T>(f, dy, v, target, scale, weight, dx); });
          })};
}

// Likelihood of the target's class in one row of K probabilities that need not sum to 1. A target that is no
// class (impossible on the cpu, where it is refused) gives NaN: a loss that is seen.
template <class T>
struct CategoricalRow {
  const T* p;
  const std::int32_t* target;
  std::int64_t k;

  template <class Team>
  MLD_HD T total(std::int64_t row, const Team& team) const {
    return team.fold(
        k, T(0), [q = p + row * k](std::int64_t j) { return q[j]; }, Plus{});
  }
  MLD_HD T of_target(std::int64_t row) const {
    return target[row] >= 0 && target[row] < k ? p[row * k + target[row]] : not_a_number<T>();
  }
};

// One weight for so many rows in turn; null: all count.
template <class T>
struct RowWeight {
  const T* weight;
  std::int64_t rows_each;
  MLD_HD T at(std::int64_t row) const { return weight ? weight[row / rows_each] : T(1); }
};

template <class T>
struct CategoricalLoss {
  CategoricalRow<T> of;
  RowWeight<T> weight;
  T* out;
  template <class Team>
  MLD_HD void operator()(std::int64_t row, const Team& team) const {
    const T share = of.of_target(row) / of.total(row, team);
    team.once([=, w = weight.at(row), to = out + row] { *to = -w * math::log(probability().value(share)); });
  }
};

// d loss / dp_j = 1/total - [j is the target]/p_target, or 0 where the clamp is active.
template <class T, bool kAdd>
struct CategoricalPull {
  CategoricalRow<T> of;
  RowWeight<T> weight;
  const T* dy;
  T* dp;
  T scale;
  template <class Team>
  MLD_HD void operator()(std::int64_t row, const Team& team) const {
    const T sum = of.total(row, team), own = of.of_target(row), g = dy[0] * scale * weight.at(row);
    const bool active = probability().derivative(own / sum, T(0)) == T(0);
    const T all = active ? T(0) : g / sum, of_target = active ? T(0) : g / own;
    const std::int32_t target = of.target[row];
    T* const out = dp + row * of.k;
    team.each(of.k, [=](std::int64_t j) { put<kAdd>(out[j], j == target ? all - of_target : all); });
  }
};

}  // namespace

Var l1(const Var& x, const Tensor& target, double scale, const Tensor& weight) {
  return elementwise_loss(Op::l1, OfDifference<fn::Abs>{}, x, target, scale, weight);
}

Var squared_error(const Var& x, const Tensor& target, double scale, const Tensor& weight) {
  return elementwise_loss(Op::squared_error, OfDifference<fn::Square>{}, x, target, scale, weight);
}

Var bernoulli_nll(const Var& logits, const Tensor& target, double scale) {
  return elementwise_loss(Op::bernoulli_nll, BernoulliNll{}, logits, target, scale, {});
}

Var categorical_nll(const Var& probabilities, const Tensor& target, double scale, const Tensor& weight) {
  constexpr const char* kName = "categorical_nll";
  const Tensor& p = probabilities.value;
  check_rows_of_classes(kName, p, target);
  const std::int64_t k = p.shape()[-1], rows = target.numel();
  check_indices(kName, target, k);
  if (weight.defined()) {
    check::same_kind(kName, "x", p, "weight", weight);
    MLD_CHECK(p.shape().rank() > 1 && weight.numel() == p.shape()[0], kName, ": weight ", weight.shape(),
              " for x ", p.shape(), "; give it one number for each place of the first axis");
  }
  const std::int64_t rows_each = weight.defined() && weight.numel() > 0 ? rows / weight.numel() : 1;
  const auto weights = [=]<class T>() {
    return RowWeight<T>{weight.defined() ? weight.ptr<T>() : nullptr, rows_each};
  };
  const Tensor y = Tensor::empty({1}, p.dtype(), p.device());
  const Tensor losses = Tensor::empty({rows}, p.dtype(), p.device());
  dispatch_float(p.dtype(), kName, [&]<class T>() {
    const CategoricalRow<T> of{p.ptr<T>(), target.ptr<std::int32_t>(), k};
    for_each_row(p.device(), rows, k,
                 CategoricalLoss<T>{of, weights.template operator()<T>(), losses.ptr<T>()});
    sum_rows(p.device(), 1, rows, Element<T>{losses.ptr<T>()}, y.ptr<T>(), static_cast<T>(scale));
  });
  if (!needs_grad(probabilities)) return y;
  const auto pull = [=, slot = probabilities.slot](const Tensor& dy, Tape& tape) {
    const Tape::Target dp = tape.target(slot, p.shape(), dy.dtype(), dy.device());
    dispatch_float(dy.dtype(), "backward", [&]<class T>() {
      const CategoricalRow<T> of{p.ptr<T>(), target.ptr<std::int32_t>(), k};
      with_flag(dp.add, [&](auto adding) {
        for_each_row(
            dy.device(), rows, k,
            CategoricalPull<T, decltype(adding)::value>{of, weights.template operator()<T>(), dy.ptr<T>(),
                                                        dp.grad.ptr<T>(), static_cast<T>(scale)});
      });
    });
  };
  return {y, Tape::current()->record(Op::categorical_nll, pull)};
}

}  // namespace mld
