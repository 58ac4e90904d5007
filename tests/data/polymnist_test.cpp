// PolyMNIST made anew from MNIST and backgrounds, and read from the folders it is distributed in.
#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "data/formats/image_io.h"
#include "data/importers/import.h"
#include "data/store/store.h"
#include "tests/data/mnist_fixture.h"

using namespace mld;
using namespace mld::data;
using namespace mld::test;

namespace {

Ints to_vector(std::span<const std::int32_t> values) { return {values.begin(), values.end()}; }

// Image i: 128, which is not ink yet, but for one pixel of 129 in row i, column 3.
Bytes marked_images(std::uint8_t count) {
  Bytes values(std::size_t{count} * 784, 128);
  for (std::size_t i = 0; i < count; ++i) values[i * 784 + i * 28 + 3] = 129;
  return idx({count, 28, 28}, values);
}

// Red tells the row of a pixel, green the column, blue the picture.
Picture ruler(std::int64_t height, std::int64_t width, std::uint8_t blue) {
  Picture picture{{height, width, 3}, {}};
  for (std::int64_t row = 0; row < height; ++row)
    for (std::int64_t column = 0; column < width; ++column)
      for (const std::int64_t v : {row, column, std::int64_t{blue}})
        picture.bytes.push_back(static_cast<std::uint8_t>(v));
  return picture;
}

struct Maker {
  TempFolder folder;
  fs::path mnist = folder / "mnist", backgrounds = folder / "backgrounds", out = folder / "out";
  Bytes train{0, 1, 1, 0, 1, 9, 1}, test{1, 0};

  Maker() {
    write_bytes(mnist / "train-images-idx3-ubyte", marked_images(7));
    write_bytes(mnist / "train-labels-idx1-ubyte", idx({7}, train));
    write_bytes(mnist / "t10k-images-idx3-ubyte", marked_images(2));
    write_bytes(mnist / "t10k-labels-idx1-ubyte", idx({2}, test));
    fs::create_directories(backgrounds);
    write_png(backgrounds / "b.png", ruler(60, 40, 20));
    write_png(backgrounds / "a.png", ruler(29, 90, 10));
  }
  std::vector<std::string> make(std::uint64_t seed, int modalities) const {
    fs::remove_all(out);
    return make_polymnist(mnist, backgrounds, out, {.seed = seed, .modalities = modalities});
  }
};

std::vector<int> item_bytes(const Split& split, int modality, std::int32_t item) {
  Reals values(28 * 28 * 3);
  split.gather(modality, Ints{item}, values);
  std::vector<int> bytes;
  for (const float v : values) bytes.push_back(static_cast<int>(std::lround(v * 255)));
  return bytes;
}

struct Piece {
  int top, left, blue, source;
};

// Where a picture of the maker was cut from, and which image of MNIST it shows. Every pixel is checked.
Piece recognise(const std::vector<int>& bytes) {
  Piece piece{bytes[0], bytes[1], bytes[2], -1};
  for (int row = 0; row < 28; ++row)
    for (int column = 0; column < 28; ++column) {
      const std::size_t at = static_cast<std::size_t>(row * 28 + column) * 3;
      const bool ink = bytes[at + 2] != piece.blue;
      if (ink) {
        CHECK(piece.source == -1);
        CHECK(column == 3);
        piece.source = row;
      }
      const auto shown = [&](std::size_t c) { return ink ? 255 - bytes[at + c] : bytes[at + c]; };
      REQUIRE(shown(0) == piece.top + row);
      REQUIRE(shown(1) == piece.left + column);
      REQUIRE(shown(2) == piece.blue);
    }
  return piece;
}

}  // namespace

TEST_CASE("make polymnist: every digit once in every style, on a piece of that style's picture") {
  if (!have_png()) return;
  const Maker maker;
  const auto notes = maker.make(1, 3);
  CHECK(mentions(notes, "m2: a procedural texture is the background, as there are 2 pictures"));
  const Store store = Store::open(maker.out);
  store.validate();
  CHECK(store.num_modalities() == 3);
  CHECK(store.modality(0).shape == Shape{28, 28, 3});
  CHECK(store.description().provenance.sources.size() == 6);
  const Split& train = store.split("train");
  CHECK(to_vector(train.labels()) == Ints{0, 1, 9, 0, 1, 1, 1});
  std::set<int> lefts;
  for (int m = 0; m < 2; ++m) {
    std::set<int> sources;
    for (std::int32_t s = 0; s < 7; ++s) {
      CHECK(train.item(s, m) == s);
      const Piece piece = recognise(item_bytes(train, m, s));
      CHECK(piece.blue == (m == 0 ? 10 : 20));
      REQUIRE(piece.source >= 0);
      CHECK(maker.train[static_cast<std::size_t>(piece.source)] ==
            train.labels()[static_cast<std::size_t>(s)]);
      sources.insert(piece.source);
      CHECK(piece.top >= 0);
      CHECK(piece.top < (m == 0 ? 1 : 60 - 28));
      CHECK(piece.left < (m == 0 ? 90 - 28 : 40 - 28));
      if (m == 0) lefts.insert(piece.left);
    }
    CHECK(sources.size() == 7);
  }
  CHECK(lefts.size() >= 5);  // of 62 places
  // The texture differs from place to place and covers the range.
  std::set<int> values;
  for (std::int32_t s = 0; s < 7; ++s)
    for (const int v : item_bytes(train, 2, s)) values.insert(v);
  CHECK(values.size() > 150);

  // Over seeds a sample's two digits are not always of the same writing.
  int same = 0, all = 0;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    maker.make(seed, 2);
    const Store again = Store::open(maker.out);
    for (const std::int32_t s : {1, 4, 5, 6}) {
      ++all;
      same += recognise(item_bytes(again.split("train"), 0, s)).source ==
              recognise(item_bytes(again.split("train"), 1, s)).source;
    }
  }
  CHECK(same > 0);
  CHECK(same < all / 2 + 1);
}

TEST_CASE("make polymnist: the same seed makes the same data, on any number of threads; bad input is named") {
  if (!have_png()) return;
  const Maker maker;
  maker.make(5, 2);
  const std::string first = read_bytes(maker.out / "dataset.json");
  maker.make(5, 2);
  CHECK(read_bytes(maker.out / "dataset.json") == first);
  maker.make(6, 2);
  CHECK(read_bytes(maker.out / "dataset.json") != first);
  CHECK(mentions(maker.make(5, 1), "not read: b.png"));
  write_bytes(maker.backgrounds / "0.txt", "");
  CHECK(mentions(maker.make(5, 2), "not read: 0.txt"));
  const auto rejects = [&](ErrorKind kind, std::initializer_list<std::string> words, int modalities = 2) {
    check_error(kind, words, [&] { maker.make(0, modalities); });
    CHECK_FALSE(fs::exists(maker.out));
  };
  rejects(ErrorKind::usage, {"0 modalities"}, 0);
  rejects(ErrorKind::usage, {"65 modalities"}, 65);
  write_png(maker.backgrounds / "b.png", ruler(28, 60, 0));
  rejects(ErrorKind::data, {"b.png", "28 x 60"});
  write_bytes(maker.backgrounds / "b.png", "not a picture");
  rejects(ErrorKind::data, {"b.png"});
}

namespace {

// Samples 0.7, 2.3 and 10.1 in two styles: picture k of modality m is filled with 10 (m + 1) + k.
struct Distributed {
  TempFolder folder;
  fs::path in = folder / "poly", out = folder / "out";

  Distributed() {
    for (const char* split : {"train", "test"})
      for (int m = 0; m < 2; ++m) {
        int k = 0;
        for (const char* name : {"0.7.png", "2.3.png", "10.1.png"}) write(split, m, name, 10 * (m + 1) + k++);
      }
  }
  fs::path path(const std::string& split, int m, const std::string& name) const {
    return in / split / cat("m", m) / name;
  }
  void write(const std::string& split, int m, const std::string& name, int value,
             PictureSize size = {28, 28, 3}) const {
    fs::create_directories(path(split, m, name).parent_path());
    write_png(path(split, m, name),
              Picture{size, Bytes(static_cast<std::size_t>(size.count()), static_cast<std::uint8_t>(value))});
  }
  std::vector<std::string> import(OnBad on_bad = OnBad::fail) const {
    fs::remove_all(out);
    return import_polymnist(in, out, {.on_bad = on_bad});
  }
  void check_rejected(std::initializer_list<std::string> words, OnBad on_bad = OnBad::fail) const {
    check_error(ErrorKind::data, words, [&] { import(on_bad); });
    CHECK_FALSE(fs::exists(out));
  }
};

}  // namespace

TEST_CASE("import polymnist: files of one name are a sample") {
  if (!have_png()) return;
  const Distributed data;
  CHECK(data.import().empty());
  const Store store = Store::open(data.out);
  store.validate();
  const Split& train = store.split("train");
  CHECK(to_vector(train.labels()) == Ints{7, 3, 1});  // in order of the numbers
  for (int m = 0; m < 2; ++m)
    for (std::int32_t s = 0; s < 3; ++s) CHECK(item_bytes(train, m, train.item(s, m))[5] == 10 * (m + 1) + s);
  REQUIRE(store.description().provenance.sources.size() == 4);
  CHECK(store.description().provenance.sources[3].file == "test/m1/*.png (3 files)");
  std::int64_t last = 0, total = 0;
  fs::remove_all(data.out);
  import_polymnist(data.in, data.out,
                   {.progress = [&](const std::string&, std::int64_t done, std::int64_t all) {
                     last = done, total = all;
                   }});
  CHECK(last == 12);
  CHECK(total == 12);
}

TEST_CASE("import polymnist: pictures that cannot be used, as --on-bad says") {
  if (!have_png()) return;
  const Distributed data;
  write_bytes(data.path("train", 1, "2.3.png"), "not a picture");
  data.write("test", 0, "0.7.png", 1, {28, 27, 3});
  data.write("test", 0, "10.1.png", 9, {28, 28, 1});
  data.check_rejected({"2.3.png"});
  const auto skipped = data.import(OnBad::skip);
  CHECK(mentions(skipped, "2 pictures not usable, whose samples are left out"));
  CHECK(mentions(skipped, "1 pictures grey repeated as red, green and blue"));
  {
    const Store store = Store::open(data.out);
    CHECK(to_vector(store.split("train").labels()) == Ints{7, 1});
    CHECK(to_vector(store.split("train").samples()) == Ints{0, 0, 2, 1});
    CHECK(to_vector(store.split("test").labels()) == Ints{3, 1});
    CHECK(item_bytes(store.split("test"), 0, 1) == std::vector<int>(28 * 28 * 3, 9));
  }
  CHECK(mentions(data.import(OnBad::missing), "2 pictures not usable, which their samples lack"));
  const Store store = Store::open(data.out);
  store.validate();
  CHECK(to_vector(store.split("train").samples()) == Ints{0, 0, 1, -1, 2, 1});
  CHECK(to_vector(store.split("train").item_labels(1)) == Ints{7, 1});
  write_bytes(data.path("train", 0, "2.3.png"), "neither");
  data.import(OnBad::missing);
  CHECK(to_vector(Store::open(data.out).split("train").labels()) == Ints{7, 1});
}

TEST_CASE("import polymnist: folders and names that do not fit") {
  if (!have_png()) return;
  const Distributed data;
  for (const char* name :
       {"17.png", "a.3.png", "3.12.png", "-1.3.png", "01.3.png", "1.3.2.png", "1.a.png", ".png"}) {
    if (std::string_view(name) == ".png") continue;  // hidden
    data.write("train", 0, name, 0);
    data.check_rejected({name, "INDEX.DIGIT.png"}, OnBad::skip);
    fs::remove(data.path("train", 0, name));
  }
  data.write("test", 1, "5.5.png", 0);
  data.check_rejected({"m0", "has no '5.5.png'", "m1"}, OnBad::missing);
  fs::remove(data.path("test", 1, "5.5.png"));
  fs::remove(data.path("test", 1, "2.3.png"));
  data.check_rejected({"m1", "has no '2.3.png'", "m0"});
  data.write("test", 1, "2.3.png", 0);
  data.write("test", 2, "2.3.png", 0);
  data.check_rejected({"m2", "has no '0.7.png'"});
  fs::remove_all(data.in / "test" / "m2");
  for (const char* name : {"0.7.png", "2.3.png", "10.1.png"}) data.write("test", 2, name, 0);
  data.check_rejected({"train has 2 modalities and test has 3"});
  fs::remove_all(data.in / "test" / "m2");
  write_bytes(data.path("train", 0, "Thumbs.db"), "");
  CHECK(mentions(data.import(), "not read: Thumbs.db"));
  fs::remove_all(data.in / "test");
  data.check_rejected({"test", "no such folder"});
  fs::create_directories(data.in / "test" / "m0");
  data.check_rejected({"test", "no pictures"});
}
