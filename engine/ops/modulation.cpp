// Adaptive layer norm and its gated residual. Backward is one pass over the rows, and one over the columns for what is
// shared by the rows.
#include <utility>

#include "engine/kernels/modulation.h"
#include "engine/loops/drivers.h"
#include "engine/ops/norm.h"
#include "engine/ops/op_check.h"

namespace mld {
namespace {

using i64 = std::int64_t;

void check_modulation(Op op, const Var& x, const char* name, const Var& m) {
  check::same_kind(op_name(op), "x", x.value, name, m.value);
  const Shape& s = x.shape();
  MLD_CHECK(m.shape() == s || m.shape() == Shape({1, s[1]}), op_name(op), ": ",
            check::describe(name, m.value), " must have the shape of x ", s, ", or one row for all");
}

void check_rows(Op op, const Var& x) {
  check::rank(op_name(op), "x", x.value, 2, "[N,C]");
  MLD_CHECK(x.shape()[1] > 0, op_name(op), ": x ", x.shape(), " has no columns");
}

bool shared(const Tensor& x, const Tensor& m) { return m.shape()[0] == 1 && x.shape()[0] != 1; }

template <class T>
Modulation<T> modulation(const Tensor& learned, const Tensor& m, const Tensor& x) {
  return {learned.ptr<T>(), m.ptr<T>(), x.shape()[1], shared(x, m)};
}

template <class T>
GradientPlace<T> place(Slot slot, const Shape& shape, const Tensor& dy, Tape& tape) {
  if (slot.constant()) return {};
  const Tape::Target target = tape.target(slot, shape, dy.dtype(), dy.device());
  return {target.grad.template ptr<T>(), target.add};
}

struct SavedNorm {
  Tensor x, gamma, scale, mean, rstd;
  Slot x_slot, gamma_slot, beta_slot, scale_slot, shift_slot;
  bool scale_shared, shift_shared;
};

template <class T>
void pull_norm(const SavedNorm& s, const Tensor& dy, Tape& tape) {
  const Shape &all = s.x.shape(), one{1, all[1]}, vector{all[1]};
  const auto of_row = [&](Slot slot, bool shared) {
    return shared ? GradientPlace<T>{} : place<T>(slot, all, dy, tape);
  };
  const auto of_all = [&](Slot slot, bool shared) {
    return shared ? place<T>(slot, one, dy, tape) : GradientPlace<T>{};
  };
  const T *x = s.x.ptr<T>(), *up = dy.ptr<T>(), *mean = s.mean.ptr<T>(), *rstd = s.rstd.ptr<T>();
  for_each_row(dy.device(), all[0], all[1],
               ModulatedNormBackward<T>{
                   x, up, mean, rstd, modulation<T>(s.gamma, s.scale, s.x), place<T>(s.x_slot, all, dy, tape),
                   of_row(s.scale_slot, s.scale_shared), of_row(s.shift_slot, s.shift_shared)});
  reduce_columns(
      dy.device(), all[0], all[1],
      ModulatedNormSums<T>{x, up, mean, rstd, all[1], place<T>(s.gamma_slot, vector, dy, tape),
                           place<T>(s.beta_slot, vector, dy, tape), of_all(s.scale_slot, s.scale_shared),
                           of_all(s.shift_slot, s.shift_shared)});
}

struct SavedGate {
  Tensor y, gate, row;
  Slot h_slot, y_slot, gate_slot, row_slot;
};

template <class T>
void pull_gate(const SavedGate& s, const Tensor& dout, Tape& tape) {
  const Shape& all = s.y.shape();
  const bool one_row = shared(s.y, s.row);
  const GradientPlace<T> row = place<T>(s.row_slot, s.row.shape(), dout, tape), none;
  const T *y = s.y.ptr<T>(), *up = dout.ptr<T>();
  for_each_row(dout.device(), all[0], all[1],
               GatedAddBackward<T>{y, up, modulation<T>(s.gate, s.row, s.y),
                                   place<T>(s.y_slot, all, dout, tape), one_row ? none : row});
  reduce_columns(
      dout.device(), all[0], all[1],
      GateSums<T>{y, up, all[1], place<T>(s.gate_slot, {all[1]}, dout, tape), one_row ? row : none});
}

}  // namespace

Var modulated_layer_norm(const Var& x, const Var& gamma, const Var& beta, const Var& scale, const Var& shift,
                         double eps) {
  constexpr Op kOp = Op::modulated_layer_norm;
  check_rows(kOp, x);
  const i64 rows = x.shape()[0], columns = x.shape()[1];
  check::per_channel(op_name(kOp), x.value, "gamma", gamma.value, columns);
  check::per_channel(op_name(kOp), x.value, "beta", beta.value, columns);
  check_modulation(kOp, x, "scale", scale);
  check_modulation(kOp, x, "shift", shift);
  const auto moments = [&] { return Tensor::empty({rows}, x.dtype(), x.device()); };
  SavedNorm s{x.value,
              gamma.value,
              scale.value,
              moments(),
              moments(),
              x.slot,
              gamma.slot,
              beta.slot,
              scale.slot,
              shift.slot,
              shared(x.value, scale.value),
              shared(x.value, shift.value)};
  Var y = Tensor::empty(x.shape(), x.dtype(), x.device());
  dispatch_float(x.dtype(), op_name(kOp), [&]<class T>() {
    for_each_row(x.device(), rows, columns,
                 ModulatedNorm<T>{static_cast<T>(eps), x.value.ptr<T>(),
                                  modulation<T>(gamma.value, scale.value, x.value),
                                  modulation<T>(beta.value, shift.value, x.value), y.value.ptr<T>(),
                                  s.mean.ptr<T>(), s.rstd.ptr<T>()});
  });
  if (!needs_grad(x, gamma, beta, scale, shift)) return y;
  y.slot = Tape::current()->record(kOp, [s = std::move(s)](const Tensor& dy, Tape& tape) {
    dispatch_float(dy.dtype(), op_name(kOp), [&]<class T>() { pull_norm<T>(s, dy, tape); });
  });
  return y;
}

Var gated_add(const Var& h, const Var& y, const Var& gate, const Var& row) {
  constexpr Op kOp = Op::gated_add;
  check_rows(kOp, y);
  check::same_kind(op_name(kOp), "y", y.value, "h", h.value);
  MLD_CHECK(h.shape() == y.shape(), op_name(kOp), ": h ", h.shape(), " and y ", y.shape(),
            " differ in shape");
  check::per_channel(op_name(kOp), y.value, "gate", gate.value, y.shape()[1]);
  check_modulation(kOp, y, "row", row);
  Var out = Tensor::empty(y.shape(), y.dtype(), y.device());
  dispatch_float(y.dtype(), op_name(kOp), [&]<class T>() {
    for_each_row(y.device(), y.shape()[0], y.shape()[1],
                 GatedAdd<T>{h.value.ptr<T>(), y.value.ptr<T>(),
                             modulation<T>(gate.value, row.value, y.value), out.value.ptr<T>()});
  });
  if (!needs_grad(h, y, gate, row)) return out;
  out.slot = Tape::current()->record(
      kOp, [s = SavedGate{y.value, gate.value, row.value, h.slot, y.slot, gate.slot, row.slot}](
               const Tensor& dout, Tape& tape) {
        dispatch_float(dout.dtype(), op_name(kOp), [&]<class T>() { pull_gate<T>(s, dout, tape); });
        tape.accumulate(s.h_slot, dout);
      });
  return out;
}

}  // namespace mld
