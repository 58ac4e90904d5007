// Softmax, its logarithm and the cross-entropy of labels: row kernels, each row shifted by its maximum; and numbers of
// categories as rows, and back.
#include <cstdint>
#include <limits>

#include "engine/kernels/broadcast.h"
#include "engine/math/vecmath.h"
#include "engine/ops/index_check.h"
#include "engine/ops/reduction.h"

namespace mld {
namespace {

template <class T>
constexpr T minus_inf() {
  return -std::numeric_limits<T>::infinity();
}

// One row of K logits; mask is looked at if kMasked only.
template <class T, bool kMasked>
struct Row {
  const T* x;
  const std::uint8_t* mask;
  std::int64_t k;

  MLD_HD bool out(std::int64_t j) const { return kMasked && mask[j] == 0; }
  MLD_HD T shifted_exp(std::int64_t j, T max) const { return out(j) ? T(0) : math::exp(x[j] - max); }
  template <class Team>
  MLD_HD T max(const Team& team) const {
    return team.fold(
        k, minus_inf<T>(), [row = *this](std::int64_t j) { return row.out(j) ? minus_inf<T>() : row.x[j]; },
        Larger{});
  }
  template <class Team>
  MLD_HD T sum_exp(T max, const Team& team) const {
    return team.fold(
        k, T(0), [row = *this, max](std::int64_t j) { return row.shifted_exp(j, max); }, Plus{});
  }
};

struct OneHot {
  const std::int32_t* index;
  float* y;
  std::int64_t categories;
  MLD_HD void operator()(std::int64_t i) const {
    y[i] = index[i / categories] == i % categories ? 1.0f : 0.0f;
  }
};

template <class T>
struct Candidate {
  T value;
  std::int32_t at;
};

struct Better {
  template <class T>
  MLD_HD Candidate<T> operator()(Candidate<T> a, Candidate<T> b) const {
    if (a.value != a.value) return a;
    if (b.value != b.value || b.value > a.value) return b;
    return b.value == a.value && b.at < a.at ? b : a;
  }
};

template <class T>
struct ArgmaxRow {
  const T* x;
  std::int32_t* y;
  std::int64_t k;
  template <class Team>
  MLD_HD void operator()(std::int64_t index, const Team& team) const {
    const Candidate<T> best = team.fold(
        k, Candidate<T>{minus_inf<T>(), std::numeric_limits<std::int32_t>::max()},
        [row = x + index * k](std::int64_t j) {
          return Candidate<T>{row[j], static_cast<std::int32_t>(j)};
        },
        Better{});
    team.once([=, to = y + index] { *to = best.value != best.value ? -1 : best.at; });
  }
};

template <class T, bool kMasked>
struct SoftmaxRow {
  const T* x;
  const std::uint8_t* mask;
  T* y;
  std::int64_t k;
  template <class Team>
  MLD_HD void operator()(std::int64_t index, const Team& team) const {
    const Row<T, kMasked> row{x + index * k, kMasked ? mask + index * k : nullptr, k};
    T* out = y + index * k;
    const T max = row.max(team);
    team.each(k, [=](std::int64_t j) { out[j] = row.shifted_exp(j, max); });
    const T total = team.fold(
        k, T(0), [=](std::int64_t j) { return out[j]; }, Plus{});  // each thread reads what it wrote
    team.each(k, [=](std::int64_t j) { out[j] = out[j] / total; });
  }
};

template <class T, bool kMasked>
struct LogSoftmaxRow {
  const T* x;
  const std::uint8_t* mask;
  T* y;
  std::int64_t k;
  template <class Team>
  MLD_HD void operator()(std::int64_t index, const Team& team) const {
    const Row<T, kMasked> row{x + index * k, kMasked ? mask + index * k : nullptr, k};
    T* out = y + index * k;
    const T max = row.max(team), log_sum = math::log(row.sum_exp(max, team));
    team.each(k, [=](std::int64_t j) { out[j] = row.out(j) ? minus_inf<T>() : (row.x[j] - max) - log_sum; });
  }
};

// dx = y (dy - sum(dy y))
template <class T, bool kAdd, bool kMasked>
struct SoftmaxPull {
  const T *dy, *y;
  const std::uint8_t* mask;
  T* dx;
  std::int64_t k;
  template <class Team>
  MLD_HD void operator()(std::int64_t index, const Team& team) const {
    const T *d = dy + index * k, *p = y + index * k;
    T* out = dx + index * k;
    const T dot = team.fold(
        k, T(0), [=](std::int64_t j) { return d[j] * p[j]; }, Plus{});
    team.each(k, [=](std::int64_t j) { put<kAdd>(out[j], p[j] * (d[j] - dot)); });
  }
};

// dx = dy - e^y sum(dy); masked entries are constants.
template <class T, bool kAdd, bool kMasked>
struct LogSoftmaxPull {
  const T *dy, *y;
  const std::uint8_t* mask;
  T* dx;
  std::int64_t k;
  template <class Team>
  MLD_HD void operator()(std::int64_t index, const Team& team) const {
    const T *d = dy + index * k, *log_p = y + index * k;
    const Row<T, kMasked> row{log_p, kMasked ? mask + index * k : nullptr, k};
    T* out = dx + index * k;
    const T total = team.fold(
        k, T(0), [=](std::int64_t j) { return row.out(j) ? T(0) : d[j]; }, Plus{});
    team.each(k, [=](std::int64_t j) {
      put<kAdd>(out[j], row.out(j) ? T(0) : d[j] - math::exp(log_p[j]) * total);
    });
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

// stats [B,2]: maximum of the row, sum of exp(x - maximum).
template <class T>
struct SoftmaxStats {
  const T* x;
  T* stats;
  std::int64_t k;
  template <class Team>
  MLD_HD void operator()(std::int64_t index, const Team& team) const {
    const Row<T, false> row{x + index * k, nullptr, k};
    const T max = row.max(team), sum = row.sum_exp(max, team);
    T* const to = stats + 2 * index;
    team.once([=] {
      to[0] = max;
      to[1] = sum;
    });
  }
};

// Sum over labelled rows of -log softmax(x)[label], and their number.
template <class T>
struct MeanNll {
  struct Acc {
    T loss, count;
  };
  const T *x, *stats;
  const std::int32_t* labels;
  T *y, *inverse_count;
  std::int64_t k;
  MLD_HD Acc zero() const { return {T(0), T(0)}; }
  MLD_HD Acc load(std::int64_t, std::int64_t row) const {
    const std::int32_t label = labels[row];
    if (label < 0 || label >= k) return zero();
    return {(stats[2 * row] - x[row * k + label]) + math::log(stats[2 * row + 1]), T(1)};
  }
  MLD_HD Acc join(Acc a, Acc b) const { return {a.loss + b.loss, a.count + b.count}; }
  MLD_HD void store(std::int64_t, Acc a) const {
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
  template <class Team>
  MLD_HD void operator()(std::int64_t index, const Team& team) const {
    const T* v = x + index * k;
    T* out = dx + index * k;
    const T max = stats[2 * index], inverse_sum = T(1) / stats[2 * index + 1], g = dy[0] * inverse_count[0];
    const std::int32_t label = labels[index];
    const bool known = label >= 0 && label < k;
    team.each(k, [=](std::int64_t j) {
      put<kAdd>(out[j],
                known ? g * (math::exp(v[j] - max) * inverse_sum - (j == label ? T(1) : T(0))) : T(0));
    });
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
    for_each_row(x.device(), rows, k, SoftmaxStats<T>{x.ptr<T>(), stats.ptr<T>(), k});
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

Tensor argmax(const Tensor& x) {
  MLD_CHECK(x.shape().rank() > 0 && x.shape()[-1] > 0, "argmax: ", x.shape(),
            " has no last axis to choose from");
  Shape shape;
  for (int axis = 0; axis + 1 < x.shape().rank(); ++axis) shape.push_back(x.shape()[axis]);
  const std::int64_t k = x.shape()[-1];
  const Tensor y = Tensor::empty(shape, DType::i32, x.device());
  dispatch_float(x.dtype(), "argmax", [&]<class T>() {
    for_each_row(x.device(), y.numel(), k, ArgmaxRow<T>{x.ptr<T>(), y.ptr<std::int32_t>(), k});
  });
  return y;
}

Tensor one_hot(const Tensor& index, std::int64_t categories) {
  MLD_CHECK(index.defined() && index.dtype() == DType::i32 && categories >= 1, "one_hot: index ",
            index.defined() ? index.shape() : Shape{}, " of ", categories, " categories; needs i32 numbers");
  Shape shape = index.shape();
  shape.push_back(categories);
  const Tensor y = Tensor::empty(shape, DType::f32, index.device());
  for_each(y.device(), y.numel(), OneHot{index.ptr<std::int32_t>(), y.ptr<float>(), categories});
  return y;
}

}  // namespace mld
