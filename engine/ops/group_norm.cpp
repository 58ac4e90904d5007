#include <algorithm>
#include <utility>

#include "engine/core/drivers.h"
#include "engine/ops/map_norm.h"
#include "engine/ops/norm.h"
#include "engine/ops/op_check.h"
#include "engine/ops/row_norm.h"

// Saved for backward: x and mean and 1/std [N,G]; what enters the activation is computed again. A sample's
// result depends on nothing but the sample. Layer norm is the case of one group and S = 1.

namespace mld {
namespace {

using i64 = std::int64_t;

// Samples are taken in blocks, whose number is limited; each leaves its part of the gradients of gamma and
// beta.
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
  const auto run = [&](auto kernel) { for_each_row(y.device(), s.samples, s.l.sample_size(), kernel); };
  const T *x = s.x.ptr<T>(), *gamma = s.gamma.ptr<T>(), *beta = s.beta.ptr<T>();
  with_activation(s.act, [&](auto f) {
    if (s.l.rows == 1)
      run(RowNorm<T, decltype(f)>{s.l.groups, s.l.width(), f, static_cast<T>(eps), x, gamma, beta, y.ptr<T>(),
                                  s.mean.ptr<T>(), s.rstd.ptr<T>()});
    else
      run(MapNorm<T, decltype(f)>{s.l, f, static_cast<T>(eps), x, gamma, beta, y.ptr<T>(), s.mean.ptr<T>(),
                                  s.rstd.ptr<T>()});
  });
}

// Adds up the parts of the blocks in order: which = 0 for gamma, 1 for beta.
template <class T>
void join_blocks(const Tensor& partial, i64 which, Slot slot, Tape& tape) {
  if (slot.constant()) return;
  const i64 blocks = partial.shape()[0], columns = partial.shape()[2];
  const Tape::Target to = tape.target(slot, {columns}, partial.dtype(), partial.device());
  for_each(
      partial.device(), columns,
      [blocks, columns, add = to.add, p = partial.ptr<T>() + which * columns, g = to.grad.ptr<T>()](i64 c) {
        T sum = T(0);
        for (i64 b = 0; b < blocks; ++b) sum += p[b * 2 * columns + c];
        g[c] = add ? g[c] + sum : sum;
      });
}

template <class T>
void backward(const Saved& s, const Tensor& dy, Tape& tape) {
  const i64 blocks = block_count(s.samples);
  const Tensor partial = Tensor::empty({blocks, 2, s.l.columns}, dy.dtype(), dy.device());
  Tape::Target target{};
  if (!s.x_slot.constant()) target = tape.target(s.x_slot, s.x.shape(), dy.dtype(), dy.device());
  T* const dx = target.grad.defined() ? target.grad.ptr<T>() : nullptr;
  const auto run = [&](auto sample) {
    for_each_row(dy.device(), blocks, block_samples(s.samples) * s.l.sample_size(),
                 Block<T, decltype(sample)>{sample, s.samples, s.l.columns, partial.ptr<T>()});
  };
  const T *x = s.x.ptr<T>(), *gamma = s.gamma.ptr<T>(), *beta = s.beta.ptr<T>();
  const T *mean = s.mean.ptr<T>(), *rstd = s.rstd.ptr<T>(), *up = dy.ptr<T>();
  with_activation(s.act, [&](auto f) {
    using F = decltype(f);
    if (s.l.rows == 1)
      run(RowNormBackward<T, F>{s.l.groups, s.l.width(), f, x, up, gamma, beta, mean, rstd, dx, target.add});
    else
      run(MapNormBackward<T, F>{s.l, f, x, up, gamma, beta, mean, rstd, dx, target.add});
  });
  join_blocks<T>(partial, 0, s.gamma_slot, tape);
  join_blocks<T>(partial, 1, s.beta_slot, tape);
}

Var normalise(Op op, const Var& x, const Var& gamma, const Var& beta, i64 samples, const MapLayout& l,
              double eps, Activation act) {
  check::per_channel(op_name(op), x.value, "gamma", gamma.value, l.columns);
  check::per_channel(op_name(op), x.value, "beta", beta.value, l.columns);
  check::activation(op_name(op), act);
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
