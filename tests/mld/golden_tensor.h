// Tensors of the committed golden files.
#pragma once

#include <doctest/doctest.h>

#include <span>
#include <string>

#include "engine/core/tensor.h"
#include "engine/io/safetensors.h"

namespace mld::test {

inline Tensor read_tensor(const SafetensorsFile& file, const std::string& name) {
  const TensorInfo* info = file.find(name);
  REQUIRE(info != nullptr);
  const Tensor t = Tensor::empty(info->shape, info->dtype);
  file.read(name, std::span(t.raw(), static_cast<std::size_t>(t.bytes())));
  return t;
}

}  // namespace mld::test
