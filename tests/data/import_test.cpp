#include "data/importers/import.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "data/digits/digits.h"
#include "data/store/store.h"
#include "tests/data/arrays_fixture.h"
#include "tests/data/files.h"

using namespace mld;
using namespace mld::data;
using namespace mld::test;

namespace {

const float kNan = std::nanf("");

Ints to_vector(std::span<const std::int32_t> values) { return {values.begin(), values.end()}; }

}  // namespace

TEST_CASE("import npy: kinds are inferred, samples are rows") {
  const Arrays a;
  write_npy(a.in / "train/pic.npy", {'u', 1}, {2, 2, 1, 3}, Bytes{0, 255, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  write_floats(a.in / "train/grey.npy", {2, 1, 2}, {0, 0.5F, 1, 0.25F});
  write_npy(a.in / "train/vec.npy", {'f', 8}, {2, 3}, std::vector<double>{-2, 0, 1, 4, 0.5, 0.1});
  write_npy(a.in / "train/flags.npy", {'b', 1}, {2, 2}, Bytes{1, 0, 0, 1});
  write_npy(a.in / "train/labels.npy", {'i', 8}, {2}, std::vector<std::int64_t>{4, -1});
  const Store store = a.import();
  const Description& d = store.description();
  CHECK(d.name == "mine");
  CHECK(d.classes == 5);
  REQUIRE(d.modalities.size() == 4);  // alphabetical
  CHECK(d.modalities[0].name == "flags");
  CHECK(d.modalities[0].dtype == DType::f32);
  CHECK(d.modalities[1].kind == ModalityKind::image);
  CHECK(d.modalities[1].shape == Shape{1, 2, 1});
  CHECK(d.modalities[2].shape == Shape{2, 1, 3});
  CHECK(d.modalities[2].dtype == DType::u8);
  CHECK(d.modalities[3].kind == ModalityKind::vector);
  CHECK(d.modalities[3].range == ValueRange{-2, 4});
  CHECK(d.provenance.sources[3].file == "train/vec.npy");
  const Split& train = store.split("train");
  CHECK(to_vector(train.samples()) == Ints{0, 0, 0, 0, 1, 1, 1, 1});
  CHECK(to_vector(train.labels()) == Ints{4, -1});
  CHECK(to_vector(train.item_labels(2)) == Ints{4, -1});
  Reals values(3);
  train.gather(3, Ints{1}, values);
  CHECK(values == Reals{4, 0.5F, 0.1F});
  CHECK_FALSE(store.has_split("test"));
}

TEST_CASE("import npy: series are declared; their range is that of the training values") {
  const Arrays a;
  write_floats(a.in / "train/walk.npy", {2, 3, 2}, {1, 2, 3, 4, 5, 6, -7, 8, 9, 10, 11, 12});
  write_floats(a.in / "train/tone.npy", {2, 3}, {1, 2, 3, 4, 5, 6});
  write_bytes(a.in / "modalities.json", R"({"modalities": [{"name": "walk", "kind": "series"},
    {"name": "tone", "kind": "series", "range": [0, 10]}]})");
  const Store store = a.import();
  const Description& d = store.description();
  CHECK(d.modalities[0].kind == ModalityKind::series);
  CHECK(d.modalities[0].shape == Shape{3, 2});
  CHECK(d.modalities[0].range == ValueRange{-7, 12});
  CHECK(d.modalities[1].shape == Shape{3, 1});
  CHECK(d.modalities[1].range == ValueRange{0, 10});
  Reals values(6);
  store.split("train").gather(0, Ints{1}, values);
  CHECK(values == Reals{-7, 8, 9, 10, 11, 12});
}

TEST_CASE("import npy: rows of NaN and masks are holes") {
  const Arrays a;
  write_floats(a.in / "train/a.npy", {4, 2}, {1, 2, kNan, kNan, 3, 4, 5, 6});
  write_floats(a.in / "train/b.npy", {4, 1}, {1, 2, 3, 4});
  write_npy(a.in / "train/b.mask.npy", {'b', 1}, {4}, Bytes{0, 0, 1, 0});
  write_ints(a.in / "train/labels.npy", {4}, {0, 1, 2, 3});
  const Store store = a.import();
  const Split& train = store.split("train");
  CHECK(to_vector(train.samples()) == Ints{0, 0, -1, 1, 1, -1, 2, 2});
  CHECK(train.num_items(0) == 3);
  CHECK(to_vector(train.item_labels(0)) == Ints{0, 2, 3});
  CHECK(to_vector(train.item_labels(1)) == Ints{0, 1, 3});
  Reals out(1);
  train.gather(1, Ints{2}, out);
  CHECK(out[0] == 4);
}

TEST_CASE("import npy: the spec orders, describes and selects; tokens carry a vocabulary") {
  const Arrays a;
  for (const char* split : {"train", "test"}) {
    write_floats(a.in / split / "sound.npy", {2, 2, 3}, Reals(12, 0.5F));
    write_npy(a.in / split / "caption.npy", {'u', 2}, {2, 2}, std::vector<std::uint16_t>{0, 2, 1, 1});
    write_ints(a.in / split / "tag.npy", {2}, {1, 0});
    write_floats(a.in / split / "unused.npy", {7, 1}, Reals(7));
  }
  write_bytes(a.in / "words.txt", "a\nb\nc\n");
  write_bytes(a.in / "modalities.json", R"({
    // order of the latents
    "name": "my set", "classes": 2, "modalities": [
      {"name": "tag", "kind": "categorical", "categories": 2},
      {"name": "sound", "kind": "spectrogram", "range": [0, 1], "original_range": [-80, 0],
       "audio": {"sample_rate": 8000, "n_fft": 512, "hop": 128}},
      {"name": "caption", "kind": "tokens", "categories": 3, "vocabulary": "words.txt"}]})");
  const Store store = a.import();
  const Description& d = store.description();
  CHECK(d.name == "my set");
  CHECK(d.classes == 2);
  REQUIRE(d.modalities.size() == 3);
  CHECK(d.modalities[0].shape == Shape{1});
  CHECK(d.modalities[1].kind == ModalityKind::spectrogram);
  CHECK(d.modalities[1].audio == AudioFrontEnd{8000, 512, 128});
  CHECK(d.modalities[1].original_range == ValueRange{-80, 0});
  CHECK(store.vocabulary(2) == std::vector<std::string>{"a", "b", "c"});
  Ints tokens(2);
  store.split("test").gather_tokens(2, Ints{0}, tokens);
  CHECK(tokens == Ints{0, 2});
}

TEST_CASE("import npy: a seeded part of the training samples becomes the test split") {
  const auto split_of = [](std::uint64_t seed) {
    const Arrays a;
    Reals values(100);
    std::iota(values.begin(), values.end(), 0.0F);
    write_floats(a.in / "train/v.npy", {100, 1}, values);
    NpyImport options;
    options.test_fraction = 0.25;
    options.seed = seed;
    const Store store = a.import(options);
    CHECK(store.split("train").num_samples() == 75);
    Ints items(25);
    std::iota(items.begin(), items.end(), 0);
    Reals test(25), train(75);
    store.split("test").gather(0, items, test);
    items.resize(75);
    std::iota(items.begin(), items.end(), 0);
    store.split("train").gather(0, items, train);
    std::set<float> all(test.begin(), test.end());
    all.insert(train.begin(), train.end());
    CHECK(all.size() == 100);
    return test;
  };
  CHECK(split_of(1) == split_of(1));
  CHECK(split_of(1) != split_of(2));
}

TEST_CASE("import npy: what is wrong with arrays is said with the file and the remedy") {
  const auto rejected = [](std::initializer_list<std::string> words, auto change) {
    const Arrays a;
    write_floats(a.in / "train/a.npy", {2, 2}, {1, 2, 3, 4});
    write_floats(a.in / "train/b.npy", {2, 2}, {1, 2, 3, 4});
    change(a);
    a.check_rejected(ErrorKind::data, words);
  };
  const float inf = std::numeric_limits<float>::infinity();
  rejected({"b.npy", "[3,2]", "2 samples"}, [](const Arrays& a) {
    write_floats(a.in / "train/b.npy", {3, 2}, Reals(6));
  });
  rejected({"b.npy", "sample 1, value 0", "all NaN"}, [](const Arrays& a) {
    write_floats(a.in / "train/b.npy", {2, 2}, {1, 2, kNan, 4});
  });
  rejected({"b.npy", "sample 0, value 1", "inf"}, [&](const Arrays& a) {
    write_floats(a.in / "train/b.npy", {2, 2}, {1, inf, 3, 4});
  });
  rejected({"sample 1 lacks every modality"}, [](const Arrays& a) {
    write_floats(a.in / "train/a.npy", {2, 2}, {1, 2, kNan, kNan});
    write_floats(a.in / "train/b.npy", {2, 2}, {1, 2, kNan, kNan});
  });
  rejected({"train.items.b", "no items"}, [](const Arrays& a) {
    write_floats(a.in / "train/b.npy", {2, 2}, Reals(4, kNan));
  });
  rejected({"b.npy", "<i4", "modalities.json"}, [](const Arrays& a) {
    write_ints(a.in / "train/b.npy", {2, 2}, Ints(4));
  });
  rejected({"b.npy", "5 channels", "transpose"}, [](const Arrays& a) {
    write_floats(a.in / "train/b.npy", {2, 3, 4, 5}, Reals(120));
  });
  rejected({"b.npy", "[N,D]"}, [](const Arrays& a) { write_floats(a.in / "train/b.npy", {2}, Reals(2)); });
  rejected({"b.npy", "values from 0 to 200", "0 to 1", "range"}, [](const Arrays& a) {
    write_floats(a.in / "train/b.npy", {2, 1, 2}, {0, 200, 1, 1});
  });
  rejected({"b.mask.npy", "[3]", "[2]"},
           [](const Arrays& a) { write_ints(a.in / "train/b.mask.npy", {3}, Ints(3)); });
  rejected({"labels.npy", "[2,1]"}, [](const Arrays& a) {
    write_ints(a.in / "train/labels.npy", {2, 1}, Ints(2));
  });
  rejected({"labels.npy", "integers"},
           [](const Arrays& a) { write_floats(a.in / "train/labels.npy", {2}, Reals(2)); });
  rejected({"sample 1 is of class -2"}, [](const Arrays& a) {
    write_ints(a.in / "train/labels.npy", {2}, {0, -2});
  });
  rejected({"test", "other .npy files"}, [](const Arrays& a) {
    write_floats(a.in / "test/a.npy", {2, 2}, Reals(4));
  });
  rejected({"test/b.npy", "[1,3]", "[2]"}, [](const Arrays& a) {
    write_floats(a.in / "test/a.npy", {1, 2}, Reals(2));
    write_floats(a.in / "test/b.npy", {1, 3}, Reals(3));
  });
  rejected({"c d.npy", "letters"}, [](const Arrays& a) {
    write_floats(a.in / "train/c d.npy", {2, 2}, Reals(4));
  });
  rejected({"empty.npy", "holds nothing"}, [](const Arrays& a) {
    write_floats(a.in / "train/empty.npy", {0, 2}, Reals());
  });
}

TEST_CASE("import npy: mistakes in the spec and in the options") {
  const auto rejected = [](const std::string& spec, std::initializer_list<std::string> words) {
    const Arrays a;
    write_floats(a.in / "train/a.npy", {2, 2}, {1, 2, 3, 4});
    write_bytes(a.in / "modalities.json", spec);
    a.check_rejected(ErrorKind::data, words);
  };
  rejected("{", {"modalities.json", "JSON"});
  rejected("{}", {"modalities", "missing"});
  rejected(R"({"modalities": []})", {"modalities", "0, expected 1"});
  rejected(R"({"modalities": [{"name": "z"}]})", {"z.npy", "no such file"});
  rejected(R"({"modalities": [{"name": "../a"}]})", {"modalities[0].name", "letters"});
  rejected(R"({"modalities": [{"name": "a", "kind": "vektor"}]})", {"modalities[0].kind", "vektor"});
  rejected(R"({"modalities": [{"name": "a", "kind": "vector", "shape": [2]}]})",
           {"modalities[0].shape", "unknown"});
  rejected(R"({"modalities": [{"name": "a", "kind": "tokens", "categories": 3}]})", {"a.npy", "integers"});
  rejected(R"({"modalities": [{"name": "a", "kind": "image"}]})", {"[2]", "3 extents"});
  rejected(R"({"modalities": [{"name": "a", "kind": "vector", "range": [0, 3]}]})",
           {"a.npy", "1 to 4", "0 to 3"});

  const Arrays a;
  a.check_rejected(ErrorKind::data, {"train", "no such folder"});
  fs::create_directories(a.in / "train");
  a.check_rejected(ErrorKind::data, {"no .npy files"});
  write_floats(a.in / "train/a.npy", {2, 2}, {1, 2, 3, 4});
  NpyImport options;
  for (double fraction : {-0.1, 1.0, 0.9, static_cast<double>(kNan)}) {
    options.test_fraction = fraction;
    a.check_rejected(ErrorKind::usage, {"test fraction"}, options);
  }
  write_floats(a.in / "test/a.npy", {2, 2}, {1, 2, 3, 4});
  options.test_fraction = 0.5;
  a.check_rejected(ErrorKind::usage, {"has a test folder"}, options);
}

TEST_CASE("import digits: the three modalities in MHD's order with their constants") {
  Digits digits;
  digits.train.image.assign(2 * kDigitImage, 0.25F);
  digits.train.sound.assign(2 * kDigitSound, 0.5F);
  digits.train.trajectory.assign(2 * kTrajectory, 0.75F);
  digits.train.label = {0, 7};
  digits.trajectory_range = {-1, 29};
  digits.sound_range = {-80, 12};
  const TempFolder folder;
  write_digits(digits, folder / "d", 42);
  const Store store = Store::open(folder / "d");
  const Description& d = store.description();
  REQUIRE(d.modalities.size() == 3);
  CHECK(d.modalities[0].name == "image");
  CHECK(d.modalities[1].shape == Shape{32, 128});
  CHECK(d.modalities[1].original_range == ValueRange{-80, 12});
  CHECK(d.modalities[1].audio == AudioFrontEnd{16000, 2048, 512});
  CHECK(d.modalities[2].pen_path);
  CHECK(d.modalities[2].original_range == ValueRange{-1, 29});
  CHECK(d.provenance.seed == 42);
  CHECK(to_vector(store.split("train").labels()) == Ints{0, 7});
  CHECK_FALSE(store.has_split("test"));
  Reals values(200);
  store.split("train").gather(2, Ints{1}, values);
  CHECK(values == Reals(200, 0.75F));
}
