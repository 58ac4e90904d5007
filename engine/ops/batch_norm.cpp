#include <cmath>

#include "engine/core/drivers.h"
#include "engine/ops/norm.h"
#include "engine/ops/op_check.h"

// x is [R, C] with R the product of all axes but the last. Saved for backward: x and the mean and 1/std used,
// [C] each; xhat and what enters the activation are computed again.

namespace mld {
namespace {

using i64 = std::int64_t;

template <class T>
struct ColumnMean {
  const T* x;
  i64 rows, columns;
  T* mean;
  using Acc = T;
  Acc zero() const { return T(0); }
  Acc load(i64 column, i64 row) const { return x[row * columns + column]; }
  Acc join(Acc a, Acc b) const { return a + b; }
  void store(i64 column, Acc a) const { mean[column] = a / static_cast<T>(rows); }
};

template <class T>
struct Pair {
  T a, b;
};

// Second pass over the batch: sums of d = x - mean and of d^2. The first corrects the rounding of the mean
// and of the variance (the corrected two-pass algorithm: Chan, Golub, LeVeque, Am. Stat. 37, 1983, eq. 1.7).
// Ends with the move of the running statistics.
template <class T>
struct BatchStatistics {
  const T* x;
  i64 rows, columns;
  T eps, momentum;
  T *mean, *rstd;                 // mean: in and out
  T *running_mean, *running_var;  // or null
  using Acc = Pair<T>;
  Acc zero() const { return {T(0), T(0)}; }
  Acc load(i64 column, i64 row) const {
    const T d = x[row * columns + column] - mean[column];
    return {d, d * d};
  }
  Acc join(Acc p, Acc q) const { return {p.a + q.a, p.b + q.b}; }
  void store(i64 column, Acc s) const {
    const T n = static_cast<T>(rows);
    const T squares = s.b - s.a * s.a / n;
    const T m = mean[column] + s.a / n;
    mean[column] = m;
    rstd[column] = T(1) / std::sqrt(squares / n + eps);
    const T unbiased = squares / (n - T(1));
    if (running_mean == nullptr || !std::isfinite(m) || !std::isfinite(unbiased)) return;
    running_mean[column] += momentum * (m - running_mean[column]);
    running_var[column] += momentum * (unbiased - running_var[column]);
  }
};

// One value per channel, shared by all rows.
template <class T>
struct Channels {
  i64 columns;
  const T *mean, *rstd, *gamma, *beta;
  T xhat(T x, i64 c) const { return (x - mean[c]) * rstd[c]; }
  T affine(T xhat, i64 c) const { return xhat * gamma[c] + beta[c]; }
};

template <class T, class F>
struct Normalise {
  Channels<T> p;
  F f;
  const T* x;
  T* y;
  void operator()(i64 row) const {
    const T* from = x + row * p.columns;
    T* to = y + row * p.columns;
#pragma GCC ivdep
    for (i64 c = 0; c < p.columns; ++c) to[c] = f.value(p.affine(p.xhat(from[c], c), c));
  }
};

// Sums of dz and dz xhat over the rows, where z is what enters the activation: the gradients of beta and
// gamma.
template <class T, class F>
struct ParameterSums {
  Channels<T> p;
  F f;
  const T *x, *dy;
  T *sum_dz, *sum_dz_xhat;
  T *dgamma, *dbeta;  // or null
  bool add_gamma, add_beta;
  using Acc = Pair<T>;
  Acc zero() const { return {T(0), T(0)}; }
  Acc load(i64 c, i64 row) const {
    const T h = p.xhat(x[row * p.columns + c], c), z = p.affine(h, c);
    const T dz = dy[row * p.columns + c] * f.derivative(z, f.value(z));
    return {dz, dz * h};
  }
  Acc join(Acc u, Acc v) const { return {u.a + v.a, u.b + v.b}; }
  void store(i64 c, Acc s) const {
    sum_dz[c] = s.a;
    sum_dz_xhat[c] = s.b;
    if (dbeta) dbeta[c] = add_beta ? dbeta[c] + s.a : s.a;
    if (dgamma) dgamma[c] = add_gamma ? dgamma[c] + s.b : s.b;
  }
};

// dx = gamma/std (dz - mean(dz) - xhat mean(dz xhat)), the means being over the batch; without them where the
// statistics are constants.
template <class T, class F>
struct InputGradient {
  Channels<T> p;
  F f;
  const T *x, *dy;
  const T *sum_dz, *sum_dz_xhat;  // null: constant statistics
  T inverse_rows;
  T* dx;
  bool add;
  void operator()(i64 row) const {
    const T *from = x + row * p.columns, *g = dy + row * p.columns;
    T* to = dx + row * p.columns;
    const auto gradient = [&](i64 c, bool batch) {
      const T h = p.xhat(from[c], c), z = p.affine(h, c);
      T dz = g[c] * f.derivative(z, f.value(z));
      if (batch) dz -= (sum_dz[c] + h * sum_dz_xhat[c]) * inverse_rows;
      return dz * (p.gamma[c] * p.rstd[c]);
    };
    const auto run = [&](bool batch, bool onto) {
#pragma GCC ivdep
      for (i64 c = 0; c < p.columns; ++c) to[c] = onto ? to[c] + gradient(c, batch) : gradient(c, batch);
    };
    if (sum_dz)
      add ? run(true, true) : run(true, false);
    else
      add ? run(false, true) : run(false, false);
  }
};

struct Saved {
  Tensor x, mean, rstd, gamma, beta;
  Slot x_slot, gamma_slot, beta_slot;
  bool training;
  Activation act;
};

template <class T>
Channels<T> channels(const Saved& s) {
  return {s.mean.numel(), s.mean.ptr<T>(), s.rstd.ptr<T>(), s.gamma.ptr<T>(), s.beta.ptr<T>()};
}

template <class T, class F>
void backward(const Saved& s, F f, const Tensor& dy, Tape& tape) {
  const i64 columns = s.mean.numel(), rows = dy.numel() / columns;
  const Device device = dy.device();
  const bool wants_gamma = !s.gamma_slot.constant(), wants_beta = !s.beta_slot.constant();
  const Tensor sums = Tensor::empty({2, columns}, dy.dtype(), device);
  if (s.training || wants_gamma || wants_beta) {
    Tape::Target dgamma{}, dbeta{};
    if (wants_gamma) dgamma = tape.target(s.gamma_slot, {columns}, dy.dtype(), device);
    if (wants_beta) dbeta = tape.target(s.beta_slot, {columns}, dy.dtype(), device);
    reduce_columns(device, rows, columns,
                   ParameterSums<T, F>{channels<T>(s), f, s.x.ptr<T>(), dy.ptr<T>(), sums.ptr<T>(),
                                       sums.ptr<T>() + columns, wants_gamma ? dgamma.grad.ptr<T>() : nullptr,
                                       wants_beta ? dbeta.grad.ptr<T>() : nullptr, dgamma.add, dbeta.add});
  }
  if (s.x_slot.constant()) return;
  const Tape::Target dx = tape.target(s.x_slot, s.x.shape(), dy.dtype(), device);
  for_each_row(
      device, rows, columns,
      InputGradient<T, F>{channels<T>(s), f, s.x.ptr<T>(), dy.ptr<T>(), s.training ? sums.ptr<T>() : nullptr,
                          sums.ptr<T>() + columns, T(1) / static_cast<T>(rows), dx.grad.ptr<T>(), dx.add});
}

// mean and rstd [C]: of the batch, moving the running ones, or copied from the running ones.
template <class T>
void statistics(const Saved& s, const Tensor& running_mean, const Tensor& running_var, double momentum,
                double eps) {
  const i64 columns = s.mean.numel(), rows = s.x.numel() / columns;
  const Device device = s.x.device();
  T* const rm = running_mean.defined() ? running_mean.ptr<T>() : nullptr;
  T* const rv = running_var.defined() ? running_var.ptr<T>() : nullptr;
  T *mean = s.mean.ptr<T>(), *rstd = s.rstd.ptr<T>();
  if (s.training) {
    reduce_columns(device, rows, columns, ColumnMean<T>{s.x.ptr<T>(), rows, columns, mean});
    reduce_columns(device, rows, columns,
                   BatchStatistics<T>{s.x.ptr<T>(), rows, columns, static_cast<T>(eps),
                                      static_cast<T>(momentum), mean, rstd, rm, rv});
  } else {
    for_each(device, columns, [=, eps = static_cast<T>(eps)](i64 c) {
      mean[c] = rm[c];
      rstd[c] = T(1) / std::sqrt(rv[c] + eps);
    });
  }
}

}  // namespace

Var batch_norm(const Var& x, const Var& gamma, const Var& beta, const Tensor& running_mean,
               const Tensor& running_var, bool training, double momentum, double eps, Activation act) {
  check::defined("batch_norm", "x", x.value);
  MLD_CHECK(x.shape().rank() >= 2 && x.shape()[-1] > 0, "batch_norm: x ", x.shape(), " must be [...,C]");
  const i64 columns = x.shape()[-1], rows = x.value.numel() / columns;
  check::per_channel("batch_norm", x.value, "gamma", gamma.value, columns);
  check::per_channel("batch_norm", x.value, "beta", beta.value, columns);
  check::per_channel("batch_norm", x.value, "running_mean", running_mean, columns, training);
  check::per_channel("batch_norm", x.value, "running_var", running_var, columns, training);
  check::activation("batch_norm", act);
  MLD_CHECK(running_mean.defined() == running_var.defined(),
            "batch_norm: give both running_mean and running_var or neither");
  MLD_CHECK(!training || rows > 1, "batch_norm: x ", x.shape(),
            " has a single value per channel: its variance is undefined; use a larger batch or inference");
  Saved s{x.value,
          Tensor::empty({columns}, x.dtype(), x.device()),
          Tensor::empty({columns}, x.dtype(), x.device()),
          gamma.value,
          beta.value,
          x.slot,
          gamma.slot,
          beta.slot,
          training,
          act};
  Var y = Tensor::empty(x.shape(), x.dtype(), x.device());
  dispatch_float(x.dtype(), "batch_norm", [&]<class T>() {
    statistics<T>(s, running_mean, running_var, momentum, eps);
    with_activation(act, [&](auto f) {
      for_each_row(x.device(), rows, columns,
                   Normalise<T, decltype(f)>{channels<T>(s), f, x.value.ptr<T>(), y.value.ptr<T>()});
    });
  });
  if (!needs_grad(x, gamma, beta)) return y;
  y.slot = Tape::current()->record(Op::batch_norm, [s = std::move(s)](const Tensor& dy, Tape& tape) {
    dispatch_float(dy.dtype(), "batch_norm",
                   [&]<class T>() { with_activation(s.act, [&](auto f) { backward<T>(s, f, dy, tape); }); });
  });
  return y;
}

}  // namespace mld
