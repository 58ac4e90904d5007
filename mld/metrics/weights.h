// Loads the public networks behind the quality metrics: one safetensors file a network, its tensors named as
// in the public distribution, in PyTorch's layouts, made by tools/convert_weights.py.
#pragma once

#include <filesystem>
#include <string>

#include "nn/parameter.h"

namespace mld {

// Fills the store of `model` and returns the CRC-32 of what was read (names, shapes and values, as
// engine/io/safetensors.h defines it for a file without further metadata; 8 hex digits), which stamps every
// number made with these weights. ErrorKind::model if the file is missing or does not hold exactly the
// tensors of the network; `network` is the converter's name for it.
std::string load_weights(const std::filesystem::path& file, const std::string& network,
                         nn::ParameterStore& store);
template <class Model>
std::string load_weights(const std::filesystem::path& file, const std::string& network,
                         nn::ParameterStore& store, Model&) {
  return load_weights(file, network, store);
}

}  // namespace mld
