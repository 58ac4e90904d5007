// Checksums of a store's files (checksums.json, data/store/store.h): written at import, compared at the
// latest when the bytes are first used.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/store/description.h"

namespace mld::data {

constexpr const char* kChecksumsFile = "checksums.json";
constexpr std::int64_t kChecksumBlock = std::int64_t{1} << 20;  // bytes of data per checksum

// CRC-32 of one file: of its header (that of an array; nothing in other files), of the data behind it, and of
// every block of the data, the last of which may be shorter.
struct FileChecksums {
  std::string file;  // "train/image.npy"
  std::int64_t header_bytes = 0, data_bytes = 0;
  std::uint32_t header = 0, data = 0;
  std::vector<std::uint32_t> blocks;
  bool operator==(const FileChecksums&) const = default;
};

// Checksums of data that come piece by piece.
class ChecksumStream {
 public:
  void add(std::span<const std::byte> bytes);
  FileChecksums finish(std::string file, std::string_view header) const;

 private:
  std::int64_t bytes_ = 0;
  std::vector<std::uint32_t> blocks_;
};

// The files with checksums of a store, in the order of checksums.json.
std::vector<std::string> checked_files(const Description& description);

// The text of checksums.json and back; `file` starts every message, ErrorKind::data. The list must be
// that of `description`.
std::string to_json(std::span<const FileChecksums> checksums);
std::vector<FileChecksums> parse_checksums(std::string_view text, const Description& description,
                                           const std::string& file);

// What Description::fingerprint of a store with these data is: depends on classes, modalities, splits and
// data, not on the names of the data set and its vocabularies, nor on the provenance.
std::string fingerprint(const Description& description, std::span<const FileChecksums> checksums);

// Compares a file in memory with its checksums, each block when it is first asked for. Safe to use from
// several threads. Without checksums every check passes.
class CheckedBytes {
 public:
  CheckedBytes() = default;
  // `file` (header and data) must outlive the object; `name` starts every message. The header
  // is compared at once.
  CheckedBytes(std::span<const std::uint8_t> file, FileChecksums checksums, std::string name);

  // Data that differ are an ErrorKind::data error that names the block.
  void check_all() const;
  // The same for the rows of `row_bytes` with the given numbers; negative ones are skipped.
  void check_rows(std::span<const std::int32_t> rows, std::int64_t row_bytes) const;

 private:
  void check(std::span<const std::int64_t> blocks) const;

  std::string name_;
  std::span<const std::uint8_t> data_;
  FileChecksums checksums_;
  std::unique_ptr<std::atomic<bool>[]> good_;  // per block: was compared
};

}  // namespace mld::data
