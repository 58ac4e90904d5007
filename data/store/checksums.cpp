#include "data/store/checksums.h"

#include <algorithm>
#include <limits>

#include "data/formats/mmap_file.h"
#include "data/store/json_fields.h"
#include "data/store/modality_json.h"
#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "engine/io/crc32.h"
#include "engine/threads/threads.h"

namespace mld::data {
namespace {

constexpr const char* kFormat = "mld-checksums";
constexpr const char* kDamaged = ": the file was damaged or exchanged; import the data again";

std::int64_t block_count(std::int64_t bytes) { return (bytes + kChecksumBlock - 1) / kChecksumBlock; }

std::int64_t block_size(std::int64_t block, std::int64_t bytes) {
  return std::min(kChecksumBlock, bytes - block * kChecksumBlock);
}

FileChecksums parse_file(JsonFields f, const std::string& name) {
  FileChecksums sums;
  sums.file = name;
  sums.header_bytes = f.integer("header_bytes", 0, INT32_MAX);
  sums.header = f.crc32("header");
  sums.data_bytes = f.integer("data_bytes", 0, std::numeric_limits<std::int64_t>::max() / 2);
  sums.data = f.crc32("data");
  sums.blocks = f.crc32s("blocks");
  MLD_CHECK_AS(ErrorKind::data, std::ssize(sums.blocks) == block_count(sums.data_bytes), f.place("blocks"),
               ": ", sums.blocks.size(), " checksums for ", sums.data_bytes, " bytes of data, expected ",
               block_count(sums.data_bytes));
  f.finish();
  return sums;
}

}  // namespace

void ChecksumStream::add(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::int64_t filled = bytes_ % kChecksumBlock;
    if (filled == 0) blocks_.push_back(0);
    const auto size = std::min(static_cast<std::size_t>(kChecksumBlock - filled), bytes.size());
    blocks_.back() = crc32(bytes.first(size), blocks_.back());
    bytes_ += static_cast<std::int64_t>(size);
    bytes = bytes.subspan(size);
  }
}

FileChecksums ChecksumStream::finish(std::string file, std::string_view header) const {
  FileChecksums sums{std::move(file), std::ssize(header), bytes_, crc32(std::as_bytes(std::span(header))), 0,
                     blocks_};
  for (std::int64_t b = 0; b < std::ssize(blocks_); ++b)
    sums.data = crc32_joined(sums.data, blocks_[static_cast<std::size_t>(b)], block_size(b, bytes_));
  return sums;
}

std::vector<std::string> checked_files(const Description& d) {
  std::vector<std::string> files;
  for (const SplitSize& split : d.splits) {
    for (const Modality& m : d.modalities) {
      files.push_back(split.name + "/" + m.name + ".npy");
      files.push_back(split.name + "/" + m.name + ".labels.npy");
    }
    files.push_back(split.name + "/samples.npy");
    files.push_back(split.name + "/labels.npy");
  }
  for (const Modality& m : d.modalities)
    if (!m.vocabulary.empty()) files.push_back(m.vocabulary);
  return files;
}

std::string to_json(std::span<const FileChecksums> checksums) {
  Json files = Json::object();
  for (const FileChecksums& sums : checksums) {
    Json entry{{"header_bytes", sums.header_bytes},
               {"header", crc_text(sums.header)},
               {"data_bytes", sums.data_bytes},
               {"data", crc_text(sums.data)},
               {"blocks", Json::array()}};
    for (const std::uint32_t block : sums.blocks) entry["blocks"].push_back(crc_text(block));
    files[sums.file] = std::move(entry);
  }
  return sealed_text({{"format", kFormat}, {"block_bytes", kChecksumBlock}, {"files", std::move(files)}});
}

std::vector<FileChecksums> parse_checksums(std::string_view text, const Description& description,
                                           const std::string& file) {
  const Json json = parse_json(text, file);
  JsonFields f(json, file);
  f.check_seal(text);
  MLD_CHECK_AS(ErrorKind::data, f.string("format") == kFormat, f.place("format"), ": expected ", kFormat);
  f.integer("block_bytes", kChecksumBlock, kChecksumBlock);
  JsonFields files = f.object("files");
  std::vector<FileChecksums> result;
  for (const std::string& name : checked_files(description))
    result.push_back(parse_file(files.object(name), name));
  files.finish();
  f.finish();
  return result;
}

std::string fingerprint(const Description& d, std::span<const FileChecksums> checksums) {
  Json content{{"classes", d.classes}, {"modalities", Json::array()}, {"splits", splits_json(d)}};
  std::vector<std::string> vocabularies;
  for (Modality m : d.modalities) {
    m.vocabulary.clear();  // named by its content below
    content["modalities"].push_back(modality_json(m));
  }
  if (!d.attributes.empty()) content["attributes"] = attributes_json(d);
  std::uint64_t hash = fnv1a(content.dump());
  for (const FileChecksums& sums : checksums) {
    const auto owner = std::find_if(d.modalities.begin(), d.modalities.end(),
                                    [&](const Modality& m) { return m.vocabulary == sums.file; });
    const std::string name = owner == d.modalities.end() ? sums.file : owner->name + " vocabulary";
    hash = fnv1a(cat('\n', name, ' ', sums.data_bytes, ' ', crc_text(sums.data)), hash);
  }
  return hex(hash, 16);
}

CheckedBytes::CheckedBytes(std::span<const std::uint8_t> file, FileChecksums checksums, std::string name)
    : name_(std::move(name)), checksums_(std::move(checksums)) {
  const auto header = static_cast<std::size_t>(checksums_.header_bytes);
  const std::int64_t expected = checksums_.header_bytes + checksums_.data_bytes;
  MLD_CHECK_AS(ErrorKind::data, std::ssize(file) == expected, name_, ": ", file.size(), " bytes, expected ",
               expected, kDamaged);
  const std::uint32_t found = crc32(std::as_bytes(file.first(header)));
  MLD_CHECK_AS(ErrorKind::data, found == checksums_.header, name_, ": the header (bytes 0 to ", header,
               ") has checksum ", crc_text(found), ", expected ", crc_text(checksums_.header), kDamaged);
  data_ = file.subspan(header);
  good_ = std::make_unique<std::atomic<bool>[]>(checksums_.blocks.size());
}

void CheckedBytes::check(std::span<const std::int64_t> blocks) const {
  const auto check_block = [&](std::int64_t i) {
    const std::int64_t block = blocks[static_cast<std::size_t>(i)], start = block * kChecksumBlock;
    const std::int64_t size = block_size(block, checksums_.data_bytes);
    const auto bytes = data_.subspan(static_cast<std::size_t>(start), static_cast<std::size_t>(size));
    read_ahead(bytes);
    const std::uint32_t expected = checksums_.blocks[static_cast<std::size_t>(block)];
    const std::uint32_t found = crc32(std::as_bytes(bytes));
    MLD_CHECK_AS(ErrorKind::data, found == expected, name_, ": block ", block, " (bytes ",
                 checksums_.header_bytes + start, " to ", checksums_.header_bytes + start + size,
                 ") has checksum ", crc_text(found), ", expected ", crc_text(expected), kDamaged);
    good_[static_cast<std::size_t>(block)] = true;
  };
  parallel_for(std::ssize(blocks), check_block, blocks.size() > 4 ? max_threads() : 1);
}

void CheckedBytes::check_all() const {
  std::vector<std::int64_t> blocks(checksums_.blocks.size());
  for (std::size_t b = 0; b < blocks.size(); ++b) blocks[b] = static_cast<std::int64_t>(b);
  check(blocks);
}

void CheckedBytes::check_rows(std::span<const std::int32_t> rows, std::int64_t row_bytes) const {
  if (!good_) return;
  std::vector<std::int64_t> blocks;
  for (const std::int32_t row : rows) {
    if (row < 0) continue;
    const std::int64_t first = row * row_bytes / kChecksumBlock;
    const std::int64_t last = (row * row_bytes + row_bytes - 1) / kChecksumBlock;
    for (std::int64_t block = first; block <= last; ++block)
      if (!good_[static_cast<std::size_t>(block)].load(std::memory_order_relaxed)) blocks.push_back(block);
  }
  if (blocks.empty()) return;
  std::sort(blocks.begin(), blocks.end());
  blocks.erase(std::unique(blocks.begin(), blocks.end()), blocks.end());
  check(blocks);
}

}  // namespace mld::data
