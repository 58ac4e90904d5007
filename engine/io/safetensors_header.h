// What reader and writer of the safetensors format share: the header's content before its numbers are checked
// against the file, and the keys and values of our checksums. Internal to engine/io.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/io/safetensors.h"

namespace mld::safetensors {

inline constexpr std::int64_t kMaxHeaderBytes = 100'000'000;  // what other readers accept, too
inline constexpr std::string_view kMetadataName = "__metadata__";
inline constexpr std::string_view kCrcKey = "crc32";      // the header's content
inline constexpr std::string_view kCrcPrefix = "crc32/";  // + name: a tensor's bytes

// Collects what is wrong with a file, so that one error names all of it.
class Problems {
 public:
  template <class... Parts>
  void add(Parts&&... parts) {
    constexpr std::size_t kMaxShown = 20;
    if (++count_ <= kMaxShown) list_ += (list_.empty() ? "" : "; ") + cat(std::forward<Parts>(parts)...);
  }
  bool empty() const { return count_ == 0; }
  // "3 problems: ...; ...; ..."
  std::string text() const;

 private:
  std::size_t count_ = 0;
  std::string list_;
};

// One tensor as the header states it. The numbers may be anything.
struct Entry {
  std::string name, dtype;
  std::vector<std::uint64_t> shape, offsets;
};

struct Header {
  std::vector<Entry> tensors;
  Metadata metadata;
};

// Parses the header's JSON with the format's grammar and nothing beyond it: duplicates, other members, deeper
// nesting and other types are problems. Needs no memory beyond what it returns.
Header parse_header(std::string_view json, Problems& problems);

const char* dtype_code(DType dtype);  // "F32"

// The checksum stored under kCrcKey (its definition: safetensors.h). `crcs` maps tensor names to their
// crc_text.
std::uint32_t content_crc(std::span<const TensorInfo> tensors, const std::map<std::string, std::string>& crcs,
                          const Metadata& metadata);

}  // namespace mld::safetensors
