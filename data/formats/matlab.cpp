#include "data/formats/matlab.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "data/formats/gzip.h"
#include "data/formats/mmap_file.h"
#include "engine/base/error.h"

namespace mld::data {
namespace {

constexpr std::size_t kFileHeader = 128;
constexpr std::uint32_t kInt8 = 1, kInt32 = 5, kUint32 = 6, kMatrix = 14, kCompressed = 15;
constexpr std::uint8_t kFirstNumericClass = 6, kLastNumericClass = 15;
constexpr std::uint8_t kComplexFlag = 0x08;
constexpr std::int64_t kMaxName = 4096;
constexpr std::size_t kFirstPiece = std::size_t{1} << 24;

std::uint32_t u32_at(const std::uint8_t* p) {
  std::uint32_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

std::optional<NpyType> storage_type(std::uint32_t code) {
  switch (code) {
    case 1:
      return NpyType{'i', 1};
    case 2:
      return NpyType{'u', 1};
    case 3:
      return NpyType{'i', 2};
    case 4:
      return NpyType{'u', 2};
    case 5:
      return NpyType{'i', 4};
    case 6:
      return NpyType{'u', 4};
    case 7:
      return NpyType{'f', 4};
    case 9:
      return NpyType{'f', 8};
    case 12:
      return NpyType{'i', 8};
    case 13:
      return NpyType{'u', 8};
    default:
      return std::nullopt;
  }
}

// The bytes of one top-level element, plain or decompressed on the way.
class Source {
 public:
  Source(std::span<const std::uint8_t> bytes, bool compressed, const std::string& name)
      : plain_(bytes), name_(name), limit_(static_cast<std::int64_t>(bytes.size())) {
    if (!compressed) return;
    inflater_.emplace(bytes, Inflater::Format::zlib, name);
    limit_ *= kMaxInflateRatio;
  }

  // An upper bound of what can still come.
  std::int64_t limit() const { return limit_ - consumed_; }

  void read(std::span<std::uint8_t> out) {
    const auto size = static_cast<std::int64_t>(out.size());
    bool complete = size <= limit();
    if (complete && inflater_) {
      complete = inflater_->read(out) == out.size();
    } else if (complete) {
      std::copy_n(plain_.begin() + consumed_, size, out.begin());
    }
    MLD_CHECK_AS(ErrorKind::data, complete, name_, ": truncated inside an array; fetch the file again");
    consumed_ += size;
  }

  // Skips padding, which some writers leave out at the end of an array.
  void skip(std::int64_t size) {
    std::uint8_t padding[8];
    size = std::min(size, limit());
    if (inflater_) inflater_->read(std::span(padding).first(static_cast<std::size_t>(size)));
    consumed_ += size;
  }

  // Reads a compressed element to its end, where zlib compares the checksum.
  void finish() {
    std::uint8_t rest[8];
    MLD_CHECK_AS(ErrorKind::data, !inflater_ || inflater_->read(rest) == 0, name_,
                 ": bytes after the end of a compressed array: corrupt");
  }

 private:
  std::span<const std::uint8_t> plain_;
  const std::string& name_;
  std::int64_t limit_;
  std::int64_t consumed_ = 0;
  std::optional<Inflater> inflater_;
};

struct Element {
  std::uint32_t type;
  std::vector<std::uint8_t> bytes;
};

// One sub-element: an 8-byte tag and data padded to 8 bytes, or up to 4 bytes packed into the tag.
Element read_element(Source& source, std::int64_t max_size, const std::string& name) {
  std::uint8_t tag[8];
  source.read(tag);
  const std::uint32_t first = u32_at(tag);
  if (first >> 16 != 0) {
    const std::uint32_t size = first >> 16;
    MLD_CHECK_AS(ErrorKind::data, size <= 4, name, ": corrupt small element of ", size, " bytes");
    return {first & 0xffff, std::vector<std::uint8_t>(tag + 4, tag + 4 + size)};
  }
  const std::int64_t size = u32_at(tag + 4);
  MLD_CHECK_AS(ErrorKind::data, size <= max_size && size <= source.limit(), name, ": an element declares ",
               size, " bytes, more than the ", std::min(max_size, source.limit()),
               " possible here: corrupt or truncated");
  Element element{first, {}};
  const auto total = static_cast<std::size_t>(size);
  for (std::size_t have = 0; have < total;) {  // grows with the data: a declared size alone allocates little
    const std::size_t piece = std::min(total - have, std::max(have, kFirstPiece));
    element.bytes.resize(have + piece);
    source.read(std::span(element.bytes).subspan(have));
    have += piece;
  }
  source.skip((8 - size % 8) % 8);
  return element;
}

Shape read_extents(Source& source, const std::string& name) {
  const Element element = read_element(source, 4 * Shape::kMaxRank, name);
  MLD_CHECK_AS(ErrorKind::data, element.type == kInt32 && element.bytes.size() % 4 == 0, name,
               ": corrupt array dimensions, or more than ", Shape::kMaxRank);
  Shape shape;
  std::int64_t numel = 1;
  for (std::size_t at = 0; at < element.bytes.size(); at += 4) {
    const std::int64_t extent = u32_at(element.bytes.data() + at);
    MLD_CHECK_AS(ErrorKind::data, !__builtin_mul_overflow(numel, std::max<std::int64_t>(extent, 1), &numel),
                 name, ": array dimensions are too large");
    shape.push_back(extent);
  }
  return shape;
}

// Reads one miMATRIX if it is a numeric array with one of the wanted names; `names` collects those it meets.
std::optional<MatArray> read_array(Source& source, const std::string& name, std::span<const std::string> keys,
                                   std::string& names) {
  const Element flags = read_element(source, 8, name);
  MLD_CHECK_AS(ErrorKind::data, flags.type == kUint32 && flags.bytes.size() == 8, name,
               ": corrupt array flags");
  const std::uint8_t array_class = flags.bytes[0];
  if (array_class < kFirstNumericClass || array_class > kLastNumericClass) return std::nullopt;
  MatArray array;
  array.shape = read_extents(source, name);
  const Element text = read_element(source, kMaxName, name);
  MLD_CHECK_AS(ErrorKind::data, text.type == kInt8, name, ": corrupt array name");
  array.name.assign(text.bytes.begin(), text.bytes.end());
  names += (names.empty() ? "" : ", ") + array.name;
  if (std::find(keys.begin(), keys.end(), array.name) == keys.end()) return std::nullopt;
  const std::string place = name + ": array '" + array.name + "'";
  MLD_CHECK_AS(ErrorKind::data, (flags.bytes[1] & kComplexFlag) == 0, place,
               " is complex; a real one is needed");
  Element data = read_element(source, source.limit(), place);
  const std::optional<NpyType> type = storage_type(data.type);
  MLD_CHECK_AS(ErrorKind::data, type, place, ": storage type ", data.type, " is no number type");
  const auto size = static_cast<std::int64_t>(data.bytes.size());
  MLD_CHECK_AS(ErrorKind::data, size % type->size == 0 && size / type->size == array.shape.numel(), place,
               ": shape ", array.shape, " of ", type->str(), " does not match ", size, " bytes of data");
  source.finish();
  array.type = *type;
  array.bytes = std::move(data.bytes);
  return array;
}

void check_file_header(std::span<const std::uint8_t> file, const std::string& name) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), std::min(file.size(), kFileHeader));
  MLD_CHECK_AS(ErrorKind::data, !text.starts_with("\x89HDF") && !text.starts_with("MATLAB 7.3"), name,
               ": MATLAB version 7.3 (HDF5) is not supported; save it with -v7 "
               "(scipy.io.savemat does by default)");
  MLD_CHECK_AS(ErrorKind::data, file.size() >= kFileHeader, name, ": no MATLAB file: only ", file.size(),
               " bytes");
  MLD_CHECK_AS(ErrorKind::data, text.substr(126, 2) != "MI", name,
               ": big-endian MATLAB file; save it again on a little-endian machine");
  MLD_CHECK_AS(ErrorKind::data, text.substr(126, 2) == "IM" && file[125] == 1, name,
               ": no MATLAB level 5 file (wrong version or byte-order mark)");
}

}  // namespace

double MatArray::value(std::int64_t i) const {
  MLD_CHECK(i >= 0 && i < shape.numel(), "MatArray::value: element ", i, " of ", shape.numel());
  const auto load = [&]<class T>(T value) {
    std::memcpy(&value, bytes.data() + static_cast<std::size_t>(i) * sizeof(T), sizeof(T));
    return static_cast<double>(value);
  };
  return dispatch_npy(type, load);
}

std::vector<MatArray> parse_mat(std::span<const std::uint8_t> file, const std::string& name,
                                std::span<const std::string> keys) {
  check_file_header(file, name);
  std::vector<std::optional<MatArray>> found(keys.size());
  std::string names;
  for (std::span<const std::uint8_t> rest = file.subspan(kFileHeader); !rest.empty();) {
    MLD_CHECK_AS(ErrorKind::data, rest.size() >= 8, name, ": truncated after ", file.size() - rest.size(),
                 " bytes");
    const std::uint32_t type = u32_at(rest.data());
    const std::size_t size = u32_at(rest.data() + 4);
    rest = rest.subspan(8);
    MLD_CHECK_AS(ErrorKind::data, size <= rest.size(), name, ": truncated: an element of ", size,
                 " bytes starts at byte ", file.size() - rest.size(), ", ", rest.size(),
                 " are left; fetch the file again");
    MLD_CHECK_AS(ErrorKind::data, type == kMatrix || type == kCompressed, name, ": unknown element type ",
                 type, " at byte ", file.size() - rest.size() - 8);
    Source source(rest.first(size), type == kCompressed, name);
    rest = rest.subspan(size);
    if (type == kCompressed) {
      std::uint8_t tag[8];
      source.read(tag);
      MLD_CHECK_AS(ErrorKind::data, u32_at(tag) == kMatrix, name, ": a compressed element holds no array");
    }
    std::optional<MatArray> array = read_array(source, name, keys, names);
    if (!array) continue;
    const auto at = std::find(keys.begin(), keys.end(), array->name) - keys.begin();
    found[static_cast<std::size_t>(at)] = std::move(array);
  }
  std::vector<MatArray> result;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    MLD_CHECK_AS(ErrorKind::data, found[i], name, ": no numeric array '", keys[i],
                 "'; found: ", names.empty() ? "none" : names);
    result.push_back(std::move(*found[i]));
  }
  return result;
}

std::vector<MatArray> read_mat(const std::filesystem::path& path, std::span<const std::string> keys) {
  return parse_mat(MmapFile(path).bytes(), path.string(), keys);
}

}  // namespace mld::data
