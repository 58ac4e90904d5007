#include <algorithm>
#include <utility>

#include "engine/kernels/map_norm.h"
#include "engine/kernels/row_norm.h"
#include "engine/kernels/unit_norm.h"
#include "engine/loops/drivers.h"
#include "engine/ops/norm.h"
#include "engine/ops/op_check.h"

// Saved for backward: x and mean and 1/std [N,G]; what enters the activation is computed again. A sample's
// result depends on nothing but the sample. Layer norm is the case of one group and S = 1.

namespace mld {
namespace {

using i64 = std::int64_t;

// On the CPU backward takes samples in blocks, whose number is limited; each leaves its part of the gradients
// of gamma and beta.
i64 block_samples(i64 samples) { return std::max<i64>(16, (samples + 63) / 64); }
i64 block_count(i64 samples) { return (samples + block_samples(samples) - 1) / block_samples(samples); }

template <class T, class Sample>
struct Block {
  Sample body;
  i64 samples, columns;
  T* partial;  // [blocks, 2, C]: sums over the block for gamma and for beta
  void operator()(i64 block) const {
    T *dgamma = partial + block * 2 * columns, *dbeta = dgamma + columns;
    std::fill(dgamma, dbeta + columns, T(0));
    const i64 size = block_samples(samples);
    for (i64 n = block * size; n < std::min(samples, (block + 1) * size); ++n) body(n, dgamma, dbeta);
  }
};

struct Saved {
  Op op;
  i64 samples;
  MapLayout l;
  Activation act;
  Tensor x, gamma, beta, mean, rstd;
  Slot x_slot, gamma_slot, beta_slot;
};

template <class T>
void forward(const Saved& s, double eps, const Tensor& y) {
  const Device device = y.device();
  const auto run = [&](auto kernel) { for_each_host_row(device, s.samples, s.l.sample_size(), kernel); };
  const T *x = s.x.ptr<T>(), *gamma = s.gamma.ptr<T>(), *beta = s.beta.ptr<T>();
  T *to = y.ptr<T>(), *mean = s.mean.ptr<T>(), *rstd = s.rstd.ptr<T>();
  const T epsilon = static_cast<T>(eps);
  with_activation(s.act, [&](auto f) {
    using F = decltype(f);
    if (device.kind == DeviceKind::cuda)
      gpu::for_each_row(device, s.samples * s.l.groups, s.l.group_size(),
                        UnitNorm<T, F>{s.l, f, epsilon, x, gamma, beta, to, mean, rstd});
    else if (s.l.rows == 1)
      run(RowNorm<T, F>{s.l.groups, s.l.width(), f, epsilon, x, gamma, beta, to, mean, rstd});
    else
      run(MapNorm<T, F>{s.l, f, epsilon, x, gamma, beta, to, mean, rstd});
  });
}

// Adds up the parts of the blocks in order.
template <class T>
struct JoinBlocks {
  i64 blocks, columns;
  const T* partial;  // [blocks, 2, C]
  norm::ParameterGradients<T> gradients;
  void operator()(i64 c) const {
    norm::Pair<T> sums{T(0), T(0)};
    for (i64 b = 0; b < blocks; ++b) {
      const T* part = partial + b * 2 * columns + c;
      sums = sums + norm::Pair<T>{part[columns], part[0]};
    }
    gradients.store(c, sums);
  }
};

// Where dx goes: null if nobody asks for it.
template <class T>
struct InputTarget {
  T* dx = nullptr;
  bool add = false;
};

template <class T>
void backward_on_host(const Saved& s, const Tensor& dy, InputTarget<T> to, Tape& tape) {
  const i64 blocks = block_count(s.samples), columns = s.l.columns;
  const Tensor partial = Tensor::empty({blocks, 2, columns}, dy.dtype(), dy.device());
  const auto run = [&](auto sample) {
    for_each_host_row(dy.device(), blocks, block_samples(s.samples) * s.l.sample_size(),
                      Block<T, decltype(sample)>{sample, s.samples, columns, partial.ptr<T>()});
  };
  const T *x = s.x.ptr<T>(), *gamma = s.gamma.ptr<T>(), *beta = s.beta.ptr<T>();
  const T *mean = s.mean.ptr<T>(), *rstd = s.rstd.ptr<T>(), *up = dy.ptr<T>();
  with_activation(s.act, [&](auto f) {
    using F = decltype(f);
    if (s.l.rows == 1)
      run(RowNormBackward<T, F>{s.l.groups, s.l.width(), f, x, up, gamma, beta, mean, rstd, to.dx, to.add});
    else
      run(MapNormBackward<T, F>{s.l, f, x, up, gamma, beta, mean, rstd, to.dx, to.add});
  });
  for_each_host_row(
      dy.device(), columns, blocks,
      JoinBlocks<T>{blocks, columns, partial.ptr<T>(),
                    norm::parameter_gradients<T>(s.gamma_slot, s.beta_slot, columns, dy, tape)});
}

template <class T>
void backward_on_gpu(const Saved& s, const Tensor& dy, InputTarget<T> to, Tape& tape) {
  const T *x = s.x.ptr<T>(), *gamma = s.gamma.ptr<T>(), *beta = s.beta.ptr<T>();
  const T *mean = s.mean.ptr<T>(), *rstd = s.rstd.ptr<T>(), *up = dy.ptr<T>();
  with_activation(s.act, [&](auto f) {
    using F = decltype(f);
    if (to.dx)
      gpu::for_each_row(dy.device(), s.samples * s.l.groups, s.l.group_size(),
                        UnitNormBackward<T, F>{s.l, f, x, up, gamma, beta, mean, rstd, to.dx, to.add});
    if (s.gamma_slot.constant() && s.beta_slot.constant()) return;
    const auto gradients = norm::parameter_gradients<T>(s.gamma_slot, s.beta_slot, s.l.columns, dy, tape);
    gpu::reduce_columns(dy.device(), s.samples * s.l.rows, s.l.columns,
                        UnitParameterSums<T, F>{s.l, f, x, up, gamma, beta, mean, rstd, gradients});
  });
}

template <class T>
void backward(const Saved& s, const Tensor& dy, Tape& tape) {
  InputTarget<T> to;
  if (!s.x_slot.constant()) {
    const Tape::Target target = tape.target(s.x_slot, s.x.shape(), dy.dtype(), dy.device());
    to = {target.grad.ptr<T>(), target.add};
  }
  if (dy.device().kind == DeviceKind::cuda)
    backward_on_gpu<T>(s, dy, to, tape);
  else
    backward_on_host<T>(s, dy, to, tape);
}

Var normalise(Op op, const Var& x, const Var& gamma, const Var& beta, i64 samples, const MapLayout& l,
              double eps, Activation act) {
  check::per_channel(op_name(op), x.value, "gamma", gamma.value, l.columns);
  check::per_channel(op_name(op), x.value, "beta", beta.value, l.columns);
  check::activation(op_name(op), act);
  MLD_CHECK(x.device().kind != DeviceKind::cuda || fits_units(l, samples), op_name(op), ": x ", x.shape(),
            " is too large for a GPU: more than 2^32 rows, or values in a sample");
  const auto moments = [&] { return Tensor::empty({samples, l.groups}, x.dtype(), x.device()); };
  Saved s{op,         samples,   l,         act,    x.value,    gamma.value,
          beta.value, moments(), moments(), x.slot, gamma.slot, beta.slot};
  Var y = Tensor::empty(x.shape(), x.dtype(), x.device());
  dispatch_float(x.dtype(), op_name(op), [&]<class T>() { forward<T>(s, eps, y.value); });
  if (!needs_grad(x, gamma, beta)) return y;
  y.slot = Tape::current()->record(op, [s = std::move(s)](const Tensor& dy, Tape& tape) {
    dispatch_float(dy.dtype(), op_name(s.op), [&]<class T>() { backward<T>(s, dy, tape); });
  });
  return y;
}

}  // namespace

Var group_norm(const Var& x, const Var& gamma, const Var& beta, i64 groups, double eps, Activation act) {
  check::defined("group_norm", "x", x.value);
  const Shape& s = x.shape();
  MLD_CHECK(s.rank() >= 2 && s.product(1, s.rank()) > 0, "group_norm: x ", s, " must be [N,...,C]");
  MLD_CHECK(groups > 0 && s[-1] % groups == 0, "group_norm: x ", s, ": ", s[-1],
            " channels do not split into ", groups, " equal groups");
  return normalise(Op::group_norm, x, gamma, beta, s[0], {s.product(1, s.rank() - 1), s[-1], groups}, eps,
                   act);
}

Var layer_norm(const Var& x, const Var& gamma, const Var& beta, double eps, Activation act) {
  check::defined("layer_norm", "x", x.value);
  const Shape& s = x.shape();
  MLD_CHECK(s.rank() >= 1 && s[-1] > 0, "layer_norm: x ", s, " must be [...,C]");
  return normalise(Op::layer_norm, x, gamma, beta, s.product(0, s.rank() - 1), {1, s[-1], 1}, eps, act);
}

}  // namespace mld
