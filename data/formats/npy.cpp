#include "data/formats/npy.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>

#include "data/formats/gzip.h"
#include "engine/base/error.h"

namespace mld::data {
namespace {

static_assert(std::endian::native == std::endian::little, "the store format is little-endian, read in place");

constexpr std::string_view kMagic("\x93NUMPY", 6);
constexpr std::size_t kMaxHeader = 64 * 1024;  // ours and NumPy's are below 200 bytes

// The header is a Python dictionary of three known keys; this reads just that grammar.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  NpyHeader parse() {
    NpyHeader header;
    bool seen[3] = {};
    expect('{');
    while (!accept('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr") {
        mark(seen[0], key);
        header.type = type();
      } else if (key == "fortran_order") {
        mark(seen[1], key);
        c_order();
      } else if (key == "shape") {
        mark(seen[2], key);
        header.shape = shape();
      } else {
        bad("unknown key '", key, "' in the header");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_blanks();
    if (at_ != text_.size()) bad("text after the header's closing brace");
    if (!seen[0] || !seen[1] || !seen[2]) bad("the header lacks one of descr, fortran_order, shape");
    return header;
  }

 private:
  template <class... Parts>
  [[noreturn]] void bad(Parts&&... parts) const {
    fail(ErrorKind::data, name_, ": ", parts..., "; the file is corrupt or no .npy array");
  }
  void mark(bool& seen, const std::string& key) const {
    if (seen) bad("key '", key, "' occurs twice in the header");
    seen = true;
  }
  void skip_blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }
  bool accept(char c) {
    skip_blanks();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) bad("header: expected '", c, "' at byte ", at_);
  }
  bool accept_word(std::string_view word) {
    skip_blanks();
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  std::string quoted() {
    skip_blanks();
    if (at_ >= text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) bad("header: expected a string");
    const std::size_t end = text_.find(text_[at_], at_ + 1);
    if (end == std::string_view::npos || end - at_ > 64) bad("header: unterminated string");
    std::string result(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return result;
  }
  NpyType type() {
    skip_blanks();
    MLD_CHECK_AS(ErrorKind::data, at_ < text_.size() && text_[at_] != '[', name_,
                 ": structured arrays are not supported; save one plain array per file");
    const std::string descr = quoted();
    const std::string_view supported[] = {"<f4", "<f8", "|i1", "<i2", "<i4", "<i8",
                                          "|u1", "<u2", "<u4", "<u8", "|b1"};
    const bool one_byte = descr.size() == 3 && descr[2] == '1';  // byte order means nothing there
    for (std::string_view s : supported)
      if (descr == s || (one_byte && s.substr(1) == descr.substr(1))) return {s[1], s[2] - '0'};
    fail(ErrorKind::data, name_, ": element type '", descr,
         "' is not supported; convert with array.astype('float32') (or 'uint8', 'int32') and save again");
  }
  void c_order() {
    if (accept_word("False")) return;
    if (!accept_word("True")) bad("header: fortran_order is neither True nor False");
    fail(ErrorKind::data, name_,
         ": Fortran (column-major) order is not supported; save numpy.ascontiguousarray(array) instead");
  }
  Shape shape() {
    Shape result;
    expect('(');
    while (!accept(')')) {
      const std::int64_t extent = integer();
      MLD_CHECK_AS(ErrorKind::data, result.rank() < Shape::kMaxRank, name_, ": more than ", Shape::kMaxRank,
                   " axes; reshape the array");
      result.push_back(extent);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return result;
  }
  std::int64_t integer() {
    skip_blanks();
    std::int64_t value = 0;
    const std::size_t first = at_;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_)
      if (__builtin_mul_overflow(value, 10, &value) ||
          __builtin_add_overflow(value, text_[at_] - '0', &value))
        bad("header: extent too large");
    if (at_ == first) bad("header: expected a number at byte ", at_);
    return value;
  }

  std::string_view text_;
  const std::string& name_;
  std::size_t at_ = 0;
};

// Bytes of the data, or nothing on overflow (zero extents do not hide a huge one beside them).
std::optional<std::int64_t> data_size(const NpyHeader& header) {
  std::int64_t bytes = header.type.size;
  bool empty = false;
  for (std::int64_t extent : header.shape.extents()) {
    if (extent == 0)
      empty = true;
    else if (__builtin_mul_overflow(bytes, extent, &bytes))
      return std::nullopt;
  }
  return empty ? 0 : bytes;
}

// Whether `value` can be told in T: exactly for integers, within the finite range for floats (which may
// round; infinities and NaN pass, the caller judges them).
template <class T, class S>
bool fits(S value) {
  if constexpr (std::is_floating_point_v<T>) {
    if constexpr (std::is_same_v<S, double>)
      return !std::isfinite(value) || std::abs(value) <= static_cast<double>(std::numeric_limits<T>::max());
    return true;
  } else {
    return std::in_range<T>(value);
  }
}

}  // namespace

std::string NpyType::str() const { return cat(size == 1 ? '|' : '<', kind, size); }

NpyType npy_type(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return {'f', 4};
    case DType::f64:
      return {'f', 8};
    case DType::i32:
      return {'i', 4};
    case DType::u8:
      return {'u', 1};
  }
  fail(ErrorKind::internal, "npy_type: unknown dtype");
}

namespace {

// The header at the start of a file, of which `bytes` may be the first part only.
NpyHeader parse_header(std::span<const std::uint8_t> bytes, const std::string& name) {
  const auto byte = [&](std::size_t i) { return static_cast<std::size_t>(bytes[i]); };
  MLD_CHECK_AS(ErrorKind::data,
               bytes.size() >= 12 && std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) == 0, name,
               ": not a .npy file (", bytes.size(), " bytes, wrong magic)");
  const int major = bytes[6];
  MLD_CHECK_AS(ErrorKind::data, major >= 1 && major <= 3, name, ": .npy version ", major,
               " is not supported (1 to 3 are)");
  const std::size_t prefix = major == 1 ? 10 : 12;
  const std::size_t length =
      major == 1 ? byte(8) | byte(9) << 8 : byte(8) | byte(9) << 8 | byte(10) << 16 | byte(11) << 24;
  MLD_CHECK_AS(ErrorKind::data, length <= kMaxHeader && prefix + length <= bytes.size(), name,
               ": truncated or corrupt: header of ", length, " bytes in a file of ", bytes.size());
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + prefix, length);
  NpyHeader header = HeaderParser(text, name).parse();
  header.data_offset = static_cast<std::int64_t>(prefix + length);
  MLD_CHECK_AS(ErrorKind::data, data_size(header), name, ": shape ", header.shape, " is too large");
  return header;
}

}  // namespace

NpyHeader parse_npy(std::span<const std::uint8_t> bytes, const std::string& name) {
  const NpyHeader header = parse_header(bytes, name);
  const std::optional<std::int64_t> expected = data_size(header);
  const auto found = static_cast<std::int64_t>(bytes.size()) - header.data_offset;
  MLD_CHECK_AS(ErrorKind::data, found == *expected, name, ": shape ", header.shape, " of ", header.type.str(),
               " needs ", *expected, " bytes of data, found ", found,
               found < *expected ? ": the file is truncated; copy or make it again"
                                 : ": there are bytes after the array; make the file again");
  return header;
}

std::string npy_header(NpyType type, const Shape& shape, std::size_t min_size) {
  std::string text = cat("{'descr': '", type.str(), "', 'fortran_order': False, 'shape': (");
  for (int i = 0; i < shape.rank(); ++i) text += cat(shape[i], i + 1 < shape.rank() ? ", " : "");
  text += shape.rank() == 1 ? ",), }" : "), }";
  std::size_t total = std::max<std::size_t>(10 + text.size() + 1, min_size);
  total = (total + 63) / 64 * 64;
  text.append(total - 10 - text.size() - 1, ' ');
  text += '\n';
  std::string header(kMagic);
  header += {'\x01', '\x00', static_cast<char>(text.size() & 0xff), static_cast<char>(text.size() >> 8)};
  return header + text;
}

NpyArray::NpyArray(const std::filesystem::path& path) : name_(path.string()), file_(path) {
  if (is_gzip(file_.bytes())) {
    const NpyHeader header = parse_header(gunzip_start(file_.bytes(), kMaxHeader + 12, name_), name_);
    const std::int64_t data = data_size(header).value_or(INT64_MAX);
    memory_ = gunzip_promised(file_.bytes(), header.data_offset + std::min(data, INT64_MAX / 2), name_);
  }
  header_ = parse_npy(bytes(), name_);
}

NpyArray::NpyArray(std::string name, std::vector<std::uint8_t> file)
    : name_(std::move(name)), memory_(std::move(file)), header_(parse_npy(memory_, name_)) {}

std::span<const std::uint8_t> NpyArray::data() const {
  return bytes().subspan(static_cast<std::size_t>(header_.data_offset));
}

template <class T>
std::span<const T> NpyArray::view() const {
  const NpyType wanted = npy_type(dtype_of<T>());
  MLD_CHECK_AS(ErrorKind::data, type() == wanted, name_, ": holds ", type().str(), ", expected ",
               wanted.str());
  const std::span<const std::uint8_t> bytes = data();
  MLD_CHECK_AS(ErrorKind::data, reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(T) == 0, name_,
               ": data is not aligned; load it and save it again with NumPy");
  return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
}

template <class T>
void NpyArray::copy(std::int64_t first, std::span<T> out) const {
  const auto count = static_cast<std::int64_t>(out.size());
  MLD_CHECK(first >= 0 && first <= shape().numel() && count <= shape().numel() - first, name_, ": elements [",
            first, ", ", first + count, ") of ", shape().numel());
  MLD_CHECK_AS(ErrorKind::data, std::is_floating_point_v<T> || type().kind != 'f', name_, ": holds ",
               type().str(), ", expected integers; convert with array.astype('int32')");
  dispatch_npy(type(), [&]<class S>(S) {
    if constexpr (!(std::is_integral_v<T> && std::is_floating_point_v<S>)) {
      const std::uint8_t* source = data().data() + static_cast<std::size_t>(first) * sizeof(S);
      for (std::size_t i = 0; i < out.size(); ++i) {
        S value;
        std::memcpy(&value, source + i * sizeof(S), sizeof(S));
        MLD_CHECK_AS(ErrorKind::data, fits<T>(value), name_, ": element ",
                     first + static_cast<std::int64_t>(i), " = ", +value, " does not fit into ",
                     dtype_name(dtype_of<T>()));
        out[i] = static_cast<T>(value);
      }
    }
  });
}

template std::span<const float> NpyArray::view<float>() const;
template std::span<const std::int32_t> NpyArray::view<std::int32_t>() const;
template std::span<const std::uint8_t> NpyArray::view<std::uint8_t>() const;
template void NpyArray::copy<float>(std::int64_t, std::span<float>) const;
template void NpyArray::copy<std::int32_t>(std::int64_t, std::span<std::int32_t>) const;
template void NpyArray::copy<std::uint8_t>(std::int64_t, std::span<std::uint8_t>) const;

}  // namespace mld::data
