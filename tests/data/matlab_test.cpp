#include "data/formats/matlab.h"

#include <doctest/doctest.h>

#include "data/importers/import.h"
#include "tests/data/files.h"
#include "tests/data/fixtures.h"

using namespace mld;
using namespace mld::data;
using namespace mld::test;

namespace {

const std::vector<std::string> kKeys{"B", "A"};

void check_arrays(const Bytes& file) {
  const std::vector<MatArray> arrays = parse_mat(file, "f.mat", kKeys);
  REQUIRE(arrays.size() == 2);
  CHECK(arrays[0].name == "B");
  CHECK(arrays[0].shape == Shape{2, 1});
  CHECK(arrays[0].value(0) == 10.0);
  CHECK(arrays[0].value(1) == 2.5);
  CHECK(arrays[1].name == "A");
  CHECK(arrays[1].shape == Shape{2, 3});
  CHECK(arrays[1].type == NpyType{'u', 1});
  CHECK(arrays[1].bytes == Bytes{1, 4, 2, 5, 3, 6});  // column-major
}

void check_rejected(const Bytes& bytes, std::initializer_list<std::string> words) {
  check_error(ErrorKind::data, words, [&] { parse_mat(bytes, "f.mat", kKeys); });
}

Bytes header() {
  Bytes bytes(128, ' ');
  bytes[124] = 0;
  bytes[125] = 1;
  bytes[126] = 'I';
  bytes[127] = 'M';
  return bytes;
}

void append(Bytes& bytes, std::initializer_list<std::uint32_t> words) {
  for (std::uint32_t word : words)
    for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<std::uint8_t>(word >> shift));
}

// One numeric array "A" written by hand: class, flags, dimensions, storage type, declared bytes, then data.
Bytes by_hand(std::uint32_t array_class, std::uint32_t rows, std::uint32_t columns, std::uint32_t storage,
              std::uint32_t declared, std::initializer_list<std::uint32_t> data) {
  Bytes bytes = header();
  append(bytes, {14, static_cast<std::uint32_t>(16 + 16 + 8 + 8 + 4 * data.size())});
  append(bytes, {6, 8, array_class, 0, 5, 8, rows, columns, 1 | 1 << 16, 'A', storage, declared});
  append(bytes, data);
  return bytes;
}

MatArray read_a(const Bytes& bytes) {
  const std::vector<std::string> key{"A"};
  return parse_mat(bytes, "f.mat", key)[0];
}

}  // namespace

TEST_CASE("matlab: numeric arrays among others, as SciPy writes them, plain and compressed") {
  check_arrays(kMatPlain);
  check_arrays(kMatPacked);
  const TempFolder folder;
  write_bytes(folder / "x.mat", kMatPacked);
  CHECK(read_mat(folder / "x.mat", kKeys).size() == 2);
}

TEST_CASE("matlab: a double array stored as small integers, the way MATLAB itself does") {
  const MatArray array = read_a(by_hand(6, 1, 2, 3, 4, {0x0005fffe, 0}));
  CHECK(array.shape == Shape{1, 2});
  CHECK(array.value(0) == -2.0);
  CHECK(array.value(1) == 5.0);
}

TEST_CASE("matlab: SVHN crops are turned from column-major [32,32,3,N] to [N,32,32,3], label 10 to 0") {
  const LabelledImages crops = parse_svhn(kMatSvhn, "train_32x32.mat");
  CHECK(crops.labels == std::vector<std::int32_t>{0, 3});
  REQUIRE(crops.images.size() == 2 * 32 * 32 * 3);
  std::size_t i = 0, wrong = 0;
  for (int n = 0; n < 2; ++n)
    for (int row = 0; row < 32; ++row)
      for (int column = 0; column < 32; ++column)
        for (int channel = 0; channel < 3; ++channel)
          wrong += crops.images[i++] != (4 * row + column / 8 + 40 * channel + 100 * n) % 256;
  CHECK(wrong == 0);
}

TEST_CASE("matlab: files that hold something else than crops") {
  check_error(ErrorKind::data, {"no numeric array 'X'", "found: A, B"},
              [] { parse_svhn(kMatPlain, "f.mat"); });
  check_error(ErrorKind::data, {"no numeric array 'A'", "found: X, y"}, [] {
    const std::vector<std::string> key{"A"};
    parse_mat(kMatSvhn, "f.mat", key);
  });
}

TEST_CASE("matlab: truncated at any byte") {
  for (const Bytes& whole : {kMatPlain, kMatPacked})
    for (std::size_t size = 0; size < whole.size(); ++size)
      check_rejected(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)), {"f.mat"});
}

TEST_CASE("matlab: a flipped bit in compressed data is found by its checksum") {
  const std::vector<std::string> keys{"X", "y"};
  CHECK_NOTHROW(parse_mat(kMatSvhn, "f.mat", keys));
  for (std::size_t at = 140; at < kMatSvhn.size(); at += 7) {
    Bytes bad = kMatSvhn;
    bad[at] ^= 0x10;
    check_error(ErrorKind::data, {"f.mat"}, [&] { parse_mat(bad, "f.mat", keys); });
  }
}

TEST_CASE("matlab: foreign formats are named") {
  Bytes file = kMatPlain;
  const std::string v73 = "MATLAB 7.3 MAT-file";
  std::copy(v73.begin(), v73.end(), file.begin());
  check_rejected(file, {"7.3", "-v7"});
  file = kMatPlain;
  std::swap(file[126], file[127]);
  check_rejected(file, {"big-endian"});
  file = kMatPlain;
  file[126] = 'x';
  check_rejected(file, {"no MATLAB level 5 file"});
  check_rejected(Bytes(20, 0), {"only 20 bytes"});
}

TEST_CASE("matlab: contradictory and huge sizes") {
  CHECK_NOTHROW(read_a(by_hand(9, 2, 2, 2, 4, {0, 0})));
  const auto rejected = [](const Bytes& bytes, std::initializer_list<std::string> words) {
    check_error(ErrorKind::data, words, [&] { read_a(bytes); });
  };
  rejected(by_hand(9, 2, 3, 2, 4, {0, 0}), {"'A'", "does not match"});
  rejected(by_hand(9, 2, 2, 2, 0xfffffff0, {0, 0}), {"declares"});
  rejected(by_hand(9, 0x7fffffff, 0x7fffffff, 2, 4, {0, 0}), {"does not match"});
  rejected(by_hand(9, 0xffffffff, 0xffffffff, 2, 4, {0, 0}), {"too large"});
  rejected(by_hand(9, 2, 2, 14, 4, {0, 0}), {"storage type 14"});
  rejected(by_hand(9 | 0x0800, 2, 2, 2, 4, {0, 0}), {"complex"});
  rejected(by_hand(4, 2, 2, 2, 4, {0, 0}), {"no numeric array", "found: none"});
  Bytes huge = header();
  append(huge, {14, 0xffffffff});
  rejected(huge, {"truncated"});
  Bytes strange = header();
  append(strange, {77, 0});
  rejected(strange, {"unknown element type 77"});
}
