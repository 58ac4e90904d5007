#include <cmath>

#include "engine/kernels/broadcast.h"
#include "engine/kernels/norm_formulas.h"
#include "engine/loops/drivers.h"
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
  MLD_HD Acc zero() const { return T(0); }
  MLD_HD Acc load(i64 column, i64 row) const { return x[row * columns + column]; }
  MLD_HD Acc join(Acc a, Acc b) const { return a + b; }
  MLD_HD void store(i64 column, Acc a) const { mean[column] = a / static_cast<T>(rows); }
};

// Second pass over the batch: sums of d = x - mean and of d^2. Ends with the move of the running statistics.
template <class T>
struct BatchStatistics {
  const T* x;
  i64 rows, columns;
  T eps, momentum;
  T *mean, *rstd;                 // mean: in and out
  T *running_mean, *running_var;  // or null
  using Acc = norm::Pair<T>;
  MLD_HD Acc zero() const { return {T(0), T(0)}; }
  MLD_HD Acc load(i64 column, i64 row) const {
    const T d = x[row * columns + column] - mean[column];
    return {d, d * d};
  }
  MLD_HD Acc join(Acc p, Acc q) const { return p + q; }
  MLD_HD void store(i64 column, Acc sums) const {
    const T n = static_cast<T>(rows);
    const norm::Moments<T> m = norm::moments(mean[column], sums, n);
    mean[column] = m.mean;
    rstd[column] = norm::rstd(m.variance, eps);
    const T unbiased = m.variance * (n / (n - T(1)));
    if (running_mean == nullptr || !std::isfinite(m.mean) || !std::isfinite(unbiased)) return;
    running_mean[column] += momentum * (m.mean - running_mean[column]);
    running_var[column] += momentum * (unbiased - running_var[column]);
  }
};

template <class T>
struct RunningStatistics {
  const T *running_mean, *running_var;
  T eps;
  T *mean, *rstd;
  MLD_HD void operator()(i64 c) const {
    mean[c] = running_mean[c];
    rstd[c] = norm::rstd(running_var[c], eps);
  }
};

// One value per channel, shared by all rows.
template <class T>
struct Channels {
  i64 columns;
  const T *mean, *rstd, *gamma, *beta;
  MLD_HD T xhat(T x, i64 c) const { return norm::xhat(x, mean[c], rstd[c]); }
  MLD_HD T affine(T xhat, i64 c) const { return norm::affine(xhat, gamma[c], beta[c]); }
};

// F's f.element(i, c) for every element i, which is in channel c: along the rows on the CPU, one thread each
// on a GPU.
template <class F>
struct ElementRow {
  F f;
  i64 columns;
  void operator()(i64 row) const {
    const F local = f;
    const i64 first = row * columns;
#pragma GCC ivdep
    for (i64 c = 0; c < columns; ++c) local.element(first + c, c);
  }
};
template <class F>
struct OneElement {
  F f;
  i64 columns;
  MLD_HD void operator()(i64 i) const { f.element(i, i % columns); }
};

template <class F>
void for_each_element(Device device, i64 rows, i64 columns, const F& f) {
  if (device.kind == DeviceKind::cuda)
    gpu::for_each(device, rows * columns, OneElement<F>{f, columns});
  else
    for_each_host_row(device, rows, columns, ElementRow<F>{f, columns});
}

template <class T, class F>
struct Normalise {
  Channels<T> p;
  F f;
  const T* x;
  T* y;
  MLD_HD void element(i64 i, i64 c) const { y[i] = f.value(p.affine(p.xhat(x[i], c), c)); }
};

// Gradients of gamma and beta, and the means that InputGradient needs.
template <class T, class F>
struct ParameterSums {
  Channels<T> p;
  F f;
  const T *x, *dy;
  T inverse_rows;
  T *mean_dz, *mean_dz_xhat;
  norm::ParameterGradients<T> gradients;
  using Acc = norm::Pair<T>;
  MLD_HD Acc zero() const { return {T(0), T(0)}; }
  MLD_HD Acc load(i64 c, i64 row) const {
    const T h = p.xhat(x[row * p.columns + c], c);
    const T dz = norm::dz(f, p.affine(h, c), dy[row * p.columns + c]);
    return {dz, dz * h};
  }
  MLD_HD Acc join(Acc u, Acc v) const { return u + v; }
  MLD_HD void store(i64 c, Acc s) const {
    mean_dz[c] = s.a * inverse_rows;
    mean_dz_xhat[c] = s.b * inverse_rows;
    gradients.store(c, s);
  }
};

// dx = gamma/std (dz - mean(dz) - xhat mean(dz xhat)), the means being over the batch; without them where the
// statistics are constants.
template <class T, class F, bool kBatch, bool kAdd>
struct InputGradient {
  Channels<T> p;
  F f;
  const T *x, *dy;
  const T *mean_dz, *mean_dz_xhat;
  T* dx;
  MLD_HD void element(i64 i, i64 c) const {
    const T h = p.xhat(x[i], c), scale = p.gamma[c] * p.rstd[c], dz = norm::dz(f, p.affine(h, c), dy[i]);
    put<kAdd>(dx[i], kBatch ? norm::dx(scale, dz, h, mean_dz[c], mean_dz_xhat[c]) : scale * dz);
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
  const Tensor means = Tensor::empty({2, columns}, dy.dtype(), device);
  T *mean_dz = means.ptr<T>(), *mean_dz_xhat = mean_dz + columns;
  const T *x = s.x.ptr<T>(), *up = dy.ptr<T>();
  if (s.training || !s.gamma_slot.constant() || !s.beta_slot.constant()) {
    const auto gradients = norm::parameter_gradients<T>(s.gamma_slot, s.beta_slot, columns, dy, tape);
    reduce_columns(device, rows, columns,
                   ParameterSums<T, F>{channels<T>(s), f, x, up, T(1) / static_cast<T>(rows), mean_dz,
                                       mean_dz_xhat, gradients});
  }
  if (s.x_slot.constant()) return;
  const Tape::Target dx = tape.target(s.x_slot, s.x.shape(), dy.dtype(), device);
  with_flag(s.training, [&](auto batch) {
    with_flag(dx.add, [&](auto adding) {
      for_each_element(device, rows, columns,
                       InputGradient<T, F, decltype(batch)::value, decltype(adding)::value>{
                           channels<T>(s), f, x, up, mean_dz, mean_dz_xhat, dx.grad.ptr<T>()});
    });
  });
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
    for_each(device, columns, RunningStatistics<T>{rm, rv, static_cast<T>(eps), mean, rstd});
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
      for_each_element(x.device(), rows, columns,
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
