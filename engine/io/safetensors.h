// Files of named tensors in the safetensors format: 8 bytes little-endian header length, a JSON header,
// the tensors' bytes without gaps. Chosen because Python reads and writes it, and because nothing in it
// is executed. This layer knows bytes, types and shapes only; which tensor belongs where is its
// callers' business.
//
// Checksums. Our files carry, as string entries of `__metadata__` in lower-case hex of 8 digits,
//   "crc32/<tensor>"  the CRC-32 of the tensor's bytes, and
//   "crc32"           the CRC-32 of the header's content, computed over NUL-terminated strings: for each
//                     tensor in byte order of the names its name, type (F32), shape ("[2,3]") and checksum,
//                     then for each other metadata entry in byte order of the keys its key and value.
// A reader that does not know them sees two more kinds of strings. Files of others, without
// them, load unverified.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/base/dtype.h"
#include "engine/base/shape.h"
#include "engine/io/files.h"

namespace mld {

using Metadata = std::map<std::string, std::string>;  // UTF-8

struct TensorInfo {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  std::int64_t offset = 0;  // of the first byte, from the beginning of the file

  std::int64_t bytes() const { return shape.numel() * dtype_size(dtype); }
};

// An open file: the header is in memory, tensors are read on demand into the caller's memory (neither mapped
// nor read twice into memory, so a failing disk is an error and not a signal).
class SafetensorsFile {
 public:
  // Reads and checks everything: the header's size (at most 100 MB) and grammar, types (F32, F64, I32, U8),
  // shapes (at most 6 axes), that the tensors fill the file without holes or overlap, and all checksums.
  // Fails with ErrorKind::model naming the file, every problem found (up to 20) and the remedy; ErrorKind::io
  // if the disk fails.
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const std::vector<TensorInfo>& tensors() const { return tensors_; }  // in file order
  const Metadata& metadata() const { return metadata_; }               // without the checksums
  const TensorInfo* find(const std::string& name) const;               // nullptr if absent
  // The metadata entry `key`; ErrorKind::model if absent.
  const std::string& metadata(const std::string& key) const;
  // Fills `destination`, which must have the tensor's size. ErrorKind::model if there is no such tensor.
  void read(const std::string& name, std::span<std::byte> destination) const;

 private:
  std::int64_t read_header_size(std::int64_t file_bytes) const;
  void read_header();

  std::filesystem::path path_;
  Descriptor fd_;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, std::size_t> index_;  // name -> position in tensors_
  Metadata metadata_;
};

// One tensor to write: its bytes, or a function that fills the bytes given to it (converted
// layouts), called once.
struct TensorSource {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  std::variant<std::span<const std::byte>, std::function<void(std::span<std::byte>)>> bytes;
};

struct SafetensorsOptions {
  bool refuse_non_finite =
      false;  // of f32 and f64 tensors: ErrorKind::diverged naming each tensor and element
};

// Writes the file atomically (AtomicFile), with checksums; on any failure the previous file is untouched.
// Tensors are stored in the given order, wider element types first, so each is aligned. Keys "crc32" and
// "crc32/..." are reserved.
void save_safetensors(const std::filesystem::path& path, std::span<const TensorSource> tensors,
                      const Metadata& metadata = {}, const SafetensorsOptions& options = {});

// Fail with ErrorKind::model, naming everything that differs at once (up to 100 names of each sort), if
// `found` is not what is `expected`; order does not matter. `where` begins the message: the file, and what
// was expected of it.
void check_names(const std::string& where, std::span<const std::string> expected,
                 std::span<const std::string> found);
void check_tensors(const std::string& where, std::span<const TensorInfo> expected,  // names, types and shapes
                   std::span<const TensorInfo> found);

}  // namespace mld
