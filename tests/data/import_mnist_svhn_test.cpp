// MNIST and SVHN as outside files into a store: what is paired, what is held out, and every way to be wrong.
#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "data/formats/gzip.h"
#include "data/importers/import.h"
#include "data/store/store.h"
#include "tests/data/arrays_fixture.h"
#include "tests/data/files.h"
#include "tests/data/fixtures.h"
#include "tests/data/mnist_fixture.h"

using namespace mld;
using namespace mld::data;
using namespace mld::test;

namespace {

Ints to_vector(std::span<const std::int32_t> values) { return {values.begin(), values.end()}; }

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
  void import(const MnistSvhnImport& options = {}) const { import_mnist_svhn(mnist, svhn, out, options); }
};

void append(Bytes& bytes, std::initializer_list<std::uint32_t> words) {
  for (std::uint32_t word : words)
    for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<std::uint8_t>(word >> shift));
}

// One array of bytes of a MATLAB file.
void append_array(Bytes& file, char name, std::initializer_list<std::uint32_t> extents, Bytes values) {
  const auto data = static_cast<std::uint32_t>(values.size());
  values.resize((values.size() + 7) / 8 * 8);
  const auto dims = static_cast<std::uint32_t>(4 * extents.size());
  append(file, {14, 16 + 8 + dims + 8 + 8 + static_cast<std::uint32_t>(values.size()), 6, 8, 9, 0, 5, dims});
  append(file, extents);
  append(file, {1 | 1 << 16, static_cast<std::uint32_t>(name), 2, data});
  file.insert(file.end(), values.begin(), values.end());
}

// Crops of these classes, crop i filled with the byte 100 + i.
Bytes svhn_file(const Bytes& classes) {
  Bytes file(128, ' '), images, labels;
  file[124] = 0;
  file[125] = 1;
  file[126] = 'I';
  file[127] = 'M';
  for (std::size_t i = 0; i < classes.size(); ++i) {
    images.insert(images.end(), 32 * 32 * 3, static_cast<std::uint8_t>(100 + i));
    labels.push_back(classes[i] == 0 ? 10 : classes[i]);
  }
  const auto count = static_cast<std::uint32_t>(classes.size());
  append_array(file, 'X', {32, 32, 3, count}, images);
  append_array(file, 'y', {count, 1}, labels);
  return file;
}

// 12 crops of the classes 1, 2 and 3 from six photographs, and 14 digits.
struct HeldOut : Sources {
  std::vector<std::uint16_t> photos{7, 7, 8, 9, 9, 9, 10, 10, 11, 11, 12, 12};

  HeldOut() {
    write_bytes(mnist / "train-images-idx3-ubyte", mnist_images(14));
    write_bytes(mnist / "train-labels-idx1-ubyte", idx({14}, {1, 2, 1, 0, 1, 3, 2, 1, 2, 3, 1, 1, 3, 2}));
    write_bytes(mnist / "t10k-labels.idx1-ubyte", idx({2}, {3, 1}));
    write_bytes(svhn / "train_32x32.mat", svhn_file({1, 2, 3, 2, 1, 1, 2, 1, 3, 2, 1, 3}));
    write_bytes(svhn / "test_32x32.mat", svhn_file({3, 1, 1}));
  }
  fs::path photo_file(const std::vector<std::uint16_t>& numbers) const {
    const fs::path path = folder / "photos.npy";
    write_npy(path, {'u', 2}, {std::ssize(numbers)}, numbers);
    return path;
  }
  std::vector<std::string> import(std::int64_t valid, const fs::path& photo_path = {}) const {
    fs::remove_all(out);
    return import_mnist_svhn(mnist, svhn, out, {.repetitions = 3, .valid = valid, .photos = photo_path});
  }
};

// The byte that each item of a split is filled with.
Ints bytes_of(const Split& split, int modality) {
  Ints found;
  Reals values(modality == 0 ? 28 * 28 : 32 * 32 * 3);
  for (std::int32_t i = 0; i < split.num_items(modality); ++i) {
    split.gather(modality, Ints{i}, values);
    CHECK(std::set<float>(values.begin(), values.end()).size() == 1);
    found.push_back(static_cast<std::int32_t>(std::lround(values[0] * 255)));
  }
  return found;
}

}  // namespace

TEST_CASE("import mnist-svhn: all items are kept, pairs use the first n of each class") {
  const Sources sources;
  sources.import({.seed = 5});
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
  a.import({.seed = 1, .repetitions = 3});
  b.import({.seed = 1, .repetitions = 3});
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

TEST_CASE("import mnist-svhn: the last crops and as many of the last digits become a split of their own") {
  const HeldOut sources;
  const std::vector<std::string> notes = sources.import(4);
  CHECK(mentions(notes, "train and valid may share photographs"));
  const Store store = Store::open(sources.out);
  store.validate();
  REQUIRE(store.splits().size() == 3);
  const Split &train = store.split("train"), &valid = store.split("valid");
  // The crops are 3, 2, 1, 3: of class 3 two digits leave, of the others one, the last ones of each.
  CHECK(bytes_of(valid, 1) == Ints{108, 109, 110, 111});
  CHECK(to_vector(valid.item_labels(1)) == Ints{3, 2, 1, 3});
  CHECK(bytes_of(valid, 0) == Ints{19, 21, 22, 23});
  CHECK(to_vector(valid.item_labels(0)) == Ints{3, 1, 3, 2});
  CHECK(bytes_of(train, 1) == Ints{100, 101, 102, 103, 104, 105, 106, 107});
  CHECK(bytes_of(train, 0) == Ints{10, 11, 12, 13, 14, 15, 16, 17, 18, 20});
  CHECK(to_vector(train.item_labels(0)) == Ints{1, 2, 1, 0, 1, 3, 2, 1, 2, 1});
  CHECK(valid.num_distinct() == 4);  // every item is paired
  CHECK(valid.num_samples() == 12);
  for (std::int64_t row = 0; row < valid.num_samples(); ++row)
    for (const int modality : {0, 1})
      CHECK(valid.item_labels(modality)[static_cast<std::size_t>(valid.item(row, modality))] ==
            valid.labels()[static_cast<std::size_t>(row)]);
}

TEST_CASE("import mnist-svhn: no photograph is cut in two, wherever its crops lie") {
  HeldOut sources;
  const auto held_out = [&](std::int64_t valid) {
    const auto notes = sources.import(valid, sources.photo_file(sources.photos));
    CHECK_FALSE(mentions(notes, "may share"));
    const Store store = Store::open(sources.out);
    CHECK(store.description().provenance.sources.back().file == "photos.npy");
    const auto crops = store.split("valid").num_items(1);
    CHECK(mentions(notes, "more than asked for") == (crops != valid));
    CHECK(store.split("train").num_items(1) + crops == 12);
    return crops;
  };
  CHECK(held_out(4) == 4);
  CHECK(held_out(3) == 4);
  CHECK(held_out(7) == 9);
  sources.photos.insert(sources.photos.end(), {20, 20, 21});  // of the test file
  CHECK(held_out(5) == 6);
  sources.photos = {7, 7, 8, 10, 9, 9, 10, 10, 11, 11, 12, 12};  // photograph 10 begins at crop 3
  CHECK(held_out(6) == 9);
}

TEST_CASE("import mnist-svhn: a hold-out leaves the other pairs as they are") {
  const HeldOut sources;
  sources.import(0);
  const std::string test = read_bytes(sources.out / "test/samples.npy");
  CHECK_FALSE(Store::open(sources.out).has_split("valid"));
  sources.import(4);
  CHECK(read_bytes(sources.out / "test/samples.npy") == test);
  const std::string train = read_bytes(sources.out / "train/samples.npy");
  // The same files without what was held out.
  write_bytes(sources.mnist / "train-images-idx3-ubyte", mnist_images(10));
  write_bytes(sources.mnist / "train-labels-idx1-ubyte", idx({10}, {1, 2, 1, 0, 1, 3, 2, 1, 2, 1}));
  write_bytes(sources.svhn / "train_32x32.mat", svhn_file({1, 2, 3, 2, 1, 1, 2, 1}));
  sources.import(0);
  CHECK(read_bytes(sources.out / "train/samples.npy") == train);
}

TEST_CASE("import mnist-svhn: what cannot be held out is said, and nothing is written") {
  HeldOut sources;
  const auto rejected = [&](ErrorKind kind, std::initializer_list<std::string> words, std::int64_t valid,
                            const fs::path& photos = {}) {
    check_error(kind, words, [&] { sources.import(valid, photos); });
    CHECK_FALSE(fs::exists(sources.out));
  };
  rejected(ErrorKind::usage, {"12 held-out crops", "1 to 11", "train_32x32.mat has 12"}, 12);
  rejected(ErrorKind::usage, {"-1 held-out crops"}, -1);
  rejected(ErrorKind::usage,
           {"last 11 of 12 crops, 4 of class 2", "there are 4 crops and 4 MNIST", "hold out fewer"}, 11);
  rejected(ErrorKind::usage, {"photographs are only"}, 0, sources.photo_file(sources.photos));
  rejected(ErrorKind::data, {"photos.npy", "[11]", "[12]", "[15]"}, 4,
           sources.photo_file(std::vector<std::uint16_t>(11)));
  rejected(ErrorKind::usage, {"photos.npy", "leave no crop"}, 4,
           sources.photo_file(std::vector<std::uint16_t>(12, 3)));
  const fs::path floats = sources.folder / "floats.npy";
  write_floats(floats, {12}, Reals(12));
  rejected(ErrorKind::data, {"floats.npy", "<f4", "integers"}, 4, floats);
  rejected(ErrorKind::data, {"nowhere.npy", "no such file"}, 4, sources.folder / "nowhere.npy");
}
