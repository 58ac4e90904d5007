#include "mld/methods/vae/presence.h"

#include "engine/loops/drivers.h"
#include "engine/ops/ops.h"

namespace mld::vae {
namespace {

template <class T>
struct HasAll {
  const std::int32_t* sets;
  Subset wanted;
  T* out;
  MLD_HD void operator()(std::int64_t b) const {
    out[b] = (wanted & ~static_cast<Subset>(sets[b])) == 0 ? T(1) : T(0);
  }
};

// Of two of which one has rows of its own at least.
Tensor spelt_out(const RowNumber& n, const RowNumber& other) {
  if (n.rows.defined()) return affine(n.rows, n.same, 0).value;
  return Tensor::full({1, 1}, n.same, other.rows.dtype(), other.rows.device());
}

}  // namespace

RowNumber operator+(const RowNumber& a, const RowNumber& b) {
  if (!a.rows.defined() && !b.rows.defined()) return {a.same + b.same};
  return {1, add(spelt_out(a, b), spelt_out(b, a)).value};
}

RowNumber operator-(const RowNumber& a, double b) {
  if (!a.rows.defined()) return {a.same - b};
  return {1, affine(a.rows, a.same, -b).value};
}

RowNumber operator*(const RowNumber& a, const RowNumber& b) {
  const double same = a.same * b.same;
  if (!a.rows.defined() || !b.rows.defined()) return {same, a.rows.defined() ? a.rows : b.rows};
  return {same, mul(a.rows, b.rows).value};
}

RowNumber operator/(const RowNumber& a, const RowNumber& b) {
  if (!b.rows.defined()) return {a.same / b.same, a.rows};
  return {1, div(spelt_out(a, b), spelt_out(b, a)).value};
}

RowNumber Presence::has(Subset set) const {
  if (complete()) return {};
  const Tensor rows = Tensor::empty({sets_.numel(), 1}, dtype_, sets_.device());
  dispatch_float(dtype_, "presence", [&]<class T>() {
    for_each(rows.device(), rows.numel(), HasAll<T>{sets_.ptr<std::int32_t>(), set, rows.ptr<T>()});
  });
  return {1, rows};
}

RowNumber Presence::count() const {
  RowNumber all{0};
  for (int m = 0; m < modalities_; ++m) all = all + has(Subset{1} << m);
  return all;
}

}  // namespace mld::vae
