#include "engine/io/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <set>

#include "engine/io/crc32.h"
#include "engine/io/file_error.h"
#include "engine/io/files.h"
#include "engine/io/safetensors_header.h"

namespace mld {
namespace {

using safetensors::Entry;
using safetensors::Header;
using safetensors::Problems;

static_assert(std::endian::native == std::endian::little,
              "the format is little-endian and read as it stands");

constexpr std::array kDTypes = {DType::f32, DType::f64, DType::i32, DType::u8};

// Bytes of a tensor of these extents, or -1 beyond 2^63.
std::int64_t byte_size(const std::vector<std::uint64_t>& shape, DType dtype) {
  constexpr auto kMaxExtent = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  std::int64_t bytes = dtype_size(dtype);
  for (const std::uint64_t extent : shape)
    if (extent > kMaxExtent || __builtin_mul_overflow(bytes, static_cast<std::int64_t>(extent), &bytes))
      return -1;
  return bytes;
}

// Checks one entry alone. Offsets in the result count from the beginning of the data.
bool check_entry(const Entry& entry, std::int64_t data_bytes, TensorInfo& info, Problems& problems) {
  const std::string who = "tensor " + quote(entry.name) + ": ";
  if (entry.offsets.size() != 2 || entry.offsets[0] > entry.offsets[1]) {
    problems.add(who, "data_offsets are not a begin and an end");
    return false;
  }
  const auto [begin, end] = std::pair(entry.offsets[0], entry.offsets[1]);
  if (end > static_cast<std::uint64_t>(data_bytes)) {
    problems.add(who, "ends at byte ", end, " of ", data_bytes, " bytes of data");
    return false;
  }
  const auto* dtype = std::ranges::find(kDTypes, entry.dtype, safetensors::dtype_code);
  if (dtype == kDTypes.end()) {
    problems.add(who, "type ", quote(entry.dtype), " is not supported, convert it to F32, F64, I32 or U8");
    return false;
  }
  if (entry.shape.size() > static_cast<std::size_t>(Shape::kMaxRank)) {
    problems.add(who, "has more than ", Shape::kMaxRank, " axes");
    return false;
  }
  const std::int64_t bytes = byte_size(entry.shape, *dtype);
  if (bytes < 0 || static_cast<std::uint64_t>(bytes) != end - begin) {
    problems.add(who, "shape and type ask for ", bytes < 0 ? "more than 2^63" : std::to_string(bytes),
                 " bytes, data_offsets span ", end - begin);
    return false;
  }
  info.name = entry.name;
  info.dtype = *dtype;
  for (const std::uint64_t extent : entry.shape) info.shape.push_back(static_cast<std::int64_t>(extent));
  info.offset = static_cast<std::int64_t>(begin);
  return true;
}

// `tensors` in file order must fill [0, data_bytes) without holes or overlap.
void check_coverage(std::span<const TensorInfo> tensors, std::int64_t data_bytes, Problems& problems) {
  std::int64_t end = 0;
  for (const TensorInfo& tensor : tensors) {
    if (tensor.offset > end)
      problems.add("tensor ", quote(tensor.name), ": ", tensor.offset - end, " unused bytes before it");
    if (tensor.offset < end)
      problems.add("tensor ", quote(tensor.name), ": overlaps the one before it by ", end - tensor.offset,
                   " bytes");
    end = std::max(end, tensor.offset + tensor.bytes());
  }
  if (end < data_bytes) problems.add(data_bytes - end, " unused bytes after the last tensor");
}

std::vector<TensorInfo> check_header(const Header& header, std::int64_t data_begin, std::int64_t data_bytes,
                                     Problems& problems) {
  std::vector<TensorInfo> tensors;
  bool all_sound = true;
  for (const Entry& entry : header.tensors) {
    TensorInfo info;
    if (check_entry(entry, data_bytes, info, problems)) {
      tensors.push_back(std::move(info));
    } else {
      all_sound = false;
    }
  }
  std::ranges::sort(tensors, [](const TensorInfo& a, const TensorInfo& b) {
    return std::tuple(a.offset, a.bytes(), a.name) < std::tuple(b.offset, b.bytes(), b.name);
  });
  // Holes next to an entry already reported would only repeat it.
  if (all_sound) check_coverage(tensors, data_bytes, problems);
  for (TensorInfo& tensor : tensors) tensor.offset += data_begin;
  return tensors;
}

// Bytes of data that a header speaks of, if its entries fit together; else 0.
std::int64_t whole_data_bytes(const Header& header) {
  std::uint64_t end = 0;
  for (const Entry& entry : header.tensors)
    if (entry.offsets.size() == 2) end = std::max(end, entry.offsets[1]);
  constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 62U;  // room for the header before it
  Problems problems;
  if (end <= kMaxBytes) check_header(header, 0, static_cast<std::int64_t>(end), problems);
  return end <= kMaxBytes && problems.empty() ? static_cast<std::int64_t>(end) : 0;
}

std::uint32_t file_crc(const std::filesystem::path& path, int fd, const TensorInfo& tensor) {
  constexpr std::int64_t kBlock = 1 << 20;
  std::vector<std::byte> block(static_cast<std::size_t>(std::min(kBlock, tensor.bytes())));
  std::uint32_t crc = 0;
  for (std::int64_t done = 0; done < tensor.bytes(); done += kBlock) {
    const std::span part(block.data(), static_cast<std::size_t>(std::min(kBlock, tensor.bytes() - done)));
    read_at(path, fd, tensor.offset + done, part, ErrorKind::model);
    crc = crc32(part, crc);
  }
  return crc;
}

// Takes the checksums out of the metadata and compares them with the file.
void verify_checksums(const std::filesystem::path& path, int fd, std::span<const TensorInfo> tensors,
                      Metadata& metadata, Problems& problems) {
  std::map<std::string, std::string> crcs;
  std::string content;
  std::erase_if(metadata, [&](const auto& entry) {
    const auto& [key, value] = entry;
    if (key == safetensors::kCrcKey) content = value;
    if (key.starts_with(safetensors::kCrcPrefix)) crcs[key.substr(safetensors::kCrcPrefix.size())] = value;
    return key == safetensors::kCrcKey || key.starts_with(safetensors::kCrcPrefix);
  });
  bool complete = true;
  for (const TensorInfo& tensor : tensors) {
    const auto found = crcs.find(tensor.name);
    complete = complete && found != crcs.end();
    if (found == crcs.end()) continue;
    const std::string actual = crc_text(file_crc(path, fd, tensor));
    if (found->second != actual)
      problems.add("tensor ", quote(tensor.name), ": checksum of the data is ", actual, ", the header says ",
                   quote(found->second));
  }
  if (content.empty() && crcs.empty()) return;  // a file of others
  if (content.empty() || !complete || crcs.size() != tensors.size()) {
    problems.add("header: the checksums and the tensors are not the same set");
    return;
  }
  const std::string actual = crc_text(safetensors::content_crc(tensors, crcs, metadata));
  if (content != actual)
    problems.add("header: checksum of the content is ", actual, ", the header says ", quote(content));
}

std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t kMaxShown = 100;
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kMaxShown); ++i) text += (i ? ", " : "") + names[i];
  if (names.size() > kMaxShown) text += cat(" and ", names.size() - kMaxShown, " more");
  return text;
}

// Appends "; missing: ...; unexpected: ..." to `differences`.
void add_name_differences(std::span<const std::string> expected, std::span<const std::string> found,
                          std::string& differences) {
  const std::set<std::string> wanted(expected.begin(), expected.end()), present(found.begin(), found.end());
  std::vector<std::string> missing, unexpected;
  for (const std::string& name : wanted)
    if (!present.contains(name)) missing.push_back(quote(name));
  for (const std::string& name : present)
    if (!wanted.contains(name)) unexpected.push_back(quote(name));
  if (!missing.empty()) differences += cat("; missing (", missing.size(), "): ", listed(missing));
  if (!unexpected.empty()) differences += cat("; unexpected (", unexpected.size(), "): ", listed(unexpected));
}

[[noreturn]] void fail_mismatch(const std::string& where, const std::string& differences) {
  fail(ErrorKind::model, where, differences.substr(1),
       "; the file belongs to another configuration or kind of model, or to another version");
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : path_(path) { read_header(); }

// The length of the header, which must be there as a whole.
std::int64_t SafetensorsFile::read_header_size(std::int64_t file_bytes) const {
  const auto check_whole = [&](bool whole, const auto&... what) {
    MLD_CHECK_AS(ErrorKind::model, whole, path_.string(), ": truncated: has ", file_bytes, " bytes, ",
                 what..., "; use another copy");
  };
  check_whole(file_bytes >= 8, "the length of the header alone takes 8");
  std::uint64_t size = 0;
  read_at(path_, fd_.get(), 0, std::as_writable_bytes(std::span(&size, 1)), ErrorKind::model);
  char first = '{';
  if (file_bytes > 8)
    read_at(path_, fd_.get(), 8, std::as_writable_bytes(std::span(&first, 1)), ErrorKind::model);
  const bool fits = size <= static_cast<std::uint64_t>(std::max<std::int64_t>(0, file_bytes - 8));
  MLD_CHECK_AS(ErrorKind::model, size <= safetensors::kMaxHeaderBytes && (fits || first == '{'),
               path_.string(), ": not a safetensors file: its first 8 bytes claim a header of ", size,
               " bytes (the limit is ", safetensors::kMaxHeaderBytes, ") that begins with ",
               quote({&first, 1}), " (expected '{')", "; name a .safetensors file");
  const auto header_bytes = static_cast<std::int64_t>(size);
  check_whole(header_bytes <= file_bytes - 8, "its header ends at byte ", 8 + header_bytes);
  return header_bytes;
}

void SafetensorsFile::read_header() {
  std::int64_t file_bytes = 0;
  fd_ = open_to_read(path_, ErrorKind::model, &file_bytes);
  const std::int64_t header_bytes = read_header_size(file_bytes);
  std::string json(static_cast<std::size_t>(header_bytes), '\0');
  read_at(path_, fd_.get(), 8, std::as_writable_bytes(std::span(json)), ErrorKind::model);

  Problems problems;
  Header header = safetensors::parse_header(json, problems);
  const std::int64_t data_begin = 8 + header_bytes, data_bytes = file_bytes - data_begin;
  if (problems.empty())
    if (const std::int64_t described = whole_data_bytes(header); described > data_bytes)
      fail(ErrorKind::model, path_.string(), ": truncated: has ", file_bytes, " bytes, its header describes ",
           data_begin + described, "; use another copy");
  if (problems.empty()) tensors_ = check_header(header, data_begin, data_bytes, problems);
  const bool well_formed = problems.empty();
  if (well_formed) verify_checksums(path_, fd_.get(), tensors_, header.metadata, problems);
  MLD_CHECK_AS(ErrorKind::model, problems.empty(), path_.string(), ": ", problems.text(),
               "; the file is damaged or not made for this program, use another copy",
               well_formed ? ". If it was edited on purpose, drop 'crc32' and all 'crc32/...' from its "
                             "__metadata__"
                           : "");
  for (std::size_t i = 0; i < tensors_.size(); ++i) index_[tensors_[i].name] = i;
  metadata_ = std::move(header.metadata);
}

const TensorInfo* SafetensorsFile::find(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

const std::string& SafetensorsFile::metadata(const std::string& key) const {
  const auto found = metadata_.find(key);
  MLD_CHECK_AS(ErrorKind::model, found != metadata_.end(), path_.string(), ": has no metadata ", quote(key),
               "; it was not written by this program or by another version");
  return found->second;
}

void SafetensorsFile::read(const std::string& name, std::span<std::byte> destination) const {
  const TensorInfo* tensor = find(name);
  MLD_CHECK_AS(ErrorKind::model, tensor != nullptr, path_.string(), ": has no tensor ", quote(name),
               "; the file belongs to another kind of model");
  MLD_CHECK(static_cast<std::int64_t>(destination.size()) == tensor->bytes(), path_.string(), ": tensor ",
            quote(name), " has ", tensor->bytes(), " bytes, asked to fill ", destination.size());
  read_at(path_, fd_.get(), tensor->offset, destination, ErrorKind::model);
}

void check_names(const std::string& where, std::span<const std::string> expected,
                 std::span<const std::string> found) {
  std::string differences;
  add_name_differences(expected, found, differences);
  if (!differences.empty()) fail_mismatch(where + ":", differences);
}

void check_tensors(const std::string& where, std::span<const TensorInfo> expected,
                   std::span<const TensorInfo> found) {
  std::vector<std::string> expected_names, found_names, wrong;
  std::map<std::string, const TensorInfo*> present;
  for (const TensorInfo& tensor : found) {
    found_names.push_back(tensor.name);
    present[tensor.name] = &tensor;
  }
  for (const TensorInfo& tensor : expected) {
    expected_names.push_back(tensor.name);
    const auto other = present.find(tensor.name);
    if (other == present.end()) continue;
    const TensorInfo& got = *other->second;
    if (got.dtype != tensor.dtype || !(got.shape == tensor.shape))
      wrong.push_back(cat(quote(tensor.name), " is ", dtype_name(got.dtype), got.shape, ", not ",
                          dtype_name(tensor.dtype), tensor.shape));
  }
  std::string differences;
  add_name_differences(expected_names, found_names, differences);
  if (!wrong.empty()) differences += cat("; wrong type or shape (", wrong.size(), "): ", listed(wrong));
  if (!differences.empty()) fail_mismatch(where + ":", differences);
}

}  // namespace mld
