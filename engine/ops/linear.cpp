#include "engine/ops/linear.h"

#include "engine/kernels/cuda/gemm.h"
#include "engine/kernels/fused_epilogue.h"
#include "engine/kernels/gemm_kernel.h"
#include "engine/kernels/gemm_naive.h"
#include "engine/ops/op_check.h"

namespace mld {
namespace {

// One of `batch` matrices stored [rows, columns] without gaps, read as it is or transposed.
struct Operand {
  const Tensor& t;
  std::int64_t rows, columns;
  bool transposed = false;
};

// c (+)= a * b for every matrix of the batch; bias and act as in the kernels. c is [m,n], a is [m,k].
template <class T>
void product(std::int64_t batch, std::int64_t m, std::int64_t n, std::int64_t k, const Operand& a,
             const Operand& b, const Tensor& c, const naive::Epilogue<T>& e) {
  const naive::Matrix<T> ma{a.t.ptr<T>(), a.columns, a.transposed}, mb{b.t.ptr<T>(), b.columns, b.transposed};
  const std::int64_t step_a = a.rows * a.columns, step_b = b.rows * b.columns, step_c = m * n;
  if constexpr (kCudaBuilt)
    if (c.device().kind == DeviceKind::cuda) {
      cuda::gemm<T>(c.device(), {.batch = batch,
                                 .m = m,
                                 .n = n,
                                 .k = k,
                                 .a = {ma.data, ma.ld, ma.transposed},
                                 .b = {mb.data, mb.ld, mb.transposed},
                                 .c = c.ptr<T>(),
                                 .ldc = n,
                                 .add = e.add,
                                 .bias = e.bias,
                                 .stride_a = step_a,
                                 .stride_b = step_b,
                                 .stride_c = step_c});
      if (e.activation.kind != Act::none) fused::apply_activation(c, e.activation, c);
      return;
    }
  submit(c.device(), [=, out = c.ptr<T>()] {
    if constexpr (std::is_same_v<T, float>) {
      cpu::gemm_batched(batch, m, n, k, {ma.data, ma.ld, ma.transposed}, {mb.data, mb.ld, mb.transposed}, out,
                        n, {.a = step_a, .b = step_b, .c = step_c, .add = step_c},
                        {.bias = e.bias, .add = e.add, .add_ld = e.add_ld, .activation = e.activation});
    } else {
      for (std::int64_t p = 0; p < batch; ++p) {
        naive::Epilogue<T> at_p = e;
        if (e.add) at_p.add += p * step_c;
        naive::gemm<T>(m, n, k, {ma.data + p * step_a, ma.ld, ma.transposed},
                       {mb.data + p * step_b, mb.ld, mb.transposed}, out + p * step_c, n, at_p);
      }
    }
  });
}

// Writes or adds a * b, [batch,m,n], to the gradient of `slot`, whose shape is `shape`.
void product_into(Tape& tape, Slot slot, const Shape& shape, std::int64_t batch, std::int64_t m,
                  std::int64_t n, std::int64_t k, const Operand& a, const Operand& b) {
  if (slot.constant()) return;
  const Tape::Target to = tape.target(slot, shape, a.t.dtype(), a.t.device());
  dispatch_float(a.t.dtype(), "backward", [&]<class T>() {
    const T* add = to.add ? to.grad.ptr<T>() : nullptr;
    product<T>(batch, m, n, k, a, b, to.grad, {.add = add, .add_ld = n});
  });
}

Var multiply(Op op, const Var& a, const Var& b, bool transpose_a, bool transpose_b) {
  const char* name = op_name(op);
  check::same_kind(name, "a", a.value, "b", b.value);
  const Shape &sa = a.shape(), &sb = b.shape();
  const int rank = op == Op::matmul ? 2 : 3;
  MLD_CHECK(sa.rank() == rank && sb.rank() == rank, name, ": a ", sa, " and b ", sb, " must have ", rank,
            " axes; use reshape");
  const std::int64_t batch = rank == 3 ? sa[0] : 1, batch_b = rank == 3 ? sb[0] : 1;
  const std::int64_t m = sa[transpose_a ? -1 : -2], k = sa[transpose_a ? -2 : -1];
  const std::int64_t k_b = sb[transpose_b ? -1 : -2], n = sb[transpose_b ? -2 : -1];
  MLD_CHECK(batch == batch_b, name, ": a ", sa, " and b ", sb, ": batch ", batch, " != ", batch_b);
  MLD_CHECK(k == k_b, name, ": a ", sa, transpose_a ? " (transposed)" : "", " and b ", sb,
            transpose_b ? " (transposed)" : "", ": inner ", k, " != ", k_b, "; check the transpose flags");
  const Shape shape = rank == 3 ? Shape{batch, m, n} : Shape{m, n};
  Var y = Tensor::empty(shape, a.dtype(), a.device());
  dispatch_float(a.dtype(), name, [&]<class T>() {
    product<T>(batch, m, n, k, {a.value, sa[-2], sa[-1], transpose_a}, {b.value, sb[-2], sb[-1], transpose_b},
               y.value, {});
  });
  if (!needs_grad(a, b)) return y;
  const Tensor a_saved = b.slot.constant() ? Tensor{} : a.value,
               b_saved = a.slot.constant() ? Tensor{} : b.value;
  y.slot = Tape::current()->record(op, [=, sa = sa, sb = sb, slot_a = a.slot, slot_b = b.slot](
                                           const Tensor& dc, Tape& tape) {
    // Stored a is op(a) or its transpose: da = dc op(b)', or its transpose op(b) dc'. The same for b.
    const Operand pa{a_saved, sa[-2], sa[-1], transpose_a}, pb{b_saved, sb[-2], sb[-1], transpose_b};
    const Operand pa_t{a_saved, sa[-2], sa[-1], !transpose_a}, pb_t{b_saved, sb[-2], sb[-1], !transpose_b};
    const Operand dc_n{dc, m, n}, dc_t{dc, m, n, true};
    if (transpose_a)
      product_into(tape, slot_a, sa, batch, k, m, n, pb, dc_t);
    else
      product_into(tape, slot_a, sa, batch, m, k, n, dc_n, pb_t);
    if (transpose_b)
      product_into(tape, slot_b, sb, batch, n, k, m, dc_t, pa);
    else
      product_into(tape, slot_b, sb, batch, k, n, m, pa_t, dc_n);
  });
  return y;
}

}  // namespace

Var matmul(const Var& a, const Var& b, bool transpose_a, bool transpose_b) {
  return multiply(Op::matmul, a, b, transpose_a, transpose_b);
}

Var batched_matmul(const Var& a, const Var& b, bool transpose_a, bool transpose_b) {
  return multiply(Op::batched_matmul, a, b, transpose_a, transpose_b);
}

namespace {

// [..., out] of a linear layer; checks the arguments that linear and linear_add share.
Shape linear_shape(const char* op, const Var& x, const Var& weight, const Var& bias) {
  check::same_kind(op, "x", x.value, "weight", weight.value);
  check::rank(op, "weight", weight.value, 2, "[out,in]");
  const std::int64_t out = weight.shape()[0], in = weight.shape()[1];
  MLD_CHECK(x.shape().rank() >= 1 && x.shape()[-1] == in, op, ": x ", x.shape(), " x weight ", weight.shape(),
            " (", x.device(), "): the last axis of x must be ", in, ", weight is [out,in]");
  check::per_channel(op, x.value, "bias", bias.value, out, true);
  Shape shape = x.shape();
  shape[-1] = out;
  return shape;
}

// y = act(x W^T + b + other); bias and other may be undefined.
void linear_product(const Var& x, const Var& weight, const Var& bias, const Tensor& other, Activation act,
                    const Tensor& y) {
  const std::int64_t out = weight.shape()[0], in = weight.shape()[1];
  const std::int64_t rows = x.shape().product(0, x.shape().rank() - 1);
  dispatch_float(x.dtype(), "linear", [&]<class T>() {
    const T* b = bias.value.defined() ? bias.value.ptr<T>() : nullptr;
    const T* add = other.defined() ? other.ptr<T>() : nullptr;
    product<T>(1, rows, out, in, {x.value, rows, in}, {weight.value, out, in, true}, y,
               {.bias = b, .add = add, .add_ld = out, .activation = act});
  });
}

// What both need for the gradients of the product.
struct SavedProduct {
  Tensor x, weight;  // undefined if only needed for the gradient of a constant
  Slot x_slot, weight_slot;
  Shape x_shape, weight_shape;

  SavedProduct(const Var& x, const Var& weight)
      : x(weight.slot.constant() ? Tensor{} : x.value),
        weight(x.slot.constant() ? Tensor{} : weight.value),
        x_slot(x.slot),
        weight_slot(weight.slot),
        x_shape(x.shape()),
        weight_shape(weight.shape()) {}

  void pull(const Tensor& dpre, Tape& tape) const {
    const std::int64_t out = weight_shape[0], in = weight_shape[1];
    const std::int64_t rows = x_shape.product(0, x_shape.rank() - 1);
    product_into(tape, weight_slot, weight_shape, 1, out, in, rows, {dpre, rows, out, true}, {x, rows, in});
    product_into(tape, x_slot, x_shape, 1, rows, in, out, {dpre, rows, out}, {weight, out, in});
  }
};

}  // namespace

Var linear(const Var& x, const Var& weight, const Var& bias, Activation act) {
  const Shape shape = linear_shape("linear", x, weight, bias);
  check::activation("linear", act);
  const bool grad = needs_grad(x, weight, bias);
  const fused::Result r = fused::forward(
      shape, x.value, act, grad,
      [&](const Tensor& y, Activation epilogue) { linear_product(x, weight, bias, {}, epilogue, y); });
  if (!grad) return r.y;
  const auto pull = [act, saved = r.saved, s = SavedProduct(x, weight), b_slot = bias.slot](const Tensor& dy,
                                                                                            Tape& tape) {
    s.pull(fused::backward(dy, saved, act, b_slot, tape), tape);
  };
  return {r.y, Tape::current()->record(Op::linear, pull)};
}

Var linear_add(const Var& x, const Var& weight, const Var& bias, const Var& other) {
  const Shape shape = linear_shape("linear_add", x, weight, bias);
  check::same_kind("linear_add", "x", x.value, "other", other.value);
  MLD_CHECK(other.shape() == shape, "linear_add: ", check::describe("other", other.value),
            " must have the shape of the result, ", shape);
  Var y = Tensor::empty(shape, x.dtype(), x.device());
  linear_product(x, weight, bias, other.value, {}, y.value);
  if (!needs_grad(x, weight, bias, other)) return y;
  const auto pull = [s = SavedProduct(x, weight), b_slot = bias.slot, other_slot = other.slot](
                        const Tensor& dy, Tape& tape) {
    s.pull(fused::backward(dy, {}, {}, b_slot, tape), tape);
    tape.accumulate(other_slot, dy);
  };
  y.slot = Tape::current()->record(Op::linear_add, pull);
  return y;
}

}  // namespace mld
