// Softmax, its logarithm and the cross-entropy of labels: row kernels, each row shifted by its maximum.
#include <cstdint>
#include <limits>

#include "engine/math/vecmath.h"
#include "engine/ops/broadcast.h"
#include "engine/ops/index_check.h"
#include "engine/ops/reduction.h"

namespace mld {
namespace {

template <class T>
constexpr T kMinusInf = -std::numeric_limits<T>::infinity();

// One row of K logits; mask is looked at if kMasked only.
template <class T, bool kMasked>
struct Row {
  const T* x;
  const std::uint8_t* mask;
  std::int64_t k;

  bool out(std::int64_t j) const { return kMasked && mask[j] == 0; }
  T max() const {
    return driver::fold(
        k, kMinusInf<T>, [row = *this](std::int64_t j) { return row.out(j) ? kMinusInf<T> : row.x[j]; },
        [](T a, T b) { return a > b ? a : b; });
  }
  T shifted_exp(std::int64_t j, T max) const { return out(j) ? T(0) : math::exp(x[j] - max); }
  T sum_exp(T max) const {
    return driver::fold(
        k, T(0), [row = *this, max](std::int64_t j) { return row.shifted_exp(j, max); },
        [](T a, T b) { return a + b; });
  }
};

template <class T, bool kMasked>
struct SoftmaxRow {
  const T* x;
  const std::uint8_t* mask;
  T* y;
  std::int64_t k;
  void operator()(std::int64_t index) const {
    const Row<T, kMasked> row{x + index * k, kMasked ? mask + index * k : nullptr, k};
    T* out = y + index * k;
    const T max = row.max();
#pragma GCC ivdep
    for (std::int64_t j = 0; j < k; ++j) out[j] = row.shifted_exp(j, max);
    const T total = driver::fold(
        k, T(0), [out](std::int64_t j) { return out[j]; }, [](T a, T b) { return a + b; });
    for (std::int64_t j = 0; j < k; ++j) out[j] = out[j] / total;
  }
};

template <class T, bool kMasked>
struct LogSoftmaxRow {
  const T* x;
  const std::uint8_t* mask;
  T* y;
  std::int64_t k;
  void operator()(std::int64_t index) const {
    const Row<T, kMasked> row{x + index * k, kMasked ? mask + index * k : nullptr, k};
    T* out = y + index * k;
    const T max = row.max(), log_sum = math::log(row.sum_exp(max));
#pragma GCC ivdep
    for (std::int64_t j = 0; j < k; ++j) out[j] = row.out(j) ? kMinusInf<T> : (row.x[j] - max) - log_sum;
  }
};

// dx = y (dy - sum(dy y))
template <class T, bool kAdd, bool kMasked>
struct SoftmaxPull {
  const T *dy, *y;
  const std::uint8_t* mask;
  T* dx;
  std::int64_t k;
  void operator()(std::int64_t index) const {
    const T *d = dy + index * k, *p = y + index * k;
    T* out = dx + index * k;
    const T dot = driver::fold(
        k, T(0), [d, p](std::int64_t j) { return d[j] * p[j]; }, [](T a, T b) { return a + b; });
#pragma GCC ivdep
    for (std::int64_t j = 0; j < k; ++j) put<kAdd>(out[j], p[j] * (d[j] - dot));
  }
};

// dx = dy - e^y sum(dy); masked entries are constants.
template <class T, bool kAdd, bool kMasked>
struct LogSoftmaxPull {
  const T *dy, *y;
  const std::uint8_t* mask;
  T* dx;
  std::int64_t k;
  void operator()(std::int64_t index) const {
    const T *d = dy + index * k, *log_p = y + index * k;
    const Row<T, kMasked> row{log_p, kMasked ? mask + index * k : nullptr, k};
    T* out = dx + index * k;
    const T total = driver::fold(
        k, T(0), [d, row](std::int64_t j) { return row.out(j) ? T(0) : d[j]; },
        [](T a, T b) { return a + b; });
#pragma GCC ivdep
    for (std::int64_t j = 0; j < k; ++j)
      put<kAdd>(out[j], row.out(j) ? T(0) : d[j] - math::exp(log_p[j]) * total);
  }
};

template <template <class, bool> class Forward, template <class, bool, bool> class Pull>
Var over_last_axis(Op op, const Var& x, const Tensor& mask) {
  MLD_CHECK(x.shape().rank() > 0 && x.shape()[-1] > 0, op_name(op), ": no entries along the last axis of ",
            x.shape());
  MLD_CHECK(!mask.defined() ||
                (mask.shape() == x.shape() && mask.dtype() == DType::u8 && mask.device() == x.device()),
            op_name(op), ": mask ", mask.shape(), " ", dtype_name(mask.dtype()), " (", mask.device(),
            ") for x ", x.shape(), " (", x.device(), "); it must be u8 of the shape of x");
  const std::int64_t k = x.shape()[-1], rows = x.value.numel() / k;
  const std::uint8_t* m = mask.defined() ? mask.ptr<std::uint8_t>() : nullptr;
  const Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  dispatch_float(x.dtype(), op_name(op), [&]<class T>() {
    with_flag(m != nullptr, [&](auto masked) {
      for_each_row(x.device(), rows, k,
                   Forward<T, decltype(masked)::value>{x.value.ptr<T>(), m, y.ptr<T>(), k});
    });
  });
  if (!needs_grad(x)) return y;
  return {y, Tape::current()->record(op, [y, mask, m, rows, k, slot = x.slot](const Tensor& dy, Tape& tape) {
            const Tape::Target dx = tape.target(slot, y.shape(), dy.dtype(), dy.device());
            dispatch_float(dy.dtype(), "backward", [&]<class T>() {
              with_flag(dx.add, [&](auto adding) {
                with_flag(m != nullptr, [&](auto masked) {
                  using Kernel = Pull<T, decltype(adding)::value, decltype(masked)::value>;
                  for_each_row(dy.device(), rows, k, Kernel{dy.ptr<T>(), y.ptr<T>(), m, dx.grad.ptr<T>(), k});
                });
              });
            });
          })};
}

// Sum over labelled rows of -log softmax(x)[label], and their number.
template <class T>
struct MeanNll {
  struct Acc {
    T loss, count;
  };
  const T *x, *stats;  // stats [B,2]: maximum of the row, sum of exp(x - maximum)
  const std::int32_t* labels;
  T *y, *inverse_count;
  std::int64_t k;
  Acc zero() const { return {T(0), T(0)}; }
  Acc load(std::int64_t, std::int64_t row) const {
    const std::int32_t label = labels[row];
    if (label < 0 || label >= k) return zero();
    return {(stats[2 * row] - x[row * k + label]) + math::log(stats[2 * row + 1]), T(1)};
  }
  Acc join(Acc a, Acc b) const { return {a.loss + b.loss, a.count + b.count}; }
  void store(std::int64_t, Acc a) const {
    inverse_count[0] = a.count > T(0) ? T(1) / a.count : T(0);
    y[0] = a.count > T(0) ? a.loss / a.count : T(0);
  }
};

// dx = dy / count * (softmax(x) - onehot(label)); 0 for a row without a label.
template <class T, bool kAdd>
struct CrossEntropyPull {
  const T *dy, *x, *stats, *inverse_count;
  const std::int32_t* labels;
  T* dx;
  std::int64_t k;
  void operator()(std::int64_t index) const {
    const T* v = x + index * k;
    T* out = dx + index * k;
    const T max = stats[2 * index], inverse_sum = T(1) / stats[2 * index + 1], g = dy[0] * inverse_count[0];
    const std::int32_t label = labels[index];
    const bool known = label >= 0 && label < k;
#pragma GCC ivdep
    for (std::int64_t j = 0; j < k; ++j)
      put<kAdd>(out[j],
                known ? g * (math::exp(v[j] - max) * inverse_sum - (j == label ? T(1) : T(0))) : T(0));
  }
};

}  // namespace

Var softmax(const Var& x, const Tensor& mask) {
  return over_last_axis<SoftmaxRow, SoftmaxPull>(Op::softmax, x, mask);
}

Var log_softmax(const Var& x, const Tensor& mask) {
  return over_last_axis<LogSoftmaxRow, LogSoftmaxPull>(Op::log_softmax, x, mask);
}

Var cross_entropy(const Var& logits, const Tensor& labels) {
  const Tensor& x = logits.value;
  check_rows_of_classes("cross_entropy", x, labels);
  const std::int64_t k = x.shape()[-1], rows = labels.numel();
  const Tensor y = Tensor::empty({1}, x.dtype(), x.device());
  const Tensor inverse_count = Tensor::empty({1}, x.dtype(), x.device());
  const Tensor stats = Tensor::empty({rows, 2}, x.dtype(), x.device());
  const auto* label = labels.ptr<std::int32_t>();
  dispatch_float(x.dtype(), "cross_entropy", [&]<class T>() {
    for_each_row(x.device(), rows, k, [v = x.ptr<T>(), s = stats.ptr<T>(), k](std::int64_t index) {
      const Row<T, false> row{v + index * k, nullptr, k};
      s[2 * index] = row.max();
      s[2 * index + 1] = row.sum_exp(s[2 * index]);
    });
    reduce(x.device(), 1, rows,
           MeanNll<T>{x.ptr<T>(), stats.ptr<T>(), label, y.ptr<T>(), inverse_count.ptr<T>(), k});
  });
  if (!needs_grad(logits)) return y;
  const auto pull = [x, labels, stats, inverse_count, rows, k, slot = logits.slot](const Tensor& dy,
                                                                                   Tape& tape) {
    const Tape::Target dx = tape.target(slot, x.shape(), dy.dtype(), dy.device());
    dispatch_float(dy.dtype(), "backward", [&]<class T>() {
      with_flag(dx.add, [&](auto adding) {
        for_each_row(dy.device(), rows, k,
                     CrossEntropyPull<T, decltype(adding)::value>{
                         dy.ptr<T>(), x.ptr<T>(), stats.ptr<T>(), inverse_count.ptr<T>(),
                         labels.ptr<std::int32_t>(), dx.grad.ptr<T>(), k});
      });
    });
  };
  return {y, Tape::current()->record(Op::cross_entropy, pull)};
}

}  // namespace mld
