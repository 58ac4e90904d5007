#include "mld/metrics/weights.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "engine/io/crc32.h"
#include "engine/io/safetensors.h"
#include "nn/checkpoint.h"

namespace mld::metrics {
namespace {

std::string hash_of(const SafetensorsFile& file) {
  std::vector<TensorInfo> tensors = file.tensors();
  std::ranges::sort(tensors, {}, &TensorInfo::name);
  std::uint32_t crc = 0;
  std::vector<std::byte> bytes;
  for (const TensorInfo& tensor : tensors) {
    const std::string heading = cat(tensor.name, tensor.shape);
    bytes.resize(static_cast<std::size_t>(tensor.bytes()));
    file.read(tensor.name, bytes);
    crc = crc32(bytes, crc32(std::as_bytes(std::span(heading)), crc));
  }
  std::array<char, 9> text{};
  std::snprintf(text.data(), text.size(), "%08x", static_cast<unsigned>(crc));
  return text.data();
}

}  // namespace

std::string load_weights(const std::filesystem::path& file, const std::string& network,
                         nn::ParameterStore& store) {
  try {
    const SafetensorsFile opened(file);
    const auto found = opened.metadata().find("network");
    MLD_CHECK_AS(ErrorKind::model, found != opened.metadata().end(), file.string(),
                 ": does not say which network its weights are of");
    MLD_CHECK_AS(ErrorKind::model, found->second == network, file.string(), ": holds the weights of '",
                 found->second, "'");
    std::string hash = hash_of(opened);
    nn::load_weights(file, std::array<nn::StoredModel, 1>{{{"", &store}}});
    return hash;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::model) throw;
    fail(ErrorKind::model, error.what(), "; expected the weights of '", network,
         "', which tools/convert_weights.py ", network, " makes (docs/metric-weights.md)");
  }
}

std::optional<std::filesystem::path> find_weights(const std::filesystem::path& folder,
                                                  const std::string& network) {
  std::filesystem::path place = folder;
  if (place.empty())
    if (const char* named = std::getenv("MLD_WEIGHTS")) place = named;
  if (place.empty()) return std::nullopt;
  place /= network + ".safetensors";
  if (!std::filesystem::exists(place)) return std::nullopt;
  return place;
}

}  // namespace mld::metrics
