#include "mld/modality/networks/scaling.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include "engine/loops/drivers.h"

namespace mld {
namespace {

constexpr double kLargestDeviation = 10;  // of a training item, in units of the scale

// Value i has the offset and scale number i % size. In double: data may lie far from 0, or near the ends of
// what a float holds.
template <class T>
struct ToNetwork {
  const T *x, *offset, *scale;
  T* u;
  std::int64_t size;
  MLD_HD void operator()(std::int64_t i) const {
    const auto o = static_cast<double>(offset[i % size]), s = static_cast<double>(scale[i % size]);
    u[i] = s > 0 ? static_cast<T>((static_cast<double>(x[i]) - o) / s) : T(0);
  }
};

template <class T>
struct ToData {
  const T *u, *offset, *scale;
  T* x;
  std::int64_t size;
  MLD_HD void operator()(std::int64_t i) const {
    const auto o = static_cast<double>(offset[i % size]), s = static_cast<double>(scale[i % size]);
    x[i] = s > 0 ? static_cast<T>(o + s * static_cast<double>(u[i])) : offset[i % size];
  }
};

template <template <class> class F>
Tensor mapped(const Scaling& scaling, const Tensor& from) {
  const std::int64_t size = scaling.offset.value().numel();
  MLD_CHECK(size == 1 || from.numel() % size == 0, "scaling of ", size, " coordinates for ", from.shape());
  const Tensor to = Tensor::empty(from.shape(), from.dtype(), from.device());
  dispatch_float(from.dtype(), "scaling", [&]<class T>() {
    for_each(from.device(), from.numel(),
             F<T>{from.ptr<T>(), scaling.offset.value().ptr<T>(), scaling.scale.value().ptr<T>(), to.ptr<T>(),
                  size});
  });
  return to;
}

// f(`size` values) for all values of all items of `item_size` in order, some items read together.
void each_row(const data::Split& split, int modality, std::int64_t item_size, std::int64_t size,
              const std::function<void(std::span<const float>)>& f) {
  constexpr std::int64_t kTogether = 1024;
  const std::int64_t total = split.num_items(modality);
  const auto step = static_cast<std::size_t>(size);
  std::vector<float> values;
  for (std::int64_t first = 0; first < total; first += kTogether) {
    std::vector<std::int32_t> items(static_cast<std::size_t>(std::min(kTogether, total - first)));
    std::iota(items.begin(), items.end(), static_cast<std::int32_t>(first));
    values.resize(items.size() * static_cast<std::size_t>(item_size));
    split.gather(modality, items, values);
    for (std::size_t i = 0; i < values.size(); i += step) f(std::span(values).subspan(i, step));
  }
}

}  // namespace

Scaling::Scaling(std::int64_t size) : offset({size}, 0.0), scale({size}, 1.0), measured(true) {}

Scaling::Scaling(data::ValueRange range)
    : offset({1}, static_cast<double>(range.min)),
      scale({1}, static_cast<double>(range.max) - static_cast<double>(range.min)),
      measured(false) {}

Tensor Scaling::to_network(const Tensor& x) const { return mapped<ToNetwork>(*this, x); }
Tensor Scaling::to_data(const Tensor& u) const { return mapped<ToData>(*this, u); }

Var scaled(const std::optional<Scaling>& scaling, const Var& x) {
  if (!scaling) return x;
  MLD_CHECK(!needs_grad(x), "scaling: takes data, to which no gradient flows");
  return scaling->to_network(x.value);
}

Var unscaled(const std::optional<Scaling>& scaling, const Var& u) {
  if (!scaling) return u;
  MLD_CHECK(!needs_grad(u), "scaling: losses are in the network's units");
  return scaling->to_data(u.value);
}

void measure(const std::optional<Scaling>& scaling, const data::Split& split, int modality,
             std::int64_t item_size) {
  if (!scaling || !scaling->measured) return;
  const std::int64_t size = scaling->offset.value().numel();
  const auto n = static_cast<std::size_t>(size);
  const auto rows = static_cast<double>(split.num_items(modality) * (item_size / size));
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::vector<double> mean(n), squares(n);
  std::vector<float> low(n, kInfinity), high(n, -kInfinity);
  each_row(split, modality, item_size, size, [&](std::span<const float> x) {
    for (std::size_t j = 0; j < n; ++j) {
      mean[j] += static_cast<double>(x[j]);
      low[j] = std::min(low[j], x[j]);
      high[j] = std::max(high[j], x[j]);
    }
  });
  for (double& m : mean) m /= rows;
  each_row(split, modality, item_size, size, [&](std::span<const float> x) {
    for (std::size_t j = 0; j < n; ++j) squares[j] += std::pow(static_cast<double>(x[j]) - mean[j], 2);
  });
  std::vector<float> offset(n), scale(n);
  for (std::size_t j = 0; j < n; ++j) {
    const double largest =
        std::max(static_cast<double>(high[j]) - mean[j], mean[j] - static_cast<double>(low[j]));
    offset[j] = low[j] == high[j] ? low[j] : static_cast<float>(mean[j]);
    if (low[j] < high[j])
      scale[j] = static_cast<float>(std::max(std::sqrt(squares[j] / rows), largest / kLargestDeviation));
  }
  scaling->offset.value().upload(offset.data());
  scaling->scale.value().upload(scale.data());
}

}  // namespace mld
