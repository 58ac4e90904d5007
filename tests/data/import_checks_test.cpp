// What an importer refuses, mentions or mends: arrays of other splits, files that nobody reads,
// vocabularies, destinations.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <csignal>

#include "data/digits/digits.h"
#include "data/formats/gzip.h"
#include "data/formats/idx.h"
#include "data/importers/import.h"
#include "data/store/store_writer.h"
#include "tests/data/arrays_fixture.h"
#include "tests/data/fixtures.h"
#include "tests/in_child.h"

using namespace mld;
using namespace mld::data;
using namespace mld::test;

namespace {

// n floats from lo to hi.
Reals ramp(std::int64_t n, float lo = 0, float hi = 1) {
  Reals values;
  for (std::int64_t i = 0; i < n; ++i)
    values.push_back(lo + (hi - lo) * static_cast<float>(i) / static_cast<float>(n - 1));
  return values;
}

// Images [8, 8, 6, 3] to train on and `change` to write others to test.
template <class F>
void check_test_array(std::initializer_list<std::string> words, F change) {
  const Arrays a;
  write_floats(a.in / "train/a.npy", {8, 8, 6, 3}, ramp(8 * 144));
  change(a.in / "test/a.npy");
  a.check_rejected(ErrorKind::data, words);
}

// Tokens 0 to 3 with a vocabulary of this text.
struct Words : Arrays {
  explicit Words(const std::string& text) {
    write_ints(in / "train/t.npy", {2, 2}, {0, 3, 2, 1});
    write_bytes(
        in / "modalities.json",
        R"({"modalities": [{"name": "t", "kind": "tokens", "categories": 4, "vocabulary": "v.txt"}]})");
    write_bytes(in / "v.txt", text);
  }
};

Bytes packed(const std::string& text) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  Bytes out(deflateBound(&stream, text.size()) + 64);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

}  // namespace

TEST_CASE("import npy: test arrays have the shape of the training array, or are told how to get it") {
  const auto shaped = [](const Shape& shape) {
    return [shape](const fs::path& file) { write_floats(file, shape, ramp(shape.numel())); };
  };
  check_test_array({"test/a.npy", "[6,3,8,6]", "[8,6,3]", "array.transpose(0, 2, 3, 1)"},
                   shaped({6, 3, 8, 6}));
  check_test_array({"[6,6,8,3]", "array.transpose(0, 2, 1, 3)"}, shaped({6, 6, 8, 3}));
  check_test_array({"[6,3,6,8]", "array.transpose(0, 3, 2, 1)"}, shaped({6, 3, 6, 8}));
  check_test_array({"[6,144]", "array.reshape(-1, 8, 6, 3)"}, shaped({6, 144}));
  check_test_array({"[6,8,6]", "expected items [8,6,3]"}, shaped({6, 8, 6}));
  check_test_array({"[6,8,6,4]", "expected items [8,6,3]"}, shaped({6, 8, 6, 4}));
}

TEST_CASE("import npy: the last axis of 1 may be left out in any split") {
  const Shape with{4, 3, 2, 1}, without{4, 3, 2};
  for (const Shape& train : {with, without})
    for (const Shape& test : {with, without}) {
      const Arrays a;
      write_floats(a.in / "train/a.npy", train, ramp(24));
      write_floats(a.in / "test/a.npy", test, ramp(24));
      CHECK(a.import().split("test").num_items(0) == 4);
    }
  const Arrays a;  // the sides of a grey image exchanged, with and without the axis
  write_floats(a.in / "train/a.npy", with, ramp(24));
  write_floats(a.in / "test/a.npy", {4, 2, 3}, ramp(24));
  a.check_rejected(ErrorKind::data, {"[4,2,3]", "array.transpose(0, 2, 1"});
}

TEST_CASE("import npy: test arrays have the sort of elements of the training array") {
  const auto bytes = [](const fs::path& file) { write_npy(file, {'u', 1}, {2, 8, 6, 3}, Bytes(288, 1)); };
  check_test_array({"test/a.npy", "holds |u1", "training array <f4"}, bytes);
  check_test_array({"holds |b1", "<f4"}, [](const fs::path& file) {
    write_npy(file, {'b', 1}, {2, 8, 6, 3}, Bytes(288, 1));
  });
  check_test_array({"holds <i4", "<f4"}, [](const fs::path& file) {
    write_ints(file, {2, 8, 6, 3}, Ints(288, 1));
  });
  {
    const Arrays a;
    bytes(a.in / "train/a.npy");
    write_floats(a.in / "test/a.npy", {2, 8, 6, 3}, ramp(288));
    a.check_rejected(ErrorKind::data, {"holds <f4", "|u1"});
  }
  const Arrays a;  // the same numbers in another size are the same data
  write_floats(a.in / "train/a.npy", {2, 2}, {0, 1, 2, 3});
  write_npy(a.in / "test/a.npy", {'f', 8}, {2, 2}, std::vector<double>{0, 1, 2, 3});
  CHECK(a.import().has_split("test"));
}

TEST_CASE("import npy: test values are in the units of the training values") {
  const auto vectors = [](const Arrays& a, float lo, float hi) {
    write_floats(a.in / "train/v.npy", {20, 2}, ramp(40));
    write_floats(a.in / "test/v.npy", {20, 2}, ramp(40, lo, hi));
  };
  for (const auto& [lo, hi] : {std::pair{0.0F, 255.0F}, {-100.0F, 1.0F}, {1e6F, 2e6F}}) {
    const Arrays a;
    vectors(a, lo, hi);
    a.check_rejected(ErrorKind::data,
                     {"test/v.npy", "training values lie in 0 to 1", "\"range\" in modalities.json"});
    write_bytes(a.in / "modalities.json",
                R"({"modalities": [{"name": "v", "kind": "vector", "range": [-100, 2000000]}]})");
    CHECK(a.import().modality(0).range == ValueRange{-100, 2e6F});
  }
  for (const auto& [lo, hi] : {std::pair{0.0F, 1.0F}, {-3.0F, 4.0F}, {0.5F, 0.7F}}) {
    const Arrays a;
    vectors(a, lo, hi);
    CHECK(a.import().modality(0).range == ValueRange{0, 1});
    CHECK(a.notes.empty());
  }
  const Arrays narrow;
  vectors(narrow, 0, 1.0F / 255);
  narrow.import();
  CHECK(mentions(narrow.notes, "same units"));
  check_test_array({"test/a.npy", "values from 0 to 255", "expected 0 to 1"}, [](const fs::path& file) {
    write_floats(file, {2, 8, 6, 3}, ramp(288, 0, 255));
  });
}

TEST_CASE("import npy: the split valid is imported, folders of other names are not ignored") {
  const Arrays a;
  for (const char* split : {"train", "test", "valid"})
    write_floats(a.in / split / "v.npy", {2, 2}, {1, 2, 3, 4});
  const Store store = a.import();
  CHECK(store.splits().size() == 3);
  CHECK(store.split("valid").num_samples() == 2);
  for (const auto& [name, guess] : {std::pair{"val", "did you mean valid?"},
                                    {"Test", "did you mean test?"},
                                    {"validation", "train, test, valid"},
                                    {"dev", "train, test, valid"}}) {
    const Arrays other;
    write_floats(other.in / "train/v.npy", {2, 2}, {1, 2, 3, 4});
    write_floats(other.in / name / "v.npy", {2, 2}, {1, 2, 3, 4});
    other.check_rejected(ErrorKind::data, {std::string("mine/") + name, "no split", guess});
  }
}

TEST_CASE("import npy: masks and labels that belong to nothing are refused") {
  const auto rejected = [](const std::string& file, std::initializer_list<std::string> words) {
    const Arrays a;
    for (const char* split : {"train", "test"})
      for (const char* name : {"aa", "sound"})
        write_floats(a.in / split / (std::string(name) + ".npy"), {2, 2}, {1, 2, 3, 4});
    write_ints(a.in / file, {2}, {0, 1});
    a.check_rejected(ErrorKind::data, words);
  };
  rejected("train/sounds.mask.npy", {"train/sounds.mask.npy", "did you mean sound.mask.npy?", "aa, sound"});
  rejected("test/AA.mask.npy", {"test/AA.mask.npy", "mask of no modality", "aa, sound"});
  rejected("train/zzzzzz.mask.npy", {"zzzzzz.mask.npy", "the modalities are aa, sound"});
  rejected("train/sound_mask.npy", {"did you mean sound.mask.npy"});
  rejected("train/label.npy", {"label.npy", "did you mean labels.npy"});
  rejected("train/Labels.npy", {"Labels.npy", "did you mean labels.npy"});
  rejected("train/aa.labels.npy", {"aa.labels"});
  rejected("labels.npy", {"mine/labels.npy", "beside the arrays"});
  rejected("aa.mask.npy", {"mine/aa.mask.npy", "beside the arrays"});
  rejected("train/aa.mask.npz", {"train/aa.mask.npz: is not read", "NAME.mask.npy"});
  rejected("train/labels.NPY", {"train/labels.NPY: is not read", "labels.npy"});
  rejected("test/labels.csv", {"test/labels.csv: is not read"});

  const Arrays a;  // with a spec, arrays may be left out, with their masks
  write_floats(a.in / "train/v.npy", {2, 2}, {1, 2, 3, 4});
  write_floats(a.in / "train/w.npy", {2, 2}, {1, 2, 3, 4});
  write_ints(a.in / "train/w.mask.npy", {2}, {0, 1});
  write_bytes(a.in / "modalities.json", R"({"modalities": [{"name": "v"}]})");
  a.import();
  CHECK(mentions(a.notes, "not read: train/w.mask.npy, train/w.npy"));
  write_ints(a.in / "train/v_mask.npy", {2}, {0, 1});
  fs::remove_all(a.out);
  a.check_rejected(ErrorKind::data, {"v_mask.npy", "NAME.mask.npy"});
  write_bytes(a.in / "modalities.json", R"({"modalities": [{"name": "vv"}]})");
  a.check_rejected(ErrorKind::data, {"v_mask.npy"});
  fs::remove(a.in / "train/v_mask.npy");
  write_floats(a.in / "train/voice.npy", {2, 2}, {1, 2, 3, 4});
  write_bytes(a.in / "modalities.json", R"({"modalities": [{"name": "voices"}]})");
  a.check_rejected(ErrorKind::data, {"voices.npy", "did you mean voice.npy?"});
}

TEST_CASE("import npy: other files are named, hidden ones are not seen") {
  const Arrays a;
  write_floats(a.in / "train/v.npy", {2, 2}, {1, 2, 3, 4});
  for (const char* hidden : {"._v.npy", ".DS_Store", ".v.mask.npy"})
    write_bytes(a.in / "train" / hidden, "x");
  write_bytes(a.in / "._labels.npy", "x");
  a.import();
  CHECK(a.notes == std::vector<std::string>{});
  write_bytes(a.in / "README.txt", "x");
  write_bytes(a.in / "modality.json", "{}");
  write_bytes(a.in / "train/v.npy.bak", "x");
  write_bytes(a.in / "pictures/1.png", "x");
  fs::remove_all(a.out);
  a.import();
  REQUIRE(a.notes.size() == 1);
  CHECK(mentions(a.notes, "mine: not read: README.txt, modality.json, pictures, train/v.npy.bak"));
}

TEST_CASE("import npy: what training will miss is said") {
  const Arrays a;
  write_floats(a.in / "train/v.npy", {2, 1}, {1, 2});
  write_floats(a.in / "train/once.npy", {2, 1}, {1, std::nanf("")});
  write_floats(a.in / "test/v.npy", {1, 1}, {1});
  write_floats(a.in / "test/once.npy", {1, 1}, {std::nanf("")});
  write_ints(a.in / "train/labels.npy", {2}, {0, 1});
  a.import();
  CHECK(mentions(a.notes, "train: modality 'once' has one item"));
  CHECK(mentions(a.notes, "test: modality 'once' has no items"));
  CHECK(mentions(a.notes, "only one of train and test has labels.npy"));
  write_ints(a.in / "train/labels.npy", {2}, {0, 2});
  write_floats(a.in / "test/v.npy", {4, 1}, {1, 1, 2, 2});
  fs::remove(a.in / "train/once.npy");
  fs::remove(a.in / "test/once.npy");
  write_ints(a.in / "test/labels.npy", {4}, {1, -1, 3, 2});
  fs::remove_all(a.out);
  a.notes.clear();
  CHECK(a.import().description().classes == 4);
  CHECK(a.notes == std::vector<std::string>{"test: of classes that no sample of train has: 1, 3",
                                            "train: has samples of 2 of the 4 classes, 0 to 3"});
  write_ints(a.in / "train/labels.npy", {2}, {1, -2});
  fs::remove_all(a.out);
  a.check_rejected(ErrorKind::data, {"train/labels.npy: sample 1 is of class -2", "-1 for an unknown one"});
  for (const std::int32_t far : {65536, 1'000'000, INT32_MAX}) {
    write_ints(a.in / "train/labels.npy", {2}, {1, far});
    a.check_rejected(ErrorKind::data, {cat("train/labels.npy: sample 1 is of class ", far),
                                       "expected 0 to 65535", "number the classes from 0"});
  }
  write_ints(a.in / "train/labels.npy", {2}, {1, 65535});
  a.notes.clear();
  CHECK(a.import().description().classes == 65536);
  CHECK(mentions(a.notes, "train: has samples of 2 of the 65536 classes, 0 to 65535"));
  write_ints(a.in / "train/labels.npy", {2}, {-1, -1});
  write_ints(a.in / "test/labels.npy", {4}, {-1, -1, -1, -1});
  fs::remove_all(a.out);
  a.notes.clear();
  CHECK(a.import().description().classes == 0);
  CHECK(mentions(a.notes, "train: labels.npy names no class, all are -1"));
  fs::remove_all(a.out);
  fs::remove(a.in / "train/labels.npy");
  fs::remove(a.in / "test/labels.npy");
  write_floats(a.in / "test/v.npy", {0, 1}, {});
  fs::remove_all(a.out);
  a.check_rejected(ErrorKind::data, {"test/v.npy", "holds nothing", "split without samples"});
}

TEST_CASE("import npy: a constant of any size has a range") {
  for (const float constant : {0.0F, -7.5F, 1.0F, 16777216.0F, -3e10F, 3e38F,
                               std::numeric_limits<float>::max(), std::numeric_limits<float>::lowest()}) {
    CAPTURE(constant);
    const Arrays a;
    write_floats(a.in / "train/v.npy", {2, 2}, {constant, constant, constant, constant});
    const ValueRange range = a.import().modality(0).range;
    CHECK(range.min <= constant);
    CHECK(range.max >= constant);
    CHECK(range.min < range.max);
    CHECK(std::isfinite(range.max));
  }
}

TEST_CASE("import npy: vocabularies of other systems are read") {
  const std::vector<std::string> expected{"a", "b c", "\xc3\xa9", "d"};
  for (const char* text : {"a\nb c\n\xc3\xa9\nd\n", "a\nb c\n\xc3\xa9\nd", "a\r\nb c\r\n\xc3\xa9\r\nd\r\n",
                           "\xef\xbb\xbf"
                           "a\nb c\n\xc3\xa9\nd\n",
                           "a\nb c\n\xc3\xa9\nd\n\n\n",
                           "\xef\xbb\xbf"
                           "a\r\nb c\r\n\xc3\xa9\r\nd\r\n\r\n"}) {
    const Words words(text);
    CHECK(words.import().vocabulary(0) == expected);
    CHECK(words.notes.empty());
  }
  const Words twice("a\nb\na\nd\n");
  twice.import();
  CHECK(mentions(twice.notes, "lines 1 and 3 are both 'a'"));
}

TEST_CASE("import npy: vocabularies that cannot be meant are refused") {
  const auto rejected = [](const std::string& text, std::initializer_list<std::string> words) {
    Words(text).check_rejected(ErrorKind::data, words);
  };
  rejected("a\nb\nc\n", {"v.txt", "holds 3 tokens, expected 4"});
  rejected("a\nb\nc\nd\ne\n", {"holds 5 tokens, expected 4"});
  rejected("", {"holds 0 tokens"});
  rejected("a\n\nc\nd\n", {"v.txt: line 2", "empty"});
  rejected("a\nb\nc\n\r\nd\n", {"line 4", "empty"});
  rejected("a\nb\nc\xe9\nd\n", {"line 3", "not UTF-8"});
  rejected("a\nb\xc3\nc\nd\n", {"line 2", "not UTF-8"});
  rejected(
      "\xff\xfe"
      "a\nb\nc\nd\n",
      {"line 1", "not UTF-8"});
  rejected(std::string("a\nb\0\nc\nd\n", 9), {"line 2", "control"});
  rejected("a\rb\rc\rd", {"line 1", "control"});
  const Words none("");
  fs::remove(none.in / "v.txt");
  none.check_rejected(ErrorKind::data, {"v.txt", "no such file"});
}

TEST_CASE("import npy: what is no file or no folder is said, and nothing waits") {
  const auto rejected = [](std::initializer_list<std::string> words, auto change) {
    const Arrays a;
    write_floats(a.in / "train/v.npy", {2, 2}, {1, 2, 3, 4});
    change(a.in);
    a.check_rejected(ErrorKind::data, words);
  };
  rejected({"mine: is a file"}, [](const fs::path& in) {
    fs::remove_all(in);
    write_bytes(in, "x");
  });
  rejected({"train: no such folder"}, [](const fs::path& in) {
    fs::remove_all(in / "train");
    write_bytes(in / "train", "x");
  });
  rejected({"train/w.npy", "regular file"},
           [](const fs::path& in) { fs::create_directory(in / "train/w.npy"); });
  rejected({"train/w.npy", "FIFO"},
           [](const fs::path& in) { REQUIRE(::mkfifo((in / "train/w.npy").c_str(), 0600) == 0); });
  rejected({"modalities.json", "regular file"},
           [](const fs::path& in) { fs::create_directory(in / "modalities.json"); });
  rejected({"train/w.npy", "no such file"},
           [](const fs::path& in) { fs::create_symlink("nowhere", in / "train/w.npy"); });
}

TEST_CASE("imports: a destination that cannot be written is noticed before anything is read") {
  const TempFolder folder;
  write_bytes(folder / "file", "x");
  write_bytes(folder / "full/x", "x");
  write_bytes(folder / "in/train/a.npy", "no array");
  for (const auto& [out, kind] :
       {std::pair{"full", ErrorKind::busy}, {"file", ErrorKind::busy}, {"file/s", ErrorKind::io}}) {
    check_error(kind, {folder.path().string()},
                [&, out = out] { import_npy(folder / "in", folder / out, {}); });
    check_error(kind, {folder.path().string()},
                [&, out = out] { import_mnist_svhn("nowhere", "nowhere", folder / out, {}); });
    DigitsConfig many;
    many.train = 10'000'000;  // would take hours
    check_error(kind, {folder.path().string()}, [&, out = out] { write_digits(many, folder / out); });
  }
}

TEST_CASE("imports: the second of two to one store is refused, a killed one does not hinder the next") {
  const Arrays a;
  write_floats(a.in / "train/v.npy", {2, 2}, {1, 2, 3, 4});
  {
    const StoreWriter other(a.out);
    a.check_rejected(ErrorKind::busy, {"out"});
  }
  const auto left = [&] {
    std::size_t entries = 0;
    for ([[maybe_unused]] const auto& entry : fs::directory_iterator(a.folder.path())) ++entries;
    return entries;
  };
  CHECK(left() == 1);
  for (int times = 0; times < 3; ++times) {
    const int status = mld::test::in_child([&] {
      StoreWriter writer(a.out);
      write_bytes(a.folder / ".out.partial/train/v.npy", "half");
      ::raise(SIGKILL);
      return 0;
    });
    CHECK(WIFSIGNALED(status));
    CHECK_FALSE(fs::exists(a.out));
    CHECK(left() == 2);
    const std::string first = a.import().description().fingerprint;
    CHECK(left() == 2);
    fs::remove_all(a.out);
    CHECK(a.import().description().fingerprint == first);
    fs::remove_all(a.out);
  }
}

TEST_CASE("gzip: no more is decompressed than the header inside promises") {
  const std::string bomb(20'000'000, '\0');
  const TempFolder folder;
  const std::string idx("\0\0\x08\x01\0\0\0\x05", 8);
  check_error(ErrorKind::data, {"f: decompresses to more than 13 bytes"},
              [&] { parse_idx(packed(idx + bomb), "f"); });
  CHECK(parse_idx(packed(idx + "hello"), "f").shape == Shape{5});
  check_error(ErrorKind::data, {"needs 5 bytes", "found 4"}, [&] { parse_idx(packed(idx + "hell"), "f"); });
  check_error(ErrorKind::data, {"promises 2147483655 bytes"},
              [&] { parse_idx(packed(std::string("\0\0\x08\x01\x7f\xff\xff\xff", 8)), "f"); });

  const auto array = [&](const Shape& shape, const std::string& data) {
    write_bytes(folder / "a.npy", packed(npy_header({'f', 4}, shape) + data));
    return NpyArray(folder / "a.npy").shape();
  };
  CHECK(array({2}, std::string(8, 'x')) == Shape{2});
  check_error(ErrorKind::data, {"a.npy: decompresses to more than 136 bytes"}, [&] { array({2}, bomb); });
  check_error(ErrorKind::data, {"needs 8 bytes", "found 7"}, [&] { array({2}, std::string(7, 'x')); });
  for (const Shape& huge :
       {Shape{std::int64_t{1} << 40}, Shape{std::int64_t{1} << 61}, Shape{1 << 30, 1 << 20}})
    check_error(ErrorKind::data, {"a.npy"}, [&] { array(huge, "x"); });
}

TEST_CASE("import mnist-svhn: files that are not read are named") {
  const TempFolder folder;
  const auto idx = [](std::uint8_t count, std::size_t item, std::uint8_t value) {
    Bytes bytes{0, 0, 8, static_cast<std::uint8_t>(item > 1 ? 3 : 1), 0, 0, 0, count};
    if (item > 1) bytes.insert(bytes.end(), {0, 0, 0, 28, 0, 0, 0, 28});
    bytes.insert(bytes.end(), count * item, value);
    return bytes;
  };
  for (const char* split : {"train", "t10k"}) {
    write_bytes(folder / (std::string(split) + "-images-idx3-ubyte"), idx(2, 784, 7));
    write_bytes(folder / (std::string(split) + "-labels-idx1-ubyte"), idx(2, 1, 3));
  }
  for (const char* name : {"train_32x32.mat", "test_32x32.mat", "extra_32x32.mat"})
    write_bytes(folder / name, kMatSvhn);
  const std::vector<std::string> notes =
      import_mnist_svhn(folder.path(), folder.path(), folder / "out", {.repetitions = 2});
  REQUIRE(notes.size() == 1);
  CHECK(mentions(notes, "not read: extra_32x32.mat"));
}
