#include "engine/ops/conv.h"

#include <algorithm>

#include "engine/kernels/conv_kernel.h"
#include "engine/kernels/conv_naive.h"
#include "engine/kernels/cuda/conv.h"
#include "engine/kernels/fused_epilogue.h"
#include "engine/ops/op_check.h"

namespace mld {
namespace {

// The three kernels, queued on the device of the result. w is always [out,kh,kw,in] in the terms of ConvDims;
// a transposed convolution is backward_data, with the roles of its input and output exchanged.
template <class T>
const T* optional(const Tensor& t) {
  return t.defined() ? t.ptr<T>() : nullptr;
}

void run_forward(const ConvDims& s, const Tensor& x, const Tensor& w, const Tensor& bias, Activation act,
                 const Tensor& y) {
  dispatch_float(y.dtype(), "conv", [&]<class T>() {
    if constexpr (kCudaBuilt)
      if (y.device().kind == DeviceKind::cuda) {
        cuda::conv_forward<T>(y.device(), s, x.ptr<T>(), w.ptr<T>(), optional<T>(bias), y.ptr<T>());
        if (act.kind != Act::none) fused::apply_activation(y, act, y);
        return;
      }
    submit(y.device(), [=, x = x.ptr<T>(), w = w.ptr<T>(), b = optional<T>(bias), y = y.ptr<T>()] {
      if constexpr (std::is_same_v<T, float>)
        cpu::conv_forward(s, x, w, b, act, y);
      else
        naive::conv_forward<T>(s, x, w, b, act, y);
    });
  });
}

void run_backward_data(const ConvDims& s, const Tensor& dy, const Tensor& w, const Tensor& bias,
                       Activation act, bool add, const Tensor& dx) {
  dispatch_float(dx.dtype(), "conv", [&]<class T>() {
    if constexpr (kCudaBuilt)
      if (dx.device().kind == DeviceKind::cuda) {
        cuda::conv_backward_data<T>(dx.device(), s, dy.ptr<T>(), w.ptr<T>(), optional<T>(bias), add,
                                    dx.ptr<T>());
        if (act.kind != Act::none) fused::apply_activation(dx, act, dx);
        return;
      }
    submit(dx.device(), [=, dy = dy.ptr<T>(), w = w.ptr<T>(), b = optional<T>(bias), dx = dx.ptr<T>()] {
      if constexpr (std::is_same_v<T, float>)
        cpu::conv_backward_data(s, dy, w, b, act, add, dx);
      else
        naive::conv_backward_data<T>(s, dy, w, b, act, add, dx);
    });
  });
}

void run_backward_weights(const ConvDims& s, const Tensor& x, const Tensor& dy, bool add, const Tensor& dw) {
  dispatch_float(dw.dtype(), "conv", [&]<class T>() {
    if constexpr (kCudaBuilt)
      if (dw.device().kind == DeviceKind::cuda)
        return cuda::conv_backward_weights<T>(dw.device(), s, x.ptr<T>(), dy.ptr<T>(), add, dw.ptr<T>());
    submit(dw.device(), [=, x = x.ptr<T>(), dy = dy.ptr<T>(), dw = dw.ptr<T>()] {
      if constexpr (std::is_same_v<T, float>)
        cpu::conv_backward_weights(s, x, dy, add, dw);
      else
        naive::conv_backward_weights<T>(s, x, dy, add, dw);
    });
  });
}

std::string describe(const ConvShape& s) {
  return cat("stride ", s.stride[0], "x", s.stride[1], " padding ", s.padding[0], "x", s.padding[1],
             " output padding ", s.output_padding[0], "x", s.output_padding[1]);
}

// What both convolutions demand of their arguments; `in` is the axis of weight that meets the channels of x.
void check_arguments(const char* op, const Var& x, const Var& weight, const Var& bias, const ConvShape& s,
                     Activation act, int in, int out, const char* layout) {
  check::rank(op, "x", x.value, 4, "[N,H,W,C]");
  check::rank(op, "weight", weight.value, 4, layout);
  check::same_kind(op, "x", x.value, "weight", weight.value);
  check::activation(op, act);
  const Shape &sx = x.shape(), &sw = weight.shape();
  MLD_CHECK(sx[3] == sw[in], op, ": x ", sx, " has ", sx[3], " channels, weight ", sw, " wants ", sw[in],
            "; weight is ", layout);
  MLD_CHECK(sw[1] == s.kernel[0] && sw[2] == s.kernel[1], op, ": weight ", sw, " does not have the kernel ",
            s.kernel[0], "x", s.kernel[1], "; weight is ", layout);
  for (std::size_t i = 0; i < 2; ++i) {
    MLD_CHECK(s.kernel[i] > 0 && s.stride[i] > 0 && s.padding[i] >= 0, op, ": kernel ", s.kernel[0], "x",
              s.kernel[1], " ", describe(s), ": kernel and stride must be positive, padding not negative");
    constexpr std::int64_t kLimit = std::int64_t{1} << 30;  // products of two sizes stay far from overflow
    MLD_CHECK(std::max({sx[1], sx[2], s.kernel[i], s.stride[i], s.padding[i]}) < kLimit, op, ": x ", sx,
              " kernel ", s.kernel[0], "x", s.kernel[1], " ", describe(s), ": too large");
    MLD_CHECK(s.output_padding[i] >= 0 && s.output_padding[i] < s.stride[i], op, ": ", describe(s),
              ": output padding must be smaller than the stride");
  }
  check::per_channel(op, x.value, "bias", bias.value, sw[out], true);
}

// What the backward pass of either convolution needs.
struct Saved {
  Tensor x, weight;  // undefined if only needed for the gradient of a constant
  Tensor epilogue;
  Slot x_slot, weight_slot, bias_slot;
  Shape x_shape, weight_shape;
};

Saved save(const Var& x, const Var& weight, const Var& bias, const Tensor& epilogue) {
  return {weight.slot.constant() ? Tensor{} : x.value,
          x.slot.constant() ? Tensor{} : weight.value,
          epilogue,
          x.slot,
          weight.slot,
          bias.slot,
          x.shape(),
          weight.shape()};
}

}  // namespace

Var conv2d(const Var& x, const Var& weight, const Var& bias, const ConvShape& shape, Activation act) {
  check_arguments("conv2d", x, weight, bias, shape, act, 3, 0, "[O,kh,kw,I]");
  MLD_CHECK(shape.output_padding[0] == 0 && shape.output_padding[1] == 0, "conv2d: ", describe(shape),
            ": output padding belongs to conv_transpose2d");
  const Shape& sx = x.shape();
  for (int i = 0; i < 2; ++i) {
    const auto axis = static_cast<std::size_t>(i);
    MLD_CHECK(sx[i + 1] + 2 * shape.padding[axis] >= shape.kernel[axis], "conv2d: x ", sx, " weight ",
              weight.shape(), " ", describe(shape), ": the kernel is larger than the padded image");
  }
  const ConvDims dims{.n = sx[0],
                      .h = sx[1],
                      .w = sx[2],
                      .in = sx[3],
                      .out = weight.shape()[0],
                      .kh = shape.kernel[0],
                      .kw = shape.kernel[1],
                      .sh = shape.stride[0],
                      .sw = shape.stride[1],
                      .ph = shape.padding[0],
                      .pw = shape.padding[1]};
  cpu::check_conv(dims);
  const bool grad = needs_grad(x, weight, bias);
  const fused::Result r = fused::forward({sx[0], dims.out_h(), dims.out_w(), dims.out}, x.value, act, grad,
                                         [&](const Tensor& y, Activation epilogue) {
                                           run_forward(dims, x.value, weight.value, bias.value, epilogue, y);
                                         });
  if (!grad) return r.y;
  const Slot slot = Tape::current()->record(
      Op::conv2d, [dims, act, s = save(x, weight, bias, r.saved)](const Tensor& dy, Tape& tape) {
        const Tensor dpre = fused::backward(dy, s.epilogue, act, s.bias_slot, tape);
        if (!s.weight_slot.constant()) {
          const Tape::Target dw = tape.target(s.weight_slot, s.weight_shape, dy.dtype(), dy.device());
          run_backward_weights(dims, s.x, dpre, dw.add, dw.grad);
        }
        if (!s.x_slot.constant()) {
          const Tape::Target dx = tape.target(s.x_slot, s.x_shape, dy.dtype(), dy.device());
          run_backward_data(dims, dpre, s.weight, {}, {}, dx.add, dx.grad);
        }
      });
  return {r.y, slot};
}

Var conv_transpose2d(const Var& x, const Var& weight, const Var& bias, const ConvShape& shape,
                     Activation act) {
  check_arguments("conv_transpose2d", x, weight, bias, shape, act, 0, 3, "[I,kh,kw,O]");
  const Shape& sx = x.shape();
  const auto extent = [&](std::size_t i) {
    return (sx[static_cast<int>(i) + 1] - 1) * shape.stride[i] - 2 * shape.padding[i] + shape.kernel[i] +
           shape.output_padding[i];
  };
  MLD_CHECK(sx[1] > 0 && sx[2] > 0 && extent(0) > 0 && extent(1) > 0, "conv_transpose2d: x ", sx, " weight ",
            weight.shape(), " ", describe(shape), ": nothing is left of the image; reduce the padding");
  // The convolution of which this is the adjoint takes our output to our input.
  const ConvDims dims{.n = sx[0],
                      .h = extent(0),
                      .w = extent(1),
                      .in = weight.shape()[3],
                      .out = sx[3],
                      .kh = shape.kernel[0],
                      .kw = shape.kernel[1],
                      .sh = shape.stride[0],
                      .sw = shape.stride[1],
                      .ph = shape.padding[0],
                      .pw = shape.padding[1]};
  cpu::check_conv(dims);
  const bool grad = needs_grad(x, weight, bias);
  const fused::Result r = fused::forward(
      {sx[0], dims.h, dims.w, dims.in}, x.value, act, grad, [&](const Tensor& y, Activation epilogue) {
        run_backward_data(dims, x.value, weight.value, bias.value, epilogue, false, y);
      });
  if (!grad) return r.y;
  const Slot slot = Tape::current()->record(
      Op::conv_transpose2d, [dims, act, s = save(x, weight, bias, r.saved)](const Tensor& dy, Tape& tape) {
        const Tensor dpre = fused::backward(dy, s.epilogue, act, s.bias_slot, tape);
        if (!s.weight_slot.constant()) {
          const Tape::Target dw = tape.target(s.weight_slot, s.weight_shape, dy.dtype(), dy.device());
          run_backward_weights(dims, dpre, s.x, dw.add, dw.grad);
        }
        if (!s.x_slot.constant()) {
          const Tensor dx = Tensor::empty(s.x_shape, dy.dtype(), dy.device());
          run_forward(dims, dpre, s.weight, {}, {}, dx);
          tape.accumulate(s.x_slot, dx);
        }
      });
  return {r.y, slot};
}

}  // namespace mld
