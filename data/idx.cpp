#include "data/idx.h"

#include "data/gzip.h"
#include "data/mmap_file.h"
#include "engine/core/error.h"

namespace mld::data {
namespace {

constexpr std::int64_t kMaxBytes = std::int64_t{1} << 33;
constexpr unsigned kUnsignedByte = 0x08;

IdxArray parse_plain(std::span<const std::uint8_t> bytes, const std::string& name) {
  MLD_CHECK_AS(ErrorKind::data, bytes.size() >= 4 && bytes[0] == 0 && bytes[1] == 0, name,
               ": not an IDX file (wrong magic, ", bytes.size(), " bytes)");
  MLD_CHECK_AS(ErrorKind::data, bytes[2] == kUnsignedByte, name, ": IDX element type ", int{bytes[2]},
               ", expected 8 (unsigned byte)");
  const int rank = bytes[3];
  MLD_CHECK_AS(ErrorKind::data, rank >= 1 && rank <= Shape::kMaxRank, name, ": IDX rank ", rank,
               ", expected 1 to ", Shape::kMaxRank);
  const std::size_t header = 4 + 4 * static_cast<std::size_t>(rank);
  MLD_CHECK_AS(ErrorKind::data, bytes.size() >= header, name,
               ": truncated in the IDX header; fetch the file again");
  IdxArray array;
  std::int64_t expected = 1;
  for (std::size_t at = 4; at < header; at += 4) {
    const std::int64_t extent = std::int64_t{bytes[at]} << 24 | std::int64_t{bytes[at + 1]} << 16 |
                                std::int64_t{bytes[at + 2]} << 8 | std::int64_t{bytes[at + 3]};
    MLD_CHECK_AS(ErrorKind::data, extent > 0 && !__builtin_mul_overflow(expected, extent, &expected), name,
                 ": impossible IDX extent ", extent);
    array.shape.push_back(extent);
  }
  const auto found = static_cast<std::int64_t>(bytes.size() - header);
  MLD_CHECK_AS(ErrorKind::data, found == expected, name, ": IDX shape ", array.shape, " needs ", expected,
               " bytes of data, found ", found, "; fetch the file again");
  array.values.assign(bytes.begin() + static_cast<std::ptrdiff_t>(header), bytes.end());
  return array;
}

}  // namespace

IdxArray parse_idx(std::span<const std::uint8_t> bytes, const std::string& name) {
  if (!is_gzip(bytes)) return parse_plain(bytes, name);
  return parse_plain(gunzip(bytes, kMaxBytes, name), name);
}

IdxArray read_idx(const std::filesystem::path& path) {
  return parse_idx(MmapFile(path).bytes(), path.string());
}

}  // namespace mld::data
