#include "data/importers/import.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "data/digits/digits.h"
#include "data/formats/gzip.h"
#include "data/store/store.h"
#include "tests/data/arrays_fixture.h"
#include "tests/data/files.h"
#include "tests/data/fixtures.h"

using namespace mld;
using namespace mld::data;
using namespace mld::test;

namespace {

const float kNan = std::nanf("");

Ints to_vector(std::span<const std::int32_t> values) { return {values.begin(), values.end()}; }

// --- MNIST-SVHN --------------------------------------------------------------------------------------------

Bytes idx(std::initializer_list<std::uint8_t> extents, const Bytes& values) {
  Bytes bytes{0, 0, 8, static_cast<std::uint8_t>(extents.size())};
  for (std::uint8_t extent : extents) bytes.insert(bytes.end(), {0, 0, 0, extent});
  bytes.insert(bytes.end(), values.begin(), values.end());
  return bytes;
}

// Image i is filled with the byte 10 + i.
Bytes mnist_images(std::uint8_t count) {
  Bytes values;
  for (std::uint8_t i = 0; i < count; ++i)
    values.insert(values.end(), 28 * 28, static_cast<std::uint8_t>(10 + i));
  return idx({count, 28, 28}, values);
}

struct Sources {
  TempFolder folder;
  fs::path mnist = folder / "mnist", svhn = folder / "svhn", out = folder / "out";

  Sources() {
    write_bytes(mnist / "train-images-idx3-ubyte", mnist_images(6));
    write_bytes(mnist / "train-labels-idx1-ubyte", idx({6}, {3, 0, 0, 5, 3, 3}));
    write_bytes(mnist / "t10k-images.idx3-ubyte", mnist_images(2));
    write_bytes(mnist / "t10k-labels.idx1-ubyte", idx({2}, {3, 0}));
    write_bytes(svhn / "train_32x32.mat", kMatSvhn);  // labels 0, 3
    write_bytes(svhn / "test_32x32.mat", kMatSvhn);
  }
  void import(std::uint64_t seed = 0, std::int64_t repetitions = 20) const {
    import_mnist_svhn(mnist, svhn, out, seed, repetitions);
  }
};

}  // namespace

TEST_CASE("import mnist-svhn: all items are kept, pairs use the first n of each class") {
  const Sources sources;
  sources.import(5);
  const Store store = Store::open(sources.out);
  store.validate();
  const Description& d = store.description();
  CHECK(d.classes == 10);
  CHECK(d.modalities[0].name == "mnist");
  CHECK(d.modalities[1].name == "svhn");
  CHECK(d.modalities[1].shape == Shape{32, 32, 3});
  CHECK(d.provenance.seed == 5);
  REQUIRE(d.provenance.sources.size() == 6);
  CHECK(d.provenance.sources[2].file == "train_32x32.mat");
  CHECK(d.provenance.sources[2].bytes == static_cast<std::int64_t>(kMatSvhn.size()));

  const Split& train = store.split("train");
  CHECK(train.num_items(0) == 6);
  CHECK(train.num_items(1) == 2);
  CHECK(to_vector(train.item_labels(0)) == Ints{3, 0, 0, 5, 3, 3});
  CHECK(to_vector(train.item_labels(1)) == Ints{0, 3});
  CHECK(train.num_samples() == 40);
  CHECK(train.num_distinct() == 2);
  for (std::size_t r = 0; r < 20; ++r) {  // class 0: first MNIST zero is item 1; class 3: item 0
    const auto rows = train.samples().subspan(4 * r, 4);
    CHECK(to_vector(rows) == Ints{1, 0, 0, 1});
  }
  Reals image(28 * 28), crop(32 * 32 * 3);
  train.gather(0, Ints{4}, image);
  CHECK(image[100] == 14.0F / 255.0F);
  train.gather(1, Ints{1}, crop);
  CHECK(crop[(5 * 32 + 17) * 3 + 2] == static_cast<float>((4 * 5 + 17 / 8 + 40 * 2 + 100) % 256) / 255.0F);
  CHECK(store.split("test").num_samples() == 40);
}

TEST_CASE("import mnist-svhn: the seed decides, and the number of repetitions is configurable") {
  const Sources a, b;
  a.import(1, 3);
  b.import(1, 3);
  CHECK(read_bytes(a.out / "train/samples.npy") == read_bytes(b.out / "train/samples.npy"));
  CHECK(Store::open(a.out).split("train").num_samples() == 6);
}

TEST_CASE("import mnist-svhn: bad sources leave nothing behind") {
  const auto rejected = [](ErrorKind kind, std::initializer_list<std::string> words, auto change) {
    const Sources sources;
    change(sources);
    check_error(kind, words, [&] { sources.import(); });
    std::size_t entries = 0;
    for ([[maybe_unused]] const auto& entry : fs::directory_iterator(sources.folder.path())) ++entries;
    CHECK(entries == 2);  // the two inputs
  };
  rejected(ErrorKind::data, {"train-images-idx3-ubyte"},
           [](const Sources& s) { fs::remove(s.mnist / "train-images-idx3-ubyte"); });
  rejected(ErrorKind::data, {"test_32x32.mat", "no such file"},
           [](const Sources& s) { fs::remove(s.svhn / "test_32x32.mat"); });
  rejected(ErrorKind::data, {"train-labels", "[5]", "[6]"},
           [](const Sources& s) { write_bytes(s.mnist / "train-labels-idx1-ubyte", idx({5}, Bytes(5))); });
  rejected(ErrorKind::data, {"train-labels", "label 2 is 10"}, [](const Sources& s) {
    write_bytes(s.mnist / "train-labels-idx1-ubyte", idx({6}, {0, 1, 10, 3, 4, 5}));
  });
  rejected(ErrorKind::data, {"train-images", "[N,28,28]"}, [](const Sources& s) {
    write_bytes(s.mnist / "train-images-idx3-ubyte", idx({6, 2, 2}, Bytes(24)));
  });
  rejected(ErrorKind::data, {"no class in common"},
           [](const Sources& s) { write_bytes(s.mnist / "train-labels-idx1-ubyte", idx({6}, Bytes(6, 9))); });
}

TEST_CASE("import mnist-svhn: SVHN labels out of range and crops of another size") {
  Bytes file = gunzip(kIdxGzip, 1000, "f");
  check_error(ErrorKind::data, {"crops.mat"}, [&] { parse_svhn(file, "crops.mat"); });
  check_error(ErrorKind::data, {"no numeric array 'X'"}, [] { parse_svhn(kMatPacked, "crops.mat"); });
}

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
