// A network as a list of layers, which is what the papers' tables are: the table of an autoencoder is written
// down as one expression. Given the shape of an input sample, it checks every layer as it is added and knows
// where feature maps are flattened and made from vectors, so that the linear layers there get their file
// layout (file_layout.h).
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "nn/layers.h"

namespace mld::nn {

class Sequential;

// main_scale * main(x) + shortcut_scale * shortcut(x); an empty shortcut is the identity.
struct Residual {
  Residual(Sequential main, Sequential shortcut, double main_scale = 1, double shortcut_scale = 1);
  Residual(Residual&&) noexcept;
  ~Residual();
  Var operator()(const Var& x, const Context& context) const;
  Shape output_shape(const Shape& in) const;
  void visit(Visitor& v);

  std::unique_ptr<Sequential> main, shortcut;
  double main_scale, shortcut_scale;
};

using Layer =
    std::variant<Linear, Conv2d, ConvTranspose2d, BatchNorm, GroupNorm, LayerNorm, Embedding, Combinations,
                 Dropout, Activate, Softmax, MaxPool2d, AvgPool2d, Upsample, Flatten, Reshape, Residual>;

class Sequential {
 public:
  // `input`: shape of one sample, {H,W,C} or {C}, or {n} numbers for an Embedding. Parameters are named "0.weight", "1.bias", ...
  template <class... Layers>
  explicit Sequential(Shape input, Layers&&... layers) : input_(input), output_(std::move(input)) {
    (append(Layer(std::forward<Layers>(layers))), ...);
  }
  // Throws ErrorKind::internal if the layer does not fit what is there.
  void append(Layer layer);

  Var operator()(const Var& x, const Context& context = {}) const;  // [N, input...] -> [N, output...]
  const Shape& input() const { return input_; }
  const Shape& output() const { return output_; }
  bool empty() const { return layers_.empty(); }
  const std::vector<Layer>& layers() const { return layers_; }
  void visit(Visitor& v);

 private:
  void tag_flattened(Layer& layer);
  void tag_reshaped(const Shape& shape);

  Shape input_, output_;
  FeatureMap map_;  // what the features at the end were flattened from
  std::vector<Layer> layers_;
};

}  // namespace mld::nn
