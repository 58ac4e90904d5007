#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/io/atomic_file.h"
#include "engine/io/crc32.h"
#include "engine/io/file_error.h"
#include "engine/io/safetensors_header.h"

namespace mld {
namespace {

using safetensors::kCrcKey;
using safetensors::kCrcPrefix;
using safetensors::kMetadataName;
using Crcs = std::map<std::string, std::string>;

void check_source(const std::filesystem::path& path, const TensorSource& source, std::int64_t bytes,
                  std::set<std::string>& names) {
  MLD_CHECK(!source.name.empty() && source.name != kMetadataName, path.string(), ": ", quote(source.name),
            " cannot name a tensor");
  MLD_CHECK(names.insert(source.name).second, path.string(), ": tensor ", quote(source.name),
            " is given twice");
  const auto* given = std::get_if<std::span<const std::byte>>(&source.bytes);
  MLD_CHECK(given == nullptr || static_cast<std::int64_t>(given->size()) == bytes, path.string(), ": tensor ",
            quote(source.name), " ", source.shape, " needs ", bytes, " bytes, got ",
            given == nullptr ? 0 : given->size());
}

// Order of the file (wider types first, else as given), with offsets counted from the beginning of the data.
std::vector<std::pair<const TensorSource*, TensorInfo>> lay_out(const std::filesystem::path& path,
                                                                std::span<const TensorSource> sources) {
  std::vector<std::pair<const TensorSource*, TensorInfo>> layout;
  std::set<std::string> names;
  for (const TensorSource& source : sources) {
    layout.emplace_back(&source, TensorInfo{source.name, source.dtype, source.shape, 0});
    check_source(path, source, layout.back().second.bytes(), names);
  }
  std::ranges::stable_sort(layout, std::greater(),
                           [](const auto& item) { return dtype_size(item.second.dtype); });
  std::int64_t offset = 0;
  for (auto& [source, info] : layout) {
    info.offset = offset;
    offset += info.bytes();
  }
  return layout;
}

// The header with its length, padded so that the data begin at a multiple of 8. Its size does
// not depend on `crcs`.
std::string header_text(const std::filesystem::path& path, std::span<const TensorInfo> tensors,
                        const Crcs& crcs, const Metadata& metadata) try {
  nlohmann::ordered_json header;
  auto& strings = header[std::string(kMetadataName)] = metadata;
  for (const auto& [name, crc] : crcs) strings[std::string(kCrcPrefix) + name] = crc;
  strings[std::string(kCrcKey)] = crc_text(safetensors::content_crc(tensors, crcs, metadata));
  for (const TensorInfo& tensor : tensors)
    header[tensor.name] = {{"dtype", safetensors::dtype_code(tensor.dtype)},
                           {"shape", tensor.shape.extents()},
                           {"data_offsets", {tensor.offset, tensor.offset + tensor.bytes()}}};
  std::string json = header.dump();
  json.resize((json.size() + 7) / 8 * 8, ' ');
  MLD_CHECK(json.size() <= static_cast<std::size_t>(safetensors::kMaxHeaderBytes), path.string(),
            ": header of ", json.size(), " bytes is larger than readers accept");
  const std::uint64_t size = json.size();
  std::string text(sizeof size, '\0');
  std::memcpy(text.data(), &size, sizeof size);
  return text + json;
} catch (const nlohmann::json::exception&) {
  fail(ErrorKind::internal, path.string(), ": a tensor's name or a metadata string is not UTF-8");
}

// Index of the first element that is infinite or no number, -1 if there is none.
template <class T>
std::int64_t first_non_finite(std::span<const std::byte> bytes) {
  for (std::size_t i = 0; i < bytes.size() / sizeof(T); ++i) {
    T value;
    std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
    if (!std::isfinite(value)) return static_cast<std::int64_t>(i);
  }
  return -1;
}

std::int64_t first_non_finite(DType dtype, std::span<const std::byte> bytes) {
  if (dtype == DType::f32) return first_non_finite<float>(bytes);
  if (dtype == DType::f64) return first_non_finite<double>(bytes);
  return -1;
}

std::span<const std::byte> produce(const TensorSource& source, std::int64_t bytes,
                                   std::vector<std::byte>& scratch) {
  if (const auto* given = std::get_if<std::span<const std::byte>>(&source.bytes)) return *given;
  scratch.resize(static_cast<std::size_t>(bytes));
  std::get<1>(source.bytes)(scratch);
  return scratch;
}

}  // namespace

void save_safetensors(const std::filesystem::path& path, std::span<const TensorSource> tensors,
                      const Metadata& metadata, const SafetensorsOptions& options) {
  for (const auto& [key, value] : metadata)
    MLD_CHECK(key != kCrcKey && !key.starts_with(kCrcPrefix), path.string(), ": metadata key ", quote(key),
              " is reserved");
  const auto layout = lay_out(path, tensors);
  std::vector<TensorInfo> infos;
  Crcs crcs;
  for (const auto& [source, info] : layout) {
    infos.push_back(info);
    crcs[info.name] = crc_text(0);
  }
  AtomicFile file(path);
  file.write(header_text(path, infos, crcs, metadata));
  std::vector<std::byte> scratch;
  safetensors::Problems problems;
  for (const auto& [source, info] : layout) {
    const auto bytes = produce(*source, info.bytes(), scratch);
    if (const std::int64_t i = options.refuse_non_finite ? first_non_finite(info.dtype, bytes) : -1; i >= 0)
      problems.add("tensor ", quote(info.name), ": element ", i, " is not finite");
    crcs[info.name] = crc_text(crc32(bytes));
    file.write(bytes);
  }
  MLD_CHECK_AS(ErrorKind::diverged, problems.empty(), path.string(), ": not saved: ", problems.text(),
               "; go back to an earlier checkpoint, with a smaller learning rate or clipped gradients");
  const std::string header = header_text(path, infos, crcs, metadata);
  file.write_at(0, std::as_bytes(std::span(header)));
  file.commit();
}

}  // namespace mld
