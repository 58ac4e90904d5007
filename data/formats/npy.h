// NumPy's .npy format, versions 1 to 3 (numpy/lib/format.py): the element format of the store and of the
// user's own data. Reading is strict: C order, little-endian numbers or booleans, and a file that is exactly
// as long as its header says, checked before anything is allocated. Writing yields version 1.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/formats/mmap_file.h"
#include "engine/base/dtype.h"
#include "engine/base/shape.h"

namespace mld::data {

struct NpyType {
  char kind = 'f';  // 'f' float, 'i' signed, 'u' unsigned, 'b' boolean
  int size = 4;     // bytes
  bool operator==(const NpyType&) const = default;
  std::string str() const;  // "<f4", "|u1"
};

NpyType npy_type(DType dtype);

// Calls f(S{}) with the C++ type of the elements (booleans are bytes).
template <class F>
auto dispatch_npy(NpyType type, F&& f) {
  switch (type.kind) {
    case 'f':
      return type.size == 4 ? f(float{}) : f(double{});
    case 'i':
      if (type.size == 1) return f(std::int8_t{});
      if (type.size == 2) return f(std::int16_t{});
      return type.size == 4 ? f(std::int32_t{}) : f(std::int64_t{});
    case 'u':
      if (type.size == 1) return f(std::uint8_t{});
      if (type.size == 2) return f(std::uint16_t{});
      return type.size == 4 ? f(std::uint32_t{}) : f(std::uint64_t{});
    default:
      return f(std::uint8_t{});
  }
}

struct NpyHeader {
  NpyType type;
  Shape shape;
  std::int64_t data_offset = 0;  // bytes before the first element
};

// Reads the header and checks that `bytes` holds exactly the data it announces. `name` starts every message;
// anything wrong is an ErrorKind::data error.
NpyHeader parse_npy(std::span<const std::uint8_t> bytes, const std::string& name);

// A version 1 header with the data aligned to 64 bytes, padded with blanks to at least
// `min_size` bytes in all.
std::string npy_header(NpyType type, const Shape& shape, std::size_t min_size = 0);

// A .npy file: memory-mapped, or in memory, where it is decompressed if it is gzip.
class NpyArray {
 public:
  NpyArray() = default;
  explicit NpyArray(const std::filesystem::path& path);
  NpyArray(std::string name, std::vector<std::uint8_t> file);  // of a file in memory

  const std::string& name() const { return name_; }  // the path, for messages
  const Shape& shape() const { return header_.shape; }
  NpyType type() const { return header_.type; }

  // Header and elements as they are in the (decompressed) file.
  std::span<const std::uint8_t> bytes() const { return memory_.empty() ? file_.bytes() : memory_; }

  void expect_any_order() const { file_.expect_any_order(); }

  // The elements in place. Fails unless the file holds exactly this type, aligned (as every header written by
  // NumPy since version 1.9 makes it).
  template <class T>
  std::span<const T> view() const;

  // Converts elements [first, first + out.size()). float takes any type; int32 and uint8 take integers
  // and booleans. A value that does not fit (a float64 beyond the float range, an integer out of
  // range) is an error.
  template <class T>
  void copy(std::int64_t first, std::span<T> out) const;

 private:
  std::span<const std::uint8_t> data() const;

  std::string name_;
  MmapFile file_;
  std::vector<std::uint8_t> memory_;  // used instead of file_ if not empty
  NpyHeader header_;
};

}  // namespace mld::data
