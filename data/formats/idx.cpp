#include "data/formats/idx.h"

#include <algorithm>

#include "data/formats/gzip.h"
#include "data/formats/mmap_file.h"
#include "engine/base/error.h"

namespace mld::data {
namespace {

constexpr std::size_t kMaxHeader = 4 + 4 * static_cast<std::size_t>(Shape::kMaxRank);
constexpr unsigned kUnsignedByte = 0x08;

struct Header {
  Shape shape;
  std::size_t size = 0;         // bytes before the data
  std::int64_t data_bytes = 0;  // that the shape needs
};

Header parse_header(std::span<const std::uint8_t> bytes, const std::string& name) {
  MLD_CHECK_AS(ErrorKind::data, bytes.size() >= 4 && bytes[0] == 0 && bytes[1] == 0, name,
               ": not an IDX file (wrong magic, ", bytes.size(), " bytes)");
  MLD_CHECK_AS(ErrorKind::data, bytes[2] == kUnsignedByte, name, ": IDX element type ", int{bytes[2]},
               ", expected 8 (unsigned byte)");
  const int rank = bytes[3];
  MLD_CHECK_AS(ErrorKind::data, rank >= 1 && rank <= Shape::kMaxRank, name, ": IDX rank ", rank,
               ", expected 1 to ", Shape::kMaxRank);
  Header header{{}, 4 + 4 * static_cast<std::size_t>(rank), 1};
  MLD_CHECK_AS(ErrorKind::data, bytes.size() >= header.size, name,
               ": truncated in the IDX header; fetch the file again");
  for (std::size_t at = 4; at < header.size; at += 4) {
    const std::int64_t extent = std::int64_t{bytes[at]} << 24 | std::int64_t{bytes[at + 1]} << 16 |
                                std::int64_t{bytes[at + 2]} << 8 | std::int64_t{bytes[at + 3]};
    MLD_CHECK_AS(ErrorKind::data,
                 extent > 0 && !__builtin_mul_overflow(header.data_bytes, extent, &header.data_bytes), name,
                 ": impossible IDX extent ", extent);
    header.shape.push_back(extent);
  }
  return header;
}

IdxArray parse_plain(std::span<const std::uint8_t> bytes, const std::string& name) {
  const Header header = parse_header(bytes, name);
  const auto found = static_cast<std::int64_t>(bytes.size() - header.size);
  MLD_CHECK_AS(ErrorKind::data, found == header.data_bytes, name, ": IDX shape ", header.shape, " needs ",
               header.data_bytes, " bytes of data, found ", found, "; fetch the file again");
  return {header.shape, {bytes.begin() + static_cast<std::ptrdiff_t>(header.size), bytes.end()}};
}

}  // namespace

IdxArray parse_idx(std::span<const std::uint8_t> bytes, const std::string& name) {
  if (!is_gzip(bytes)) return parse_plain(bytes, name);
  const Header header = parse_header(gunzip_start(bytes, kMaxHeader, name), name);
  const auto total = static_cast<std::int64_t>(header.size) + std::min(header.data_bytes, INT64_MAX / 2);
  return parse_plain(gunzip_promised(bytes, total, name), name);
}

IdxArray read_idx(const std::filesystem::path& path) {
  return parse_idx(MmapFile(path).bytes(), path.string());
}

}  // namespace mld::data
