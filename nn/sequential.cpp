#include "nn/sequential.h"

#include <string>

#include "engine/ops/pointwise.h"

namespace mld::nn {
namespace {

Var scaled(const Var& x, double scale) { return scale == 1 ? x : affine(x, scale, 0); }

// The map whose flattening changes the order of the elements between memory and files; none if it does not.
FeatureMap permuted_map(const Shape& shape) {
  if (shape.rank() != 3) return {};
  const FeatureMap map{shape[0], shape[1], shape[2]};
  return map.height * map.width > 1 && map.channels > 1 ? map : FeatureMap{};
}

[[noreturn]] void refuse_on_flattened_map() {
  fail(ErrorKind::internal,
       "Sequential: between a flattened feature map and a Linear only BatchNorm, Activate, Dropout and "
       "Softmax are "
       "possible: for other layers the order of the elements in model files is not defined");
}

}  // namespace

Residual::Residual(Sequential main_path, Sequential shortcut_path, double main_factor, double shortcut_factor)
    : main(std::make_unique<Sequential>(std::move(main_path))),
      shortcut(std::make_unique<Sequential>(std::move(shortcut_path))),
      main_scale(main_factor),
      shortcut_scale(shortcut_factor) {
  MLD_CHECK(main->input() == shortcut->input() && main->output() == shortcut->output(),
            "Residual: main path ", main->input(), " -> ", main->output(), ", shortcut ", shortcut->input(),
            " -> ", shortcut->output());
}
Residual::Residual(Residual&&) noexcept = default;
Residual::~Residual() = default;

Var Residual::operator()(const Var& x, const Context& context) const {
  return add(scaled((*main)(x, context), main_scale), scaled((*shortcut)(x, context), shortcut_scale));
}

Shape Residual::output_shape(const Shape& in) const {
  MLD_CHECK(in == main->input(), "Residual: made for ", main->input(), ", gets ", in);
  return main->output();
}

void Residual::visit(Visitor& v) {
  v("main", *main);
  v("shortcut", *shortcut);
}

void Sequential::append(Layer layer) {
  const Shape out = std::visit([&](const auto& l) { return l.output_shape(output_); }, layer);
  if (map_) tag_flattened(layer);
  if (std::holds_alternative<Flatten>(layer) && !map_) map_ = permuted_map(output_);
  if (std::holds_alternative<Reshape>(layer)) tag_reshaped(out);
  output_ = out;
  layers_.push_back(std::move(layer));
}

// `layer` follows a flattened map.
void Sequential::tag_flattened(Layer& layer) {
  if (auto* linear = std::get_if<Linear>(&layer)) {
    linear->set_from(std::exchange(map_, {}));
  } else if (auto* norm = std::get_if<BatchNorm>(&layer)) {
    norm->set_map(map_);
  } else if (auto* shape = std::get_if<Reshape>(&layer)) {
    if (permuted_map(shape->shape) != map_) refuse_on_flattened_map();
    map_ = {};
  } else if (!std::holds_alternative<Activate>(layer) && !std::holds_alternative<Dropout>(layer) &&
             !std::holds_alternative<Softmax>(layer) && !std::holds_alternative<Flatten>(layer)) {
    refuse_on_flattened_map();
  }
}

// A map is about to be made of the features that the layers so far end with.
void Sequential::tag_reshaped(const Shape& shape) {
  const FeatureMap map = permuted_map(shape);
  if (!map || output_.rank() != 1) return;
  for (auto it = layers_.rbegin(); it != layers_.rend(); ++it) {
    if (auto* linear = std::get_if<Linear>(&*it)) return linear->set_to(map);
    if (auto* norm = std::get_if<BatchNorm>(&*it)) {
      norm->set_map(map);
    } else if (std::holds_alternative<GroupNorm>(*it) || std::holds_alternative<LayerNorm>(*it)) {
      refuse_on_flattened_map();
    } else if (!std::holds_alternative<Activate>(*it) && !std::holds_alternative<Dropout>(*it)) {
      return;
    }
  }
}

Var Sequential::operator()(const Var& x, const Context& context) const {
  Var y = x;
  for (const Layer& layer : layers_) y = std::visit([&](const auto& l) { return l(y, context); }, layer);
  return y;
}

void Sequential::visit(Visitor& v) {
  for (std::size_t i = 0; i < layers_.size(); ++i)
    std::visit([&](auto& l) { v(std::to_string(i), l); }, layers_[i]);
}

}  // namespace mld::nn
