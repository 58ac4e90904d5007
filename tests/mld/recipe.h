// Numbers that Python (golden/recipe.py) and C++ make alike, so that golden files need no weights in them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "engine/io/crc32.h"
#include "engine/io/safetensors.h"
#include "nn/parameter.h"

namespace mld::test {

// In [0, 1): a hash of (name, index).
class Recipe {
 public:
  explicit Recipe(const std::string& name) : name_(crc32(std::as_bytes(std::span(name)))) {}
  double uniform(std::uint32_t index) const {
    std::uint32_t h = index * 0x9E3779B9U + name_;
    h = (h ^ (h >> 16)) * 0x85EBCA6BU;
    h = (h ^ (h >> 13)) * 0xC2B2AE35U;
    return ((h ^ (h >> 16)) >> 8) * 0x1p-24;
  }

 private:
  std::uint32_t name_;
};

// Values in the order of files, `shape` as there.
inline std::vector<float> recipe_values(const std::string& name, const Shape& shape) {
  const std::string last = name.substr(name.rfind('.') + 1);
  double scale = 0.5, shift = 0.75;
  if (last == "running_var") {
    scale = 1, shift = 0.5;
  } else if (last == "running_mean") {
    scale = 0.4, shift = -0.2;
  } else if (last == "bias") {
    scale = 0.2, shift = -0.1;
  } else if (shape.rank() > 1) {
    const double bound = std::sqrt(6.0 / static_cast<double>(shape.product(1, shape.rank())));
    scale = 2 * bound, shift = -bound;
  }
  const Recipe recipe(name);
  std::vector<float> values(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(shift + scale * recipe.uniform(static_cast<std::uint32_t>(i)));
  return values;
}

// f(name, layout, memory shape, arena, first element) for parameters and buffers of a store.
template <class F>
void for_each_entry(const nn::ParameterStore& store, F&& f) {
  for (const auto& [name, data, first] : store.parameters())
    f(name, data->layout, data->shape, store.value(), first);
  for (const auto& [name, data, first] : store.buffers())
    f(name, data->layout, data->shape, store.buffer(), first);
}

inline void fill_by_recipe(nn::ParameterStore& store) {
  for_each_entry(store, [](const std::string& name, const nn::FileLayout& layout, const Shape& shape,
                           const Tensor& arena, std::int64_t first) {
    const std::vector<float> made = recipe_values(name, layout.shape);
    const Tensor values = Tensor::empty(shape);
    nn::from_file(std::as_bytes(std::span(made)), layout, values);
    arena.view(first, shape).copy_from(values.to(arena.device()));
  });
  store.mark_filled();
}

// The same values in a file such as tools/convert_weights.py writes.
inline void save_by_recipe(const std::filesystem::path& file, const nn::ParameterStore& store,
                           const Metadata& metadata) {
  std::vector<TensorSource> sources;
  for_each_entry(store, [&](const std::string& name, const nn::FileLayout& layout, const Shape&,
                            const Tensor&, std::int64_t) {
    sources.push_back({.name = name,
                       .dtype = DType::f32,
                       .shape = layout.shape,
                       .bytes = [name, shape = layout.shape](std::span<std::byte> bytes) {
                         const std::vector<float> made = recipe_values(name, shape);
                         std::ranges::copy(std::as_bytes(std::span(made)), bytes.begin());
                       }});
  });
  save_safetensors(file, sources, metadata);
}

}  // namespace mld::test
