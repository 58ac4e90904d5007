#include "mld/evaluate/networks/weights.h"

#include <cstdlib>
#include <map>
#include <utility>
#include <vector>

#include "engine/io/crc32.h"
#include "engine/io/files.h"
#include "engine/io/safetensors.h"

namespace mld {
namespace {

// One tensor of the file and the place of its values in an arena.
struct Item {
  TensorInfo info;
  const nn::FileLayout* layout;
  Tensor values;  // on the cpu
};

template <class Entries>
void collect(const Tensor& arena, const Entries& entries, std::vector<Item>& items) {
  for (const auto& [name, data, first] : entries) {
    TensorInfo info{name, arena.dtype(), data->layout.shape};
    items.push_back({std::move(info), &data->layout, arena.view(first, data->shape)});
  }
}

// Reads the items' values and returns the hash.
std::string fill(const SafetensorsFile& file, const std::vector<Item>& items) {
  std::map<std::string, const Item*> by_name;
  for (const Item& item : items) by_name[item.info.name] = &item;
  std::uint32_t crc = 0;
  std::vector<std::byte> bytes;
  for (const auto& [name, item] : by_name) {
    bytes.resize(static_cast<std::size_t>(item->info.bytes()));
    file.read(name, bytes);
    nn::from_file(bytes, *item->layout, item->values);
    const std::string heading = cat(name, item->info.shape);
    crc = crc32(bytes, crc32(std::as_bytes(std::span(heading)), crc));
  }
  return crc_text(crc);
}

std::string load(const std::filesystem::path& path, const std::string& network, nn::ParameterStore& store) {
  const SafetensorsFile file(path);
  const auto named = file.metadata().find("network");
  MLD_CHECK_AS(ErrorKind::model, named == file.metadata().end() || named->second == network, path.string(),
               ": holds the weights of '", named->second, "'");
  const Tensor values = Tensor::zeros(store.value().shape(), store.options().dtype);
  const Tensor buffers = Tensor::zeros(store.buffer().shape(), store.options().dtype);
  std::vector<Item> items;
  collect(values, store.parameters(), items);
  collect(buffers, store.buffers(), items);
  std::vector<TensorInfo> expected;
  for (const Item& item : items) expected.push_back(item.info);
  check_tensors(path.string(), expected, file.tensors());
  std::string hash = fill(file, items);
  store.value().copy_from(values.to(store.options().device));
  store.buffer().copy_from(buffers.to(store.options().device));
  store.mark_filled();
  return hash;
}

}  // namespace

std::string load_weights(const std::filesystem::path& file, const std::string& network,
                         nn::ParameterStore& store) {
  try {
    return load(file, network, store);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::model) throw;
    fail(ErrorKind::model, error.what(), "; expected the weights of '", network,
         "', which tools/convert_weights.py ", network, " makes (docs/metric-weights.md)");
  }
}

std::filesystem::path weights_folder(const std::filesystem::path& folder) {
  std::filesystem::path place = folder;
  if (place.empty())
    if (const char* named = std::getenv("MLD_WEIGHTS")) place = named;
  MLD_CHECK_AS(ErrorKind::io, place.empty() || is_folder(place), place.string(),
               ": no such folder, expected that of the metric networks' weights (docs/metric-weights.md)");
  return place;
}

std::optional<std::filesystem::path> find_weight_file(const std::filesystem::path& folder,
                                                      const std::string& file) {
  const std::filesystem::path place = weights_folder(folder);
  if (place.empty() || !path_exists(place / file)) return std::nullopt;
  return place / file;
}

std::optional<std::filesystem::path> find_weights(const std::filesystem::path& folder,
                                                  const std::string& network) {
  return find_weight_file(folder, network + ".safetensors");
}

}  // namespace mld
