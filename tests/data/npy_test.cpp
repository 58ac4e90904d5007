#include "data/formats/npy.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/data/files.h"
#include "tests/data/fixtures.h"

using namespace mld;
using namespace mld::data;
using namespace mld::test;

namespace {

template <class T>
std::vector<T> read_all(const std::filesystem::path& path) {
  const NpyArray array(path);
  std::vector<T> values(static_cast<std::size_t>(array.shape().numel()));
  array.copy<T>(0, values);
  return values;
}

// A version 1 file with the given dictionary text and data bytes.
Bytes make_npy(const std::string& dictionary, std::size_t data_bytes) {
  const std::string text = std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(dictionary.size()) + '\0' +
                           dictionary + std::string(data_bytes, '\0');
  return {text.begin(), text.end()};
}

void check_rejected(const Bytes& bytes, std::initializer_list<std::string> words) {
  check_error(ErrorKind::data, words, [&] { parse_npy(bytes, "file.npy"); });
}

}  // namespace

TEST_CASE("npy: arrays written by NumPy in versions 1, 2 and 3") {
  const TempFolder folder;
  write_bytes(folder / "a.npy", kNpyFloatV1);
  write_bytes(folder / "b.npy", kNpyDoubleV2);
  write_bytes(folder / "c.npy", kNpyInt64V3);
  write_bytes(folder / "d.npy", kNpyUint16);
  write_bytes(folder / "e.npy", kNpyBool);
  write_bytes(folder / "f.npy", kNpyScalar);

  const NpyArray a(folder / "a.npy");
  CHECK(a.shape() == Shape{2, 3});
  CHECK(a.type() == NpyType{'f', 4});
  const std::vector<float> expected{1.5F, -2.0F, 3.25F, 0.0F, 1e-3F, 7.0F};
  CHECK(std::vector<float>(a.view<float>().begin(), a.view<float>().end()) == expected);
  CHECK(read_all<float>(folder / "a.npy") == expected);
  CHECK(read_all<float>(folder / "b.npy") == std::vector<float>{0.1F, -1e30F});
  CHECK(read_all<float>(folder / "c.npy") == std::vector<float>{5, -7, 2147483648.0F});
  CHECK(read_all<std::int32_t>(folder / "d.npy") == std::vector<std::int32_t>{1, 65535});
  CHECK(read_all<std::int32_t>(folder / "e.npy") == std::vector<std::int32_t>{1, 0, 1});
  CHECK(NpyArray(folder / "f.npy").shape() == Shape{});
  CHECK(read_all<float>(folder / "f.npy") == std::vector<float>{2.5F});

  std::vector<float> middle(2);
  a.copy<float>(2, middle);
  CHECK(middle == std::vector<float>{3.25F, 0.0F});
}

TEST_CASE("npy: the header we write is NumPy's, byte for byte") {
  const auto header_of = [](const Bytes& file, std::ptrdiff_t data) {
    return std::string(file.begin(), file.end() - data);
  };
  CHECK(npy_header({'f', 4}, {2, 3}) == header_of(kNpyFloatV1, 24));
  CHECK(npy_header({'u', 2}, {2}) == header_of(kNpyUint16, 4));
  CHECK(npy_header({'b', 1}, {3}) == header_of(kNpyBool, 3));
  CHECK(npy_header({'f', 4}, {}) == header_of(kNpyScalar, 4));
}

TEST_CASE("npy: a padded header is aligned and read back") {
  std::string file = npy_header({'i', 4}, {2}, 300);
  CHECK(file.size() == 320);
  file += std::string("\x01\0\0\0\xff\xff\xff\xff", 8);
  const TempFolder folder;
  write_bytes(folder / "x.npy", file);
  CHECK(read_all<std::int32_t>(folder / "x.npy") == std::vector<std::int32_t>{1, -1});
}

TEST_CASE("npy: values that do not fit are refused, not wrapped") {
  const TempFolder folder;
  write_bytes(folder / "c.npy", kNpyInt64V3);
  write_bytes(folder / "a.npy", kNpyFloatV1);
  std::string big = npy_header({'f', 8}, {1});
  const double value = 1e39;
  big.append(reinterpret_cast<const char*>(&value), 8);
  write_bytes(folder / "big.npy", big);
  check_error(ErrorKind::data, {"c.npy", "element 2", "2147483648"},
              [&] { read_all<std::int32_t>(folder / "c.npy"); });
  check_error(ErrorKind::data, {"c.npy", "element 1", "-7"},
              [&] { read_all<std::uint8_t>(folder / "c.npy"); });
  check_error(ErrorKind::data, {"a.npy", "expected integers"},
              [&] { read_all<std::int32_t>(folder / "a.npy"); });
  check_error(ErrorKind::data, {"big.npy", "1e+39"}, [&] { read_all<float>(folder / "big.npy"); });
  check_error(ErrorKind::data, {"a.npy", "holds <f4", "expected |u1"},
              [&] { NpyArray(folder / "a.npy").view<std::uint8_t>(); });
}

TEST_CASE("npy: infinities and NaN pass from double to float") {
  const TempFolder folder;
  std::string text = npy_header({'f', 8}, {2});
  const double values[2] = {std::numeric_limits<double>::infinity(), std::nan("")};
  text.append(reinterpret_cast<const char*>(values), 16);
  write_bytes(folder / "x.npy", text);
  const std::vector<float> read = read_all<float>(folder / "x.npy");
  CHECK(std::isinf(read[0]));
  CHECK(std::isnan(read[1]));
}

TEST_CASE("npy: what other programs write and we do not read is named with a remedy") {
  check_rejected(kNpyFortran, {"Fortran", "ascontiguousarray"});
  check_rejected(kNpyBigEndian, {">f4", "astype"});
  check_rejected(kNpyStructured, {"structured"});
}

TEST_CASE("npy: truncated at any byte, or with one byte too many") {
  Bytes file = kNpyFloatV1;
  for (std::size_t size = 0; size < file.size(); ++size)
    check_rejected(Bytes(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size)), {"file.npy"});
  file.push_back(0);
  check_rejected(file, {"needs 24 bytes", "found 25"});
}

TEST_CASE("npy: malformed headers") {
  Bytes file = kNpyFloatV1;
  file[1] = 'M';
  check_rejected(file, {"magic"});
  file = kNpyFloatV1;
  file[6] = 9;
  check_rejected(file, {"version 9"});

  const std::string rest = "'fortran_order': False, 'shape': (2,)";
  CHECK(parse_npy(make_npy("{'descr': '<f4', " + rest + "}", 8), "f").shape == Shape{2});
  CHECK(parse_npy(make_npy("{" + rest + ",\"descr\":\"<f4\",}\n", 8), "f").shape == Shape{2});
  check_rejected(make_npy("{'descr': '<f4', " + rest, 8), {"file.npy"});
  check_rejected(make_npy("{" + rest + "}", 8), {"lacks"});
  check_rejected(make_npy("{'descr': '<f4', 'descr': '<f4', " + rest + "}", 8), {"twice"});
  check_rejected(make_npy("{'descr': '<f4', 'x': 1, " + rest + "}", 8), {"unknown key"});
  check_rejected(make_npy("{'descr': '<f4', " + rest + "} x", 8), {"closing brace"});
  check_rejected(make_npy("{'descr': '<c8', " + rest + "}", 16), {"<c8"});
  check_rejected(make_npy("{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}", 8), {"fortran_order"});
  check_rejected(make_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}", 8), {"number"});
  check_rejected(make_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,2)}", 8), {"axes"});
}

TEST_CASE("npy: huge declared sizes are refused before anything is allocated") {
  const auto shaped = [](const std::string& shape) {
    return make_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (" + shape + ")}", 8);
  };
  check_rejected(shaped("1000000000000,"), {"truncated"});
  check_rejected(shaped("4611686018427387904, 4"), {"too large"});
  check_rejected(shaped("0, 9223372036854775807, 9223372036854775807"), {"too large"});
  check_rejected(shaped("99999999999999999999999,"), {"too large"});
}

TEST_CASE("npy: missing file, folder, and gzip") {
  const TempFolder folder;
  check_error(ErrorKind::data, {"none.npy", "no such file"}, [&] { NpyArray(folder / "none.npy"); });
  check_error(ErrorKind::data, {"not a regular file"}, [&] { NpyArray(folder.path()); });
  write_bytes(folder / "empty.npy", "");
  check_error(ErrorKind::data, {"empty.npy", "magic"}, [&] { NpyArray(folder / "empty.npy"); });
}
