// Layers. Each is a struct: construction fixes shapes, initial values (the field's defaults) and the
// activation fused behind it; operator() computes; visit names the parameters as PyTorch does; output_shape
// maps the shape of one sample (without the batch axis) and throws where the layer does not fit. Activations
// are channels-last, [N,H,W,C] or [N,C].
#pragma once

#include <cstdint>
#include <vector>

#include "engine/kernels/activation.h"
#include "engine/ops/conv.h"
#include "engine/ops/random.h"
#include "nn/parameter.h"

namespace mld::nn {

// kRelu, kSilu, kGelu, kSigmoid, kTanh, ...: the activations without a parameter.
#define X(name, Functor) inline constexpr Activation k##Functor{Act::name, 0};
#define P(name, Functor)
MLD_ACTIVATIONS(X, P)
#undef X
#undef P
constexpr Activation leaky_relu(double slope) { return {Act::leaky_relu, static_cast<float>(slope)}; }

// What a call needs to know beyond its input. The default is inference. For training, `key` says where
// random layers draw: key.site is the first site number of the model, to which each layer's own DrawSite
// is added; a model that is called twice in a step gets ranges of ParameterStore::draw_sites() numbers
// that do not overlap.
struct Context {
  bool training = false;
  DrawKey key = {};
};

struct Size2 {
  std::int64_t height, width;
  constexpr Size2(std::int64_t both) : height(both), width(both) {}
  constexpr Size2(std::int64_t h, std::int64_t w) : height(h), width(w) {}
};

struct LinearOptions {
  Activation act{};
  bool bias = true;
  FeatureMap from{}, to{};  // if input or output is a flattened map; Sequential finds out by itself
};

// [..., in] -> [..., out]
struct Linear {
  Linear(std::int64_t in, std::int64_t out, LinearOptions options = {});
  Var operator()(const Var& x, const Context& = {}) const;
  Var add_to(const Var& other, const Var& x) const;  // other + the layer of x; not with an activation
  Shape output_shape(const Shape& in) const;
  void visit(Visitor& v);
  void set_from(FeatureMap map);
  void set_to(FeatureMap map);
  void init_zero();  // weight and bias start at zero

  Parameter weight, bias;  // [O,I], [O]
  Activation act;
  FeatureMap from, to;
};

struct ConvOptions {
  Activation act{};
  bool bias = true;
  Size2 output_padding = 0;  // of the transposed convolution
};

// [N,H,W,I] -> [N,H',W',O]
struct Conv2d {
  Conv2d(std::int64_t in, std::int64_t out, Size2 kernel, Size2 stride = 1, Size2 padding = 0,
         ConvOptions options = {});
  Var operator()(const Var& x, const Context& = {}) const;
  Shape output_shape(const Shape& in) const;
  void visit(Visitor& v);

  Parameter weight, bias;  // [O,kh,kw,I], [O]
  ConvShape shape;
  Activation act;
};

struct ConvTranspose2d {
  ConvTranspose2d(std::int64_t in, std::int64_t out, Size2 kernel, Size2 stride = 1, Size2 padding = 0,
                  ConvOptions options = {});
  Var operator()(const Var& x, const Context& = {}) const;
  Shape output_shape(const Shape& in) const;
  void visit(Visitor& v);

  Parameter weight, bias;  // [I,kh,kw,O], [O]
  ConvShape shape;
  Activation act;
};

// Sequences [N,1,L,C], an image of height 1; in files the weights have PyTorch's three axes.
Conv2d conv1d(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride = 1,
              std::int64_t padding = 0, ConvOptions options = {});
ConvTranspose2d conv_transpose1d(std::int64_t in, std::int64_t out, std::int64_t kernel,
                                 std::int64_t stride = 1, std::int64_t padding = 0, ConvOptions options = {});

struct NormOptions {
  Activation act{};
  double eps = 1e-5;
};

// Channels last, any number of axes before.
struct BatchNorm {
  explicit BatchNorm(std::int64_t channels, NormOptions options = {}, double momentum = 0.1);
  Var operator()(const Var& x, const Context& context) const;
  Shape output_shape(const Shape& in) const;
  void visit(Visitor& v);
  void set_map(FeatureMap map);  // the channels are a flattened map; Sequential finds out by itself

  Parameter weight, bias;
  Buffer running_mean, running_var;
  Activation act;
  double eps, momentum;
};

struct GroupNorm {
  GroupNorm(std::int64_t groups, std::int64_t channels, NormOptions options = {});
  Var operator()(const Var& x, const Context& = {}) const;
  Shape output_shape(const Shape& in) const;
  void visit(Visitor& v);

  Parameter weight, bias;
  std::int64_t groups;
  Activation act;
  double eps;
};

struct LayerNorm {
  explicit LayerNorm(std::int64_t channels, NormOptions options = {});
  Var operator()(const Var& x, const Context& = {}) const;
  Shape output_shape(const Shape& in) const;
  void visit(Visitor& v);

  Parameter weight, bias;
  Activation act;
  double eps;
};

// Rows of a table [V,C], started from N(0,1): indices i32 [...] -> [...,C].
struct Embedding {
  Embedding(std::int64_t entries, std::int64_t channels);
  Var operator()(const Var& index, const Context& = {}) const;
  Shape output_shape(const Shape& in) const;
  void visit(Visitor& v);

  Parameter weight;
};

// Scores of combinations of values: the sum over the attributes of the scores of their values, [B, n0 + n1 + ..] to
// [B, n0 n1 ..], the last attribute changing fastest. A softmax over them is the product of the attributes' own.
struct Combinations {
  explicit Combinations(std::vector<std::int64_t> sizes);
  Var operator()(const Var& x, const Context& = {}) const;
  Shape output_shape(const Shape& in) const;
  void visit(Visitor&) {}

  std::vector<std::int64_t> sizes;
};

// Active in training only; `channels` drops whole channels of a sample.
struct Dropout {
  explicit Dropout(double p, bool channels = false) : p(p), channels(channels) {}
  Var operator()(const Var& x, const Context& context) const;
  Shape output_shape(const Shape& in) const { return in; }
  void visit(Visitor& v) { v("site", site); }

  double p;
  bool channels;
  DrawSite site;
};

// Layers without parameters.
struct Activate {
  Activation act;
  Var operator()(const Var& x, const Context& = {}) const;
  Shape output_shape(const Shape& in) const { return in; }
  void visit(Visitor&) {}
};

struct Softmax {  // over the last axis
  Var operator()(const Var& x, const Context& = {}) const;
  Shape output_shape(const Shape& in) const { return in; }
  void visit(Visitor&) {}
};

struct MaxPool2d {
  explicit MaxPool2d(Size2 kernel) : MaxPool2d(kernel, kernel) {}
  MaxPool2d(Size2 kernel, Size2 stride, Size2 padding = 0);
  Var operator()(const Var& x, const Context& = {}) const;
  Shape output_shape(const Shape& in) const;
  void visit(Visitor&) {}

  ConvShape window;
};

struct AvgPool2d {  // padding zeros count in the mean
  AvgPool2d(Size2 kernel, Size2 stride, Size2 padding = 0);
  Var operator()(const Var& x, const Context& = {}) const;
  Shape output_shape(const Shape& in) const;
  void visit(Visitor&) {}

  ConvShape window;
};

struct Upsample {  // nearest neighbour
  std::int64_t factor;
  Var operator()(const Var& x, const Context& = {}) const;
  Shape output_shape(const Shape& in) const;
  void visit(Visitor&) {}
};

struct Flatten {  // [N,...] -> [N,C]
  Var operator()(const Var& x, const Context& = {}) const;
  Shape output_shape(const Shape& in) const { return {in.numel()}; }
  void visit(Visitor&) {}
};

struct Reshape {  // of a sample, e.g. {H,W,C}
  Shape shape;
  Var operator()(const Var& x, const Context& = {}) const;
  Shape output_shape(const Shape& in) const;
  void visit(Visitor&) {}
};

}  // namespace mld::nn
