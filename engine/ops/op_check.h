// Argument checks that operators share. A message names the operator, both tensors with shape, type and
// device, and what to change.
#pragma once

#include "engine/core/tape.h"
#include "engine/kernels/activation.h"

namespace mld::check {

inline std::string describe(const char* name, const Tensor& t) {
  return cat(name, " ", t.shape(), " ", dtype_name(t.dtype()), " (", t.device(), ")");
}

inline void defined(const char* op, const char* name, const Tensor& t) {
  MLD_CHECK(t.defined(), op, ": ", name, " is an empty handle; pass a tensor");
}

// Both on one device and of one type, f32 or f64.
inline void same_kind(const char* op, const char* a_name, const Tensor& a, const char* b_name,
                      const Tensor& b) {
  defined(op, a_name, a);
  defined(op, b_name, b);
  MLD_CHECK(a.device() == b.device() && a.dtype() == b.dtype(), op, ": ", describe(a_name, a), " and ",
            describe(b_name, b), " differ in type or device; convert one with to()");
}

// A per-channel vector [channels] that goes with x; `optional` ones may be undefined.
inline void per_channel(const char* op, const Tensor& x, const char* name, const Tensor& v,
                        std::int64_t channels, bool optional = false) {
  if (optional && !v.defined()) return;
  same_kind(op, "x", x, name, v);
  MLD_CHECK(v.shape() == Shape({channels}), op, ": ", describe(name, v), " must have shape [", channels,
            "], one value per channel of the result for x ", x.shape());
}

inline void rank(const char* op, const char* name, const Tensor& t, int wanted, const char* layout) {
  defined(op, name, t);
  MLD_CHECK(t.shape().rank() == wanted, op, ": ", describe(name, t), " must be ", layout,
            "; use reshape or permute");
}

inline void activation(const char* op, Activation act) {
  MLD_CHECK(act.slope >= 0, op, ": slope ", act.slope, " of leaky_relu must not be negative");
}

}  // namespace mld::check
