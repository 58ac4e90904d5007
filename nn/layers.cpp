#include "nn/layers.h"

#include <functional>
#include <numeric>
#include <span>
#include <utility>

#include "engine/ops/layout.h"
#include "engine/ops/linear.h"
#include "engine/ops/norm.h"
#include "engine/ops/pointwise.h"
#include "engine/ops/reduction.h"

namespace mld::nn {
namespace {

void check_channels(const char* layer, const Shape& in, std::int64_t channels) {
  MLD_CHECK(in.rank() > 0 && in[-1] == channels, layer, ": made for ", channels, " channels, gets ", in);
}

void check_image(const char* layer, const Shape& in) {
  MLD_CHECK(in.rank() == 3, layer, ": needs a sample of shape [H,W,C], gets ", in);
}

// Output sizes as documented in engine/ops/conv.h.
Shape convolved(const char* layer, const Shape& in, const ConvShape& s, std::int64_t channels) {
  check_image(layer, in);
  Shape out = in;
  for (int i = 0; i < 2; ++i) {
    const auto a = static_cast<std::size_t>(i);
    const std::int64_t room = in[i] + 2 * s.padding[a] - s.kernel[a];
    MLD_CHECK(room >= 0, layer, ": the kernel ", s.kernel[0], "x", s.kernel[1],
              " is larger than the padded input ", in);
    out[i] = room / s.stride[a] + 1;
  }
  out[2] = channels;
  return out;
}

ConvShape conv_shape(const char* layer, Size2 kernel, Size2 stride, Size2 padding, Size2 output_padding = 0) {
  MLD_CHECK(kernel.height > 0 && kernel.width > 0 && stride.height > 0 && stride.width > 0, layer,
            ": kernel and stride must be positive");
  return {.kernel = {kernel.height, kernel.width},
          .stride = {stride.height, stride.width},
          .padding = {padding.height, padding.width},
          .output_padding = {output_padding.height, output_padding.width}};
}

Parameter conv_weight(std::int64_t first, const ConvShape& s, std::int64_t last, std::int64_t fan_in,
                      int rank) {
  return {Shape{first, s.kernel[0], s.kernel[1], last}, fan_in_uniform(fan_in),
          conv_layout(first, s.kernel[0], s.kernel[1], last, rank)};
}

}  // namespace

Linear::Linear(std::int64_t in, std::int64_t out, LinearOptions options)
    : weight({out, in}, fan_in_uniform(in), linear_layout(out, in, options.to, options.from)),
      act(options.act),
      from(options.from),
      to(options.to) {
  if (options.bias) {
    bias = Parameter({out}, fan_in_uniform(in));
    bias.set_layout(vector_layout(out, to));
  }
}

Var Linear::operator()(const Var& x, const Context&) const {
  return linear(x, weight.var(), bias.var(), act);
}

Var Linear::add_to(const Var& other, const Var& x) const {
  MLD_CHECK(act.kind == Act::none, "Linear: a sum in front of an activation");
  return linear_add(x, weight.var(), bias.var(), other);
}

Shape Linear::output_shape(const Shape& in) const {
  check_channels("Linear", in, weight.shape()[1]);
  Shape out = in;
  out[-1] = weight.shape()[0];
  return out;
}

void Linear::visit(Visitor& v) {
  v("weight", weight);
  v("bias", bias);
}

void Linear::set_from(FeatureMap map) {
  from = map;
  weight.set_layout(linear_layout(weight.shape()[0], weight.shape()[1], to, from));
}

void Linear::set_to(FeatureMap map) {
  to = map;
  weight.set_layout(linear_layout(weight.shape()[0], weight.shape()[1], to, from));
  if (bias) bias.set_layout(vector_layout(bias.shape()[0], to));
}

void Linear::init_zero() {
  weight.set_init(zeros());
  if (bias) bias.set_init(zeros());
}

Conv2d::Conv2d(std::int64_t in, std::int64_t out, Size2 kernel, Size2 stride, Size2 padding,
               ConvOptions options)
    : shape(conv_shape("Conv2d", kernel, stride, padding, options.output_padding)), act(options.act) {
  const std::int64_t fan_in = in * kernel.height * kernel.width;
  weight = conv_weight(out, shape, in, fan_in, 4);
  if (options.bias) bias = Parameter({out}, fan_in_uniform(fan_in));
}

Var Conv2d::operator()(const Var& x, const Context&) const {
  return conv2d(x, weight.var(), bias.var(), shape, act);
}

Shape Conv2d::output_shape(const Shape& in) const {
  check_image("Conv2d", in);
  check_channels("Conv2d", in, weight.shape()[3]);
  return convolved("Conv2d", in, shape, weight.shape()[0]);
}

void Conv2d::visit(Visitor& v) {
  v("weight", weight);
  v("bias", bias);
}

ConvTranspose2d::ConvTranspose2d(std::int64_t in, std::int64_t out, Size2 kernel, Size2 stride, Size2 padding,
                                 ConvOptions options)
    : shape(conv_shape("ConvTranspose2d", kernel, stride, padding, options.output_padding)),
      act(options.act) {
  const std::int64_t fan_in = out * kernel.height * kernel.width;
  weight = conv_weight(in, shape, out, fan_in, 4);
  if (options.bias) bias = Parameter({out}, fan_in_uniform(fan_in));
}

Var ConvTranspose2d::operator()(const Var& x, const Context&) const {
  return conv_transpose2d(x, weight.var(), bias.var(), shape, act);
}

Shape ConvTranspose2d::output_shape(const Shape& in) const {
  check_image("ConvTranspose2d", in);
  check_channels("ConvTranspose2d", in, weight.shape()[0]);
  Shape out = in;
  for (int i = 0; i < 2; ++i) {
    const auto a = static_cast<std::size_t>(i);
    out[i] = (in[i] - 1) * shape.stride[a] - 2 * shape.padding[a] + shape.kernel[a] + shape.output_padding[a];
  }
  out[2] = weight.shape()[3];
  return out;
}

void ConvTranspose2d::visit(Visitor& v) {
  v("weight", weight);
  v("bias", bias);
}

Conv2d conv1d(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride,
              std::int64_t padding, ConvOptions options) {
  Conv2d conv(in, out, {1, kernel}, {1, stride}, {0, padding}, options);
  conv.weight.set_layout(conv_layout(out, 1, kernel, in, 3));
  return conv;
}

ConvTranspose2d conv_transpose1d(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride,
                                 std::int64_t padding, ConvOptions options) {
  ConvTranspose2d conv(in, out, {1, kernel}, {1, stride}, {0, padding}, options);
  conv.weight.set_layout(conv_layout(in, 1, kernel, out, 3));
  return conv;
}

BatchNorm::BatchNorm(std::int64_t channels, NormOptions options, double momentum)
    : weight({channels}, ones()),
      bias({channels}, zeros()),
      running_mean({channels}, 0),
      running_var({channels}, 1),
      act(options.act),
      eps(options.eps),
      momentum(momentum) {}

Var BatchNorm::operator()(const Var& x, const Context& context) const {
  return batch_norm(x, weight.var(), bias.var(), running_mean.value(), running_var.value(), context.training,
                    momentum, eps, act);
}

Shape BatchNorm::output_shape(const Shape& in) const {
  check_channels("BatchNorm", in, weight.shape()[0]);
  return in;
}

void BatchNorm::visit(Visitor& v) {
  v("weight", weight);
  v("bias", bias);
  v("running_mean", running_mean);
  v("running_var", running_var);
}

void BatchNorm::set_map(FeatureMap map) {
  const FileLayout layout = vector_layout(weight.shape()[0], map);
  weight.set_layout(layout);
  bias.set_layout(layout);
  running_mean.set_layout(layout);
  running_var.set_layout(layout);
}

GroupNorm::GroupNorm(std::int64_t groups, std::int64_t channels, NormOptions options)
    : weight({channels}, ones()),
      bias({channels}, zeros()),
      groups(groups),
      act(options.act),
      eps(options.eps) {
  MLD_CHECK(groups > 0 && channels % groups == 0, "GroupNorm: ", channels, " channels do not divide into ",
            groups, " groups");
}

Var GroupNorm::operator()(const Var& x, const Context&) const {
  return group_norm(x, weight.var(), bias.var(), groups, eps, act);
}

Shape GroupNorm::output_shape(const Shape& in) const {
  check_channels("GroupNorm", in, weight.shape()[0]);
  return in;
}

void GroupNorm::visit(Visitor& v) {
  v("weight", weight);
  v("bias", bias);
}

LayerNorm::LayerNorm(std::int64_t channels, NormOptions options)
    : weight({channels}, ones()), bias({channels}, zeros()), act(options.act), eps(options.eps) {}

Var LayerNorm::operator()(const Var& x, const Context&) const {
  return layer_norm(x, weight.var(), bias.var(), eps, act);
}

Shape LayerNorm::output_shape(const Shape& in) const {
  check_channels("LayerNorm", in, weight.shape()[0]);
  return in;
}

void LayerNorm::visit(Visitor& v) {
  v("weight", weight);
  v("bias", bias);
}

Embedding::Embedding(std::int64_t entries, std::int64_t channels) : weight({entries, channels}, normal(1)) {}
Var Embedding::operator()(const Var& index, const Context&) const {
  return gather_rows(weight.var(), index.value);
}
Shape Embedding::output_shape(const Shape& in) const {
  Shape out = in;
  out.push_back(weight.shape()[1]);
  return out;
}
void Embedding::visit(Visitor& v) { v("weight", weight); }

Combinations::Combinations(std::vector<std::int64_t> counts) : sizes(std::move(counts)) {
  MLD_CHECK(!sizes.empty(), "Combinations: of no attributes");
}

Var Combinations::operator()(const Var& x, const Context&) const {
  const std::int64_t rows = x.shape()[0];
  Var all = slice(x, 1, 0, sizes[0]);
  std::int64_t first = sizes[0];
  for (const std::int64_t n : std::span(sizes).subspan(1)) {
    const std::int64_t before = all.shape()[1];
    all = reshape(add(reshape(all, {rows, before, 1}), reshape(slice(x, 1, first, n), {rows, 1, n})),
                  {rows, before * n});
    first += n;
  }
  return all;
}

Shape Combinations::output_shape(const Shape& in) const {
  const std::int64_t scores = std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0});
  MLD_CHECK(in == Shape({scores}), "Combinations: of ", scores, " scores, gets ", in);
  return {std::accumulate(sizes.begin(), sizes.end(), std::int64_t{1}, std::multiplies<>())};
}

Var Dropout::operator()(const Var& x, const Context& context) const {
  if (!context.training || p == 0) return x;
  MLD_CHECK(site.number >= 0, "Dropout: belongs to no ParameterStore, so its draws have no site");
  DrawKey key = context.key;
  key.site += static_cast<std::uint32_t>(site.number);
  return dropout(x, p, key, channels);
}

Var Activate::operator()(const Var& x, const Context&) const { return apply(act, x); }
Var Softmax::operator()(const Var& x, const Context&) const { return softmax(x); }

MaxPool2d::MaxPool2d(Size2 kernel, Size2 stride, Size2 padding)
    : window(conv_shape("MaxPool2d", kernel, stride, padding)) {}
Var MaxPool2d::operator()(const Var& x, const Context&) const { return max_pool2d(x, window); }
Shape MaxPool2d::output_shape(const Shape& in) const { return convolved("MaxPool2d", in, window, in[-1]); }

AvgPool2d::AvgPool2d(Size2 kernel, Size2 stride, Size2 padding)
    : window(conv_shape("AvgPool2d", kernel, stride, padding)) {}
Var AvgPool2d::operator()(const Var& x, const Context&) const { return avg_pool2d(x, window); }
Shape AvgPool2d::output_shape(const Shape& in) const { return convolved("AvgPool2d", in, window, in[-1]); }

Var Upsample::operator()(const Var& x, const Context&) const {
  return resize_nearest(x, x.shape()[1] * factor, x.shape()[2] * factor);
}
Shape Upsample::output_shape(const Shape& in) const {
  check_image("Upsample", in);
  return {in[0] * factor, in[1] * factor, in[2]};
}

Var Flatten::operator()(const Var& x, const Context&) const {
  return reshape(x, {x.shape()[0], x.shape().product(1, x.shape().rank())});
}

Var Reshape::operator()(const Var& x, const Context&) const {
  return reshape(x, batch_shape(x.shape()[0], shape));
}

Shape Reshape::output_shape(const Shape& in) const {
  MLD_CHECK(in.numel() == shape.numel(), "Reshape: ", in, " does not fit ", shape);
  return shape;
}

}  // namespace mld::nn
