#include "engine/io/safetensors.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>

#include "tests/engine/full_disk.h"
#include "tests/expect_error.h"
#include "tests/temp_folder.h"

namespace {

using mld::DType;
using mld::ErrorKind;
using mld::SafetensorsFile;
using mld::Shape;
using mld::TensorSource;
using mld::test::contains;
using mld::test::error_of;
using mld::test::read_bytes;
using mld::test::TempFolder;
using mld::test::write_bytes;

std::string with_length(std::uint64_t length, const std::string& rest) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + rest;
}

std::string file_of(const std::string& header, const std::string& data) {
  return with_length(header.size(), header + data);
}

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

template <class T>
std::vector<T> read(const SafetensorsFile& file, const std::string& name) {
  std::vector<T> values(static_cast<std::size_t>(file.find(name)->shape.numel()));
  file.read(name, std::as_writable_bytes(std::span(values)));
  return values;
}

std::string error_of_file(const TempFolder& folder, const std::string& bytes) {
  write_bytes(folder / "x.safetensors", bytes);
  const std::string message =
      error_of(ErrorKind::model, [&] { SafetensorsFile file(folder / "x.safetensors"); });
  CHECK(contains(message, "x.safetensors: "));
  CHECK(!contains(message, "\n"));
  return message;
}

// Made by the Python package safetensors 0.8.0 (safetensors.numpy.save).
const std::string kPythonHeader =
    R"({"__metadata__":{"größe":"2 \" \\ \n","made by":"python"},"big":{"dtype":"F64","shape":[2],"data_offsets":[0,16]},)"
    R"("empty":{"dtype":"F32","shape":[0,4],"data_offsets":[16,16]},"scalar":{"dtype":"F32","shape":[],"data_offsets":[16,20]},)"
    R"("weight":{"dtype":"F32","shape":[2,3],"data_offsets":[20,44]},"index":{"dtype":"I32","shape":[2],"data_offsets":[44,52]},)"
    R"("mask":{"dtype":"U8","shape":[1,3],"data_offsets":[52,55]}})";
const std::string kPythonData(
    "\x18\x2d\x44\x54\xfb\x21\x09\x40\x00\x00\x00\x00\x00\x00\xf0\xbf\x00\x00\x20\x40\x00\x00\xc0\x3f\x00\x00"
    "\x00"
    "\xc0\x00\x00\x50\x40\x00\x00\x00\x00\x60\x42\xa2\x0d\x00\x00\xe0\xc0\xff\xff\xff\xff\x07\x00\x00\x00\x01"
    "\x00"
    "\xff",
    55);

}  // namespace

TEST_CASE("safetensors: a file written by Python") {
  const TempFolder folder;
  std::string header = kPythonHeader;
  header.resize((header.size() + 7) / 8 * 8, ' ');
  CHECK(header.size() == 416);
  write_bytes(folder / "py", file_of(header, kPythonData));
  const SafetensorsFile file(folder / "py");
  CHECK(file.tensors().size() == 6);
  CHECK(file.metadata() == mld::Metadata{{"größe", "2 \" \\ \n"}, {"made by", "python"}});
  CHECK(read<double>(file, "big") == std::vector<double>{3.141592653589793, -1});
  CHECK(read<float>(file, "weight") == std::vector<float>{1.5F, -2, 3.25F, 0, 1e-30F, -7});
  CHECK(file.find("weight")->shape == Shape{2, 3});
  CHECK(read<std::int32_t>(file, "index") == std::vector<std::int32_t>{-1, 7});
  CHECK(read<std::uint8_t>(file, "mask") == std::vector<std::uint8_t>{1, 0, 255});
  CHECK(read<float>(file, "scalar") == std::vector<float>{2.5F});
  CHECK(file.find("scalar")->shape.rank() == 0);
  CHECK(read<float>(file, "empty").empty());
  CHECK(file.find("other") == nullptr);
  CHECK(contains(error_of(ErrorKind::model, [&] { file.metadata("format_version"); }), "format_version"));
  CHECK(contains(error_of(ErrorKind::model, [&] { file.read("other", {}); }), "'other'"));
  error_of(ErrorKind::internal, [&] { file.read("scalar", {}); });
}

TEST_CASE("safetensors: the bytes of a small file") {
  const TempFolder folder;
  const std::string digits = "123456789";
  const std::vector<TensorSource> sources = {{"t", DType::u8, {9}, std::as_bytes(std::span(digits))}};
  mld::save_safetensors(folder / "s", sources, {{"k", "v"}});
  // cbf43926 is the check value of CRC-32; 279e1744 is binascii.crc32 (Python) of the documented content,
  // b"t\0U8\0[9]\0cbf43926\0k\0v\0".
  std::string header =
      R"({"__metadata__":{"k":"v","crc32/t":"cbf43926","crc32":"279e1744"},"t":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  CHECK(read_bytes(folder / "s") == file_of(header, digits));
}

TEST_CASE("safetensors: what is saved comes back") {
  const TempFolder folder;
  const std::vector<float> a = {1, -0.0F, 3.5F, std::numeric_limits<float>::denorm_min()};
  const std::vector<double> b = {1e300};
  const std::vector<std::int32_t> c = {-5, 6};
  const std::vector<std::uint8_t> d = {7, 8, 9};
  int calls = 0;
  const std::vector<TensorSource> sources = {{"u8", DType::u8, {3}, bytes_of(d)},
                                             {"f32", DType::f32, {2, 2}, bytes_of(a)},
                                             {"none", DType::f32, {0}, std::span<const std::byte>()},
                                             {"i32",
                                              DType::i32,
                                              {2},
                                              [&](std::span<std::byte> out) {
                                                ++calls;
                                                REQUIRE(out.size() == 8);
                                                std::memcpy(out.data(), c.data(), 8);
                                              }},
                                             {"f64 \"ü\"\n", DType::f64, {}, bytes_of(b)}};
  const mld::Metadata metadata = {{"config", "{\"a\": \"\\n\"}"}, {"", std::string("nul\0inside", 10)}};
  mld::save_safetensors(folder / "s", sources, metadata);
  CHECK(calls == 1);
  CHECK(folder.listing() == "s ");

  SafetensorsFile file(folder / "s");
  SafetensorsFile moved(std::move(file));
  file = std::move(moved);
  CHECK(file.metadata() == metadata);
  REQUIRE(file.tensors().size() == 5);
  for (const auto& tensor : file.tensors()) CHECK(tensor.offset % mld::dtype_size(tensor.dtype) == 0);
  CHECK(file.tensors()[0].name == "f64 \"ü\"\n");
  CHECK(file.tensors()[0].offset % 8 == 0);
  CHECK(file.tensors()[1].name == "f32");
  const auto back = read<float>(file, "f32");
  CHECK(std::memcmp(back.data(), a.data(), 16) == 0);
  CHECK(read<double>(file, "f64 \"ü\"\n") == b);
  CHECK(read<std::int32_t>(file, "i32") == c);
  CHECK(read<std::uint8_t>(file, "u8") == d);
}

TEST_CASE("safetensors: no tensors and no metadata") {
  const TempFolder folder;
  mld::save_safetensors(folder / "s", {});
  const SafetensorsFile file(folder / "s");
  CHECK(file.tensors().empty());
  CHECK(file.metadata().empty());
}

TEST_CASE("safetensors: every flipped bit is noticed or harmless") {
  const TempFolder folder;
  const std::vector<float> a = {1, 2, 3, 4, 5, 6};
  const std::vector<std::uint8_t> b = {1, 2};
  const std::vector<TensorSource> sources = {{"w", DType::f32, {2, 3}, bytes_of(a)},
                                             {"b", DType::u8, {2}, bytes_of(b)}};
  const mld::Metadata metadata = {{"training", "{\"step\": 12}"}};
  mld::save_safetensors(folder / "s", sources, metadata);
  const std::string bytes = read_bytes(folder / "s");
  int harmless = 0;
  for (std::size_t i = 0; i < bytes.size() * 8; ++i) {
    std::string damaged = bytes;
    damaged[i / 8] = static_cast<char>(damaged[i / 8] ^ (1 << (i % 8)));
    write_bytes(folder / "d", damaged);
    try {
      const SafetensorsFile file(folder / "d");
      ++harmless;  // padding, or the case of a hexadecimal digit of an escape
      CHECK_MESSAGE(file.metadata() == metadata, i);
      CHECK_MESSAGE(read<float>(file, "w") == a, i);
      CHECK_MESSAGE((file.find("w")->shape == Shape{2, 3}), i);
      CHECK_MESSAGE(read<std::uint8_t>(file, "b") == b, i);
    } catch (const mld::Error& error) {
      CHECK(error.kind() == ErrorKind::model);
    }
  }
  CHECK(harmless < 64);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    write_bytes(folder / "d", bytes.substr(0, size));
    const std::string message = error_of(ErrorKind::model, [&] { SafetensorsFile file(folder / "d"); });
    CHECK_MESSAGE(contains(message, mld::cat(": truncated: has ", size, " bytes, ")), message);
  }
}

TEST_CASE("safetensors: broken headers") {
  const TempFolder folder;
  struct Row {
    const char *header, *expected;
  };
  const std::string deep(1'000'000, '[');
  const std::string deep_header = "{\"a\":{\"shape\":" + deep;
  const std::string good = R"("b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]})";
  for (
      const Row& row : std::vector<Row>{
          {"", "does not begin with '{'"},
          {"[]", "does not begin with '{'"},
          {" {}", "does not begin with '{'"},
          {"{", "not valid JSON"},
          {"{}}", "not valid JSON"},
          {"{\"a\xff\":{}}", "not valid JSON"},
          {R"({"a":1})", "'a' is a number and not an object"},
          {R"({"a":[]})", "'a' is a list and not an object"},
          {R"({"a":null})", "'a' is null"},
          {R"({"__metadata__":{"k":1}})", "metadata 'k' is a number and not a string"},
          {R"({"__metadata__":{"k":{}}})", "metadata 'k' is an object and not a string"},
          {R"({"__metadata__":{"k":"1","k":"1"}})", "metadata 'k' appears twice"},
          {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"x":1}})",
           "tensor 'a': unknown member 'x'"},
          {R"({"a":{"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]}})", "'dtype' appears twice"},
          {R"({"a":{"dtype":"U8","shape":[4]}})", "is missing"},
          {R"({"a":{}})", "is missing"},
          {R"({"a":{"dtype":7,"shape":[4],"data_offsets":[0,4]}})", "dtype is a number and not a string"},
          {R"({"a":{"dtype":"U8","shape":4,"data_offsets":[0,4]}})", "shape is a number"},
          {R"({"a":{"dtype":"U8","shape":"4","data_offsets":[0,4]}})", "shape is a string"},
          {R"({"a":{"dtype":"U8","shape":[-4],"data_offsets":[0,4]}})", "shape contains a negative number"},
          {R"({"a":{"dtype":"U8","shape":[4.0],"data_offsets":[0,4]}})", "no unsigned integer"},
          {R"({"a":{"dtype":"U8","shape":[true],"data_offsets":[0,4]}})", "shape contains a boolean"},
          {R"({"a":{"dtype":"U8","shape":[[4]],"data_offsets":[0,4]}})", "shape contains a list"},
          {R"({"a":{"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,4]}})",
           "no unsigned integer"},
          {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0]}})", "are not a begin and an end"},
          {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4,4]}})", "are not a begin and an end"},
          {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[4,0]}})", "are not a begin and an end"},
          {R"({"a":{"dtype":"U8","shape":[5],"data_offsets":[0,5]}})",
           "truncated: has 65 bytes, its header describes 66"},
          {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,5]}})", "ends at byte 5 of 4"},
          {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[1,5]}})", "ends at byte 5 of 4"},
          {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[18446744073709551611,18446744073709551615]}})",
           "ends at byte"},
          {R"({"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}})",
           "type 'BF16' is not supported, convert it"},
          {R"({"a":{"dtype":"I64","shape":[0],"data_offsets":[0,0]}})", "type 'I64' is not supported"},
          {R"({"a":{"dtype":"f32","shape":[1],"data_offsets":[0,4]}})", "type 'f32' is not supported"},
          {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})",
           "ask for 8 bytes, data_offsets span 4"},
          {R"({"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,4]}})", "more than 2^63"},
          {R"({"a":{"dtype":"U8","shape":[0,18446744073709551615],"data_offsets":[0,0]}})", "more than 2^63"},
          {R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,4],"data_offsets":[0,4]}})", "more than 6 axes"},
          {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
           "2 unused bytes after the last tensor"},
          {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})", "'a': 2 unused bytes before it"},
          {R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
           "'b': overlaps the one before it by 1 bytes"},
          {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
           "'a' appears twice"},
          {R"({"__metadata__":{"crc32/a":"00000000"},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
           "tensor 'a': checksum"},
          {R"({"__metadata__":{"crc32":"00000000"},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
           "not the same set"},
          {"{\"a\\u0007\\n\":1}", "'a\\x07\\x0a' is a number"},
          {deep_header.c_str(), "shape contains a list"}}) {
    const std::string message = error_of_file(folder, file_of(row.header, "data"));
    CHECK_MESSAGE(contains(message, row.expected), message);
    // What to do with a file that was edited on purpose, where checksums are all that is wrong.
    CHECK_MESSAGE(contains(message, "drop 'crc32' and all 'crc32/...'") ==
                      (contains(message, "checksum") && contains(row.header, "crc32")),
                  message);
  }
}

TEST_CASE("safetensors: all problems of a file in one error, of very many the first 20") {
  const TempFolder folder;
  const std::string message = error_of_file(
      folder,
      file_of(
          R"({"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[9],"data_offsets":[0,9]},)"
          R"("c":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"d":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})",
          "data"));
  CHECK(contains(message, "3 problems: tensor 'a'"));
  CHECK(contains(message, "tensor 'b'"));
  CHECK(contains(message, "tensor 'd'"));
  CHECK(contains(message, "use another copy"));

  std::string header = "{";
  for (int i = 0; i < 1000; ++i) header += (i ? ",\"t" : "\"t") + std::to_string(i) + "\":{}";
  const std::string many = error_of_file(folder, file_of(header + "}", ""));
  CHECK(contains(many, "1000 problems (the first 20)"));
  CHECK(many.size() < 3000);
}

TEST_CASE("safetensors: lengths that cannot be") {
  const TempFolder folder;
  CHECK(
      contains(error_of_file(folder, ""), "truncated: has 0 bytes, the length of the header alone takes 8"));
  CHECK(contains(error_of_file(folder, "1234567"), "truncated: has 7 bytes"));
  CHECK(contains(error_of_file(folder, with_length(3, "")),
                 "truncated: has 8 bytes, its header ends at byte 11"));
  CHECK(contains(error_of_file(folder, with_length(3, "{}")), "truncated: has 10 bytes"));
  CHECK(contains(error_of_file(folder, with_length(~std::uint64_t{0}, "{}")), "not a safetensors file"));
  CHECK(contains(error_of_file(folder, with_length(9, "[]")), "begins with '[' (expected '{')"));
  // Sparse: takes no room on the disk.
  write_bytes(folder / "big", with_length(100'000'001, "{}"));
  std::filesystem::resize_file(folder / "big", 100'000'100);
  CHECK(contains(error_of(ErrorKind::model, [&] { SafetensorsFile file(folder / "big"); }),
                 "the limit is 100000000"));
}

TEST_CASE("safetensors: files that are none") {
  const TempFolder folder;
  CHECK(contains(error_of(ErrorKind::model, [&] { SafetensorsFile file(folder / "none"); }), "no such file"));
  CHECK(contains(error_of(ErrorKind::model, [&] { SafetensorsFile file(folder.path()); }), "but a folder"));
  error_of(ErrorKind::model, [&] { SafetensorsFile file("/dev/null"); });
}

TEST_CASE("safetensors: non-finite tensors are refused on demand, all named") {
  const TempFolder folder;
  const std::vector<float> a = {1, 2, std::nanf(""), 4};
  const std::vector<double> b = {1, -std::numeric_limits<double>::infinity()};
  const std::vector<std::int32_t> c = {0x7f800000};  // the bits of infinity
  const std::vector<TensorSource> good = {{"c", DType::i32, {1}, bytes_of(c)}};
  mld::save_safetensors(folder / "s", good, {}, {.refuse_non_finite = true});
  const std::string before = read_bytes(folder / "s");
  const std::vector<TensorSource> bad = {{"a", DType::f32, {4}, bytes_of(a)},
                                         {"b", DType::f64, {2}, bytes_of(b)},
                                         {"c", DType::i32, {1}, bytes_of(c)}};
  const std::string message = error_of(ErrorKind::diverged, [&] {
    mld::save_safetensors(folder / "s", bad, {}, {.refuse_non_finite = true});
  });
  CHECK(contains(message, "tensor 'a': element 2"));
  CHECK(contains(message, "tensor 'b': element 1"));
  CHECK(!contains(message, "'c'"));
  CHECK(read_bytes(folder / "s") == before);
  CHECK(folder.listing() == "s ");
  mld::save_safetensors(folder / "s", bad);
  CHECK(std::isnan(read<float>(SafetensorsFile(folder / "s"), "a")[2]));
}

TEST_CASE("safetensors: a full disk leaves the previous file and nothing else") {
  const TempFolder folder;
  const std::vector<float> a(50'000, 1.0F);
  const std::vector<TensorSource> sources = {{"a", DType::f32, {50'000}, bytes_of(a)}};
  mld::save_safetensors(folder / "s", sources, {{"which", "old"}});
  const std::string before = read_bytes(folder / "s");
  {
    const mld::test::FullDisk full(100'000);
    const std::string message = error_of(ErrorKind::io, [&] {
      mld::save_safetensors(folder / "s", sources, {{"which", "new"}});
    });
    CHECK(contains(message, "free space"));
  }
  CHECK(folder.listing() == "s ");
  CHECK(read_bytes(folder / "s") == before);
  mld::save_safetensors(folder / "s", sources, {{"which", "new"}});
  CHECK(SafetensorsFile(folder / "s").metadata("which") == "new");
}

TEST_CASE("safetensors: misuse of the writer") {
  const TempFolder folder;
  const std::vector<float> a = {1};
  const TensorSource one = {"a", DType::f32, {1}, bytes_of(a)};
  const auto refused = [&](std::vector<TensorSource> sources, const mld::Metadata& metadata = {}) {
    return error_of(ErrorKind::internal, [&] { mld::save_safetensors(folder / "s", sources, metadata); });
  };
  CHECK(contains(refused({one, one}), "twice"));
  CHECK(contains(refused({{"__metadata__", DType::f32, {1}, bytes_of(a)}}), "cannot name"));
  CHECK(contains(refused({{"", DType::f32, {1}, bytes_of(a)}}), "cannot name"));
  CHECK(contains(refused({{"a", DType::f32, {2}, bytes_of(a)}}), "needs 8 bytes, got 4"));
  CHECK(contains(refused({one}, {{"crc32", "x"}}), "reserved"));
  CHECK(contains(refused({one}, {{"crc32/b", "x"}}), "reserved"));
  CHECK(contains(refused({one}, {{"k", "\xff"}}), "UTF-8"));
  CHECK(folder.listing().empty());
}

TEST_CASE("safetensors: names, types and shapes against what is expected") {
  const std::vector<std::string> names = {"a", "b", "c"};
  mld::check_names("f", names, std::vector<std::string>{"c", "a", "b"});
  const std::string message = error_of(ErrorKind::model, [&] {
    mld::check_names("run/last.safetensors", names, std::vector<std::string>{"b", "d", "e"});
  });
  CHECK(contains(message, "run/last.safetensors: missing (2): 'a', 'c'; unexpected (2): 'd', 'e'; "));

  using Infos = std::vector<mld::TensorInfo>;
  const Infos expected = {{"a", DType::f32, {2}, 0}, {"b", DType::f32, {3, 4}, 8}, {"c", DType::i32, {1}, 0}};
  mld::check_tensors("f", expected, Infos{{"c", DType::i32, {1}, 50}, expected[0], expected[1]});
  const std::string all = error_of(ErrorKind::model, [&] {
    mld::check_tensors(
        "f", expected,
        Infos{{"a", DType::f64, {2}, 0}, {"b", DType::f32, {4, 3}, 0}, {"x", DType::u8, {1}, 0}});
  });
  CHECK(contains(all, "missing (1): 'c'"));
  CHECK(contains(all, "unexpected (1): 'x'"));
  CHECK(contains(all, "'a' is f64[2], not f32[2]"));
  CHECK(contains(all, "'b' is f32[4,3], not f32[3,4]"));

  std::vector<std::string> many;
  for (int i = 0; i < 1000; ++i) many.push_back("t" + std::to_string(i));
  CHECK(contains(error_of(ErrorKind::model, [&] { mld::check_names("f", many, {}); }), "and 900 more"));
}
