// Files with the published weights of the metric networks, made by tools/convert_weights.py out of what is
// distributed (docs/metric-weights.md): safetensors in which the tensors have the published names and
// layouts; the metadata entry "network" tells whose they are.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "nn/parameter.h"

namespace mld {

// Fills the store of a network and returns the hash that stamps every number made with it: the CRC-32 of all
// tensors' names, shapes and bytes in byte order of the names, 8 hex digits. `network` is the converter's
// name for it. ErrorKind::model, naming the file, what was expected and the remedy, if the file is missing,
// damaged, of another network, or does not hold exactly the network's tensors.
std::string load_weights(const std::filesystem::path& file, const std::string& network,
                         nn::ParameterStore& store);

// `folder`, or else that of MLD_WEIGHTS; empty if neither is named. ErrorKind::io if there is no such folder.
std::filesystem::path weights_folder(const std::filesystem::path& folder);

// `file` in `folder`, or if that is empty in the folder that the environment variable MLD_WEIGHTS names.
// Nothing if neither is given or the file is not there.
std::optional<std::filesystem::path> find_weight_file(const std::filesystem::path& folder,
                                                      const std::string& file);
// The file of `network` ("inception", "vggish", ...) likewise.
std::optional<std::filesystem::path> find_weights(const std::filesystem::path& folder,
                                                  const std::string& network);

}  // namespace mld
