// Files with the published weights of the metric networks. tools/convert_weights.py makes them out of what
// is distributed: safetensors in the project's own form (nn/checkpoint.h), the network's name in the
// metadata entry "network". docs/metric-weights.md says where the originals are.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "nn/parameter.h"

namespace mld::metrics {

// Fills the store of a network and returns the hash that stamps every number made with it: the CRC-32 of all
// tensors' names, shapes and bytes in order of names, 8 hex digits. Names are those of the network's visit().
// ErrorKind::model, naming the file, what was expected and the remedy, if the file is missing, damaged, of
// another network, or lacks tensors.
std::string load_weights(const std::filesystem::path& file, const std::string& network,
                         nn::ParameterStore& store);

// The file of `network` ("inception", "vggish", ...) in `folder`, or if that is empty in the folder that the
// environment variable MLD_WEIGHTS names. Nothing if neither is given or the file is not there.
std::optional<std::filesystem::path> find_weights(const std::filesystem::path& folder,
                                                  const std::string& network);

}  // namespace mld::metrics
