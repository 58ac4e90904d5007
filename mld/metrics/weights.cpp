#include "mld/metrics/weights.h"

#include <map>
#include <vector>

#include "engine/io/crc32.h"
#include "engine/io/safetensors.h"
#include "engine/io/safetensors_header.h"

namespace mld {
namespace {

template <class Entries>
void expect(const Entries& entries, DType dtype, std::vector<TensorInfo>& expected) {
  for (const auto& [name, data, first] : entries)
    expected.push_back({.name = name, .dtype = dtype, .shape = data->layout.shape});
}

// Fills an arena and notes the checksum of every tensor.
template <class Entries>
void fill(const SafetensorsFile& file, const Tensor& arena, const Entries& entries,
          std::map<std::string, std::string>& crcs) {
  const Tensor values = Tensor::zeros(arena.shape(), arena.dtype());
  std::vector<std::byte> bytes;
  for (const auto& [name, data, first] : entries) {
    bytes.resize(static_cast<std::size_t>(data->shape.numel() * dtype_size(arena.dtype())));
    file.read(name, bytes);
    crcs[name] = safetensors::crc_text(crc32(bytes));
    nn::from_file(bytes, data->layout, values.view(first, data->shape));
  }
  arena.copy_from(values.to(arena.device()));
}

}  // namespace

std::string load_weights(const std::filesystem::path& path, const std::string& network,
                         nn::ParameterStore& store) {
  const std::string remedy = cat("make it with `python tools/convert_weights.py ", network, " ...`");
  MLD_CHECK_AS(ErrorKind::model, std::filesystem::exists(path), path.string(),
               ": no weights of the network '", network, "' there; ", remedy);
  const SafetensorsFile file(path);
  std::vector<TensorInfo> expected;
  expect(store.parameters(), store.options().dtype, expected);
  expect(store.buffers(), store.options().dtype, expected);
  check_tensors(cat(path.string(), ": not the weights of the network '", network, "' (", remedy, ")"),
                expected, file.tensors());
  std::map<std::string, std::string> crcs;
  fill(file, store.value(), store.parameters(), crcs);
  fill(file, store.buffer(), store.buffers(), crcs);
  store.mark_filled();
  return safetensors::crc_text(safetensors::content_crc(file.tensors(), crcs, {}));
}

}  // namespace mld
