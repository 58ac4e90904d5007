// Samples as files: what a user gives comes back as it was written, whatever range a modality's values have.
#include "mld/modality/sample_io.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>

#include "data/audio/audio.h"
#include "data/audio/wav.h"
#include "data/formats/image_io.h"
#include "data/formats/npy.h"
#include "data/store/store_writer.h"
#include "mld/modality/sample_writer.h"
#include "tests/expect_error.h"
#include "tests/temp_folder.h"

namespace mld {
namespace {

namespace fs = std::filesystem;
using test::check_error;

data::Modality picture(const std::string& name, data::ValueRange range) {
  data::Modality info;
  info.name = name;
  info.kind = data::ModalityKind::image;
  info.shape = {5, 4, 1};
  info.range = range;
  return info;
}

data::Modality sound(data::ValueRange range) {
  data::Modality info;
  info.name = "sound";
  info.kind = data::ModalityKind::spectrogram;
  info.shape = {32, data::kMelBands};
  info.range = range;
  info.original_range = data::ValueRange{-100, 20};
  info.audio = data::AudioFrontEnd{data::kSampleRate, data::kFrameLength, data::kHop};
  return info;
}

std::vector<float> ramp(std::size_t n, data::ValueRange range) {
  std::vector<float> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = range.from_unit(static_cast<float>(i % 20) / 19);
  return values;
}

struct Set {
  data::Modality info;
  std::vector<float> values;
  bool given = false;
};

// Written `at_once` samples at a time.
std::vector<std::string> write(const fs::path& folder, const std::vector<Set>& sets, std::int64_t n,
                               std::int64_t singles = 1, std::int64_t at_once = 1000) {
  fs::create_directories(folder);
  std::vector<SampleSet> described;
  for (const Set& set : sets) described.push_back({set.info, set.given});
  SampleWriter writer(folder, described, n, {.singles = singles});
  for (std::int64_t first = 0; first < n; first += at_once) {
    const std::int64_t count = std::min(at_once, n - first);
    std::map<std::string, std::vector<float>> samples;
    for (const Set& set : sets) {
      const auto from = set.values.begin() + first * set.info.shape.numel();
      samples[set.info.name].assign(from, from + count * set.info.shape.numel());
    }
    writer.add(first, count, samples);
  }
  return writer.finish();
}

constexpr data::ValueRange kUnit{0, 1}, kSigned{-1, 1};

}  // namespace

TEST_CASE("a picture of values in [-1, 1] is the picture of the same values in [0, 1]") {
  const test::TempFolder folder;
  for (const data::ValueRange range : {kUnit, kSigned}) {
    const std::string name = range == kUnit ? "unit" : "signed";
    const Set set{.info = picture("image", range), .values = ramp(2 * 20, range)};
    const auto files = write(folder / name, {set}, 2);
    CHECK(files == std::vector<std::string>{"image.npy", "image/0000.png", "grid.png"});

    if (data::have_png()) {
      const auto back = read_samples(set.info, folder / name / "image/0000.png", {});
      REQUIRE(back.size() == 20);
      const float rounding = 0.51F / 255 * (range.max - range.min);
      for (std::size_t i = 0; i < back.size(); ++i) CHECK(std::abs(back[i] - set.values[i]) < rounding);
    }
    CHECK(read_samples(set.info, folder / name / "image.npy", {}) == set.values);
  }
  CHECK(test::read_bytes(folder / "unit/image/0000.png") ==
        test::read_bytes(folder / "signed/image/0000.png"));
  CHECK(test::read_bytes(folder / "unit/grid.png") == test::read_bytes(folder / "signed/grid.png"));
}

TEST_CASE("texts are samples of tokens, and samples of tokens with words are texts") {
  const test::TempFolder folder;
  data::Modality info;
  info.name = "caption";
  info.kind = data::ModalityKind::tokens;
  info.shape = {4};
  info.dtype = DType::i32;
  info.categories = 6;
  const std::vector<std::string> words{"<exc>", "<pad>", "<eos>", "red", "bird", "Owl"};
  const SampleRows rows =
      texts_as_samples(info, std::vector<std::string>{"A Red bird, ?", "red", "Owl owl Red bird"}, words);
  REQUIRE(rows.count == 3);
  CHECK(rows.read(0, 3) == std::vector<float>{0, 3, 4, 2, 3, 2, 1, 1, 5, 0, 3, 2});
  CHECK(rows.read(1, 1) == std::vector<float>{3, 2, 1, 1});
  REQUIRE(rows.done.size() == 2);
  CHECK(rows.done[1] == "2 texts cut to 3 words");
  CHECK(rows.done[0] == "words that are not known: A, owl");  // the comma and what follows were cut off
  CHECK(texts_as_samples(info, std::vector<std::string>{"bird"}, words).done.empty());
  CHECK(test::contains(test::error_of(ErrorKind::data,
                                      [&] {
                                        texts_as_samples(info, std::vector<std::string>{"a"}, {"a", "b"});
                                      }),
                       "token 0 is 'a', expected '<exc>'"));

  SampleWriter writer(folder.path(), {{info, false, words}}, 3, {});
  writer.add(0, 1, {{"caption", {0, 3, 4, 2}}});
  writer.add(1, 2, {{"caption", {3, 2, 4, 4, 1, 1, 1, 1}}});
  CHECK(writer.finish() == std::vector<std::string>{"caption.npy", "caption.txt"});
  CHECK(test::read_bytes(folder / "caption.txt") == "red bird\nred\n\n");

  // Beside pictures they stand in the grid.
  if (!data::have_png()) return;
  SampleWriter both(folder.path(), {{picture("image", kUnit)}, {info, false, words}}, 1, {.singles = 0});
  both.add(0, 1, {{"image", std::vector<float>(20, 0.5F)}, {"caption", {4, 2, 1, 1}}});
  CHECK(both.finish() == std::vector<std::string>{"image.npy", "caption.npy", "caption.txt", "grid.png"});
  const data::Picture grid = data::read_picture(folder / "grid.png");
  const data::Tile text{data::TileKind::text, {}, {}, "bird"};
  const std::vector<float> grey(20, 0.5F);
  CHECK(grid.bytes ==
        data::compose_grid(std::array{sample_tile(picture("image", kUnit), grey), text}, 2, 1).bytes);
}

TEST_CASE("a sound of values in [-1, 1] is heard, and read back, as that of the same values in [0, 1]") {
  if (!data::have_sndfile()) return;
  const test::TempFolder folder;
  std::vector<float> read[2];
  for (const data::ValueRange range : {kUnit, kSigned}) {
    const std::string name = range == kUnit ? "unit" : "signed";
    const Set set{.info = sound(range), .values = ramp(32 * data::kMelBands, range)};
    write(folder / name, {set}, 1);
    auto& back = read[range == kUnit ? 0 : 1];
    back = read_samples(set.info, folder / name / "sound/0000.wav", {.resample_audio = true});
    for (float& v : back) v = range.to_unit(v);
  }
  CHECK(test::read_bytes(folder / "unit/sound/0000.wav") ==
        test::read_bytes(folder / "signed/sound/0000.wav"));
  REQUIRE(read[0].size() == read[1].size());
  for (std::size_t i = 0; i < read[0].size(); ++i)
    CHECK(read[0][i] == doctest::Approx(read[1][i]).epsilon(1e-6));
}

TEST_CASE("conditions come first in the grid and get no pictures of their own") {
  const test::TempFolder folder;
  const Set black{.info = picture("drawn", kUnit), .values = std::vector<float>(20, 0.0F)};
  const Set white{.info = picture("given", kUnit), .values = std::vector<float>(20, 1.0F), .given = true};
  const auto files = write(folder / "out", {black, white}, 1);
  CHECK(files == std::vector<std::string>{"drawn.npy", "drawn/0000.png", "given.npy", "grid.png"});
  if (!data::have_png()) return;
  const data::Picture grid = data::read_picture(folder / "out/grid.png");
  const auto middle = [&](std::int64_t row) {
    const std::int64_t y = grid.size.height * (2 * row + 1) / 4, x = grid.size.width / 2;
    return grid.bytes[static_cast<std::size_t>((y * grid.size.width + x) * grid.size.channels)];
  };
  CHECK(middle(0) == 255);
  CHECK(middle(1) == 0);
}

TEST_CASE("samples written in pieces are the files of samples written at once") {
  const test::TempFolder folder;
  data::Modality words;
  words.name = "words";
  words.kind = data::ModalityKind::tokens;
  words.shape = {3};
  words.dtype = DType::i32;
  words.categories = 20;
  const std::int64_t n = 70;  // more than a grid shows
  std::vector<float> tokens(n * 3);
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<float>(i % 20);
  const std::vector<Set> sets{{picture("image", kUnit), ramp(n * 20, kUnit)},
                              {words, tokens},
                              {picture("given", kSigned), ramp(n * 20, kSigned), true}};
  const auto files = write(folder / "whole", sets, n, 3);
  CHECK(files == std::vector<std::string>{"image.npy", "image/0000.png", "image/0001.png", "image/0002.png",
                                          "words.npy", "given.npy", "grid.png"});
  for (const std::int64_t at_once : {1, 2, 64, 69}) {
    const fs::path other = folder / std::to_string(at_once);
    CHECK(write(other, sets, n, 3, at_once) == files);
    for (const std::string& file : files)
      CHECK(test::read_bytes(other / file) == test::read_bytes(folder / "whole" / file));
  }
  const data::NpyArray array(folder / "whole/words.npy");
  CHECK(array.type() == data::npy_type(DType::i32));
  CHECK(array.shape() == Shape{n, 3});
  CHECK(read_samples(words, folder / "whole/words.npy", {}) == tokens);
}

TEST_CASE("files that do not hold samples of the modality") {
  const test::TempFolder folder;
  const data::Modality info = picture("image", kUnit);
  const auto stored = [&](const std::vector<float>& values, const Shape& shape) {
    std::ofstream out(folder / "x.npy", std::ios::binary);
    out << data::npy_header(data::npy_type(DType::f32), shape);
    out.write(reinterpret_cast<const char*>(values.data()),
              static_cast<std::streamsize>(values.size() * sizeof(float)));
  };
  const auto refused = [&](std::initializer_list<std::string> parts) {
    check_error(ErrorKind::data, parts, [&] { read_samples(info, folder / "x.npy", {}); });
  };
  stored(std::vector<float>(60), {3, 5, 4});  // a stack without the last axis
  CHECK(read_samples(info, folder / "x.npy", {}).size() == 60);
  stored(std::vector<float>(20), {4, 5});
  refused({"x.npy", "[4,5]", "'image'", "[5,4,1]"});
  std::vector<float> values(20);
  values[7] = std::numeric_limits<float>::quiet_NaN();
  stored(values, {5, 4});
  refused({"x.npy", "not finite"});
  check_error(ErrorKind::usage, {"x.txt", ".npy, .png"}, [&] { read_samples(info, folder / "x.txt", {}); });
}

TEST_CASE("arrays of another scale or type are no conditions") {
  const test::TempFolder folder;
  const auto stored = [&]<class T>(data::NpyType type, const std::vector<T>& values, const Shape& shape) {
    std::ofstream out(folder / "x.npy", std::ios::binary);
    out << data::npy_header(type, shape);
    out.write(reinterpret_cast<const char*>(values.data()),
              static_cast<std::streamsize>(values.size() * sizeof(T)));
  };
  data::Modality info = picture("image", kUnit);
  const auto refused = [&](std::initializer_list<std::string> parts) {
    check_error(ErrorKind::data, parts, [&] { open_samples(info, folder / "x.npy", {}); });
  };
  const auto accepted = [&] { return read_samples(info, folder / "x.npy", {}); };
  const auto spread = []<class T>(T low, T high, std::size_t n) {
    std::vector<T> values(n, low);
    values.back() = high;
    return values;
  };
  const Shape one{5, 4}, two{2, 5, 4};
  stored({'f', 4}, spread(0.0F, 255.0F, 20), one);
  refused({"x.npy: values from 0 to 255, expected 0 to 1", "scale"});
  stored({'f', 4}, spread(0.0F, 2.0F, 40), two);
  refused({"x.npy: sample 1: values from 0 to 2"});
  stored({'f', 8}, spread(-1.0, 1.0, 20), one);
  refused({"values from -1 to 1"});
  stored({'f', 4}, spread(0.0F, 1e30F, 20), one);
  refused({"values from 0 to 1e+30"});
  stored({'i', 8}, spread(std::int64_t{0}, std::int64_t{1}, 20), one);
  refused({"holds <i8", "floats or uint8"});
  stored({'u', 2}, spread(std::uint16_t{0}, std::uint16_t{1}, 20), one);
  refused({"holds <u2"});
  stored({'b', 1}, spread(std::uint8_t{0}, std::uint8_t{1}, 20), one);
  refused({"holds |b1"});
  stored({'f', 8}, spread(0.0, 1.0, 20), one);
  CHECK(accepted().back() == 1);
  stored({'u', 1}, spread(std::uint8_t{0}, std::uint8_t{255}, 20), one);
  CHECK(accepted().back() == 1);
  info.range = kSigned;
  CHECK(accepted().front() == -1);

  info.kind = data::ModalityKind::vector;
  info.shape = {4};
  refused({"holds |u1", "of kind vector and takes floats"});
  stored({'f', 4}, spread(-3.0F, 5.0F, 4), {4});
  CHECK(accepted().back() == 5);
  stored({'f', 4}, spread(0.0F, 255.0F, 4), {4});
  refused({"the training values lie in -1 to 1"});

  info.kind = data::ModalityKind::tokens;
  info.dtype = DType::i32;
  info.categories = 3;
  stored({'i', 8}, spread(std::int64_t{0}, std::int64_t{2}, 4), {4});
  CHECK(accepted().back() == 2);
  stored({'i', 8}, spread(std::int64_t{0}, std::int64_t{3}, 4), {4});
  refused({"value 3 is no category; expected whole numbers 0 to 2"});
  stored({'i', 4}, spread(std::int32_t{0}, std::int32_t{-1}, 4), {4});
  refused({"value -1 is no category"});
  stored({'f', 4}, spread(0.0F, 1.5F, 4), {4});
  refused({"holds <f4", "of kind tokens and takes integers"});
  stored({'b', 1}, spread(std::uint8_t{0}, std::uint8_t{1}, 4), {4});
  refused({"holds |b1"});
}

TEST_CASE("what was done to a given file is told") {
  const test::TempFolder folder;
  const auto done = [&](const data::Modality& info, const std::string& file,
                        const ReadSampleOptions& options) {
    std::string all;
    for (const std::string& step : open_samples(info, folder / file, options).done) all += step + ";";
    return all;
  };
  if (data::have_png()) {
    data::write_png(folder / "same.png", std::vector<float>(20), {5, 4, 1});
    data::write_png(folder / "large.png", std::vector<float>(80), {10, 8, 1});
    data::write_png(folder / "colour.png", std::vector<float>(60), {5, 4, 3});
    const data::Modality info = picture("image", kUnit);
    CHECK(done(info, "same.png", {}).empty());
    CHECK(done(info, "large.png", {.resize = true}) == "resized from 10 x 8;");
    CHECK(test::contains(done(info, "colour.png", {}), "grey"));
  }
  if (data::have_sndfile()) {
    data::write_wave(folder / "long.wav", std::vector<float>(20000), data::kSampleRate);
    CHECK(test::contains(done(sound(kUnit), "long.wav", {.resample_audio = true}),
                         "cut or padded from 20000 to "));
  }
}

TEST_CASE("conditions from the rows of a store") {
  const test::TempFolder folder;
  data::Description d;
  d.name = "rows";
  d.modalities = {picture("image", kUnit), picture("other", kUnit)};
  {
    data::StoreWriter writer(folder / "store", d);
    writer.add_items("train", 0, std::span<const float>(ramp(4 * 20, kUnit)));
    writer.add_items("train", 1, std::span<const float>(ramp(3 * 20, kUnit)));
    writer.set_samples("train", std::vector<std::int32_t>{3, 0, 2, -1, 1, 1, 0, 2}, {});
    writer.commit();
  }
  const data::Store store = data::Store::open(folder / "store");
  const data::Split& train = store.split("train");
  const auto item = [](std::size_t k) {
    const std::vector<float> all = ramp(4 * 20, kUnit);
    const auto from = all.begin() + static_cast<std::ptrdiff_t>(20 * k);
    return std::vector<float>(from, from + 20);
  };
  const SampleRows rows = open_samples(d.modalities[0], store, train, 0, 3);
  CHECK(rows.count == 3);
  CHECK(rows.read(0, 1) == item(3));
  CHECK(rows.read(2, 1) == item(1));
  const auto refused = [&](ErrorKind kind, const data::Modality& info, std::int64_t first, std::int64_t last,
                           const std::string& part) {
    check_error(kind, {part}, [&] { open_samples(info, store, train, first, last); });
  };
  refused(ErrorKind::usage, d.modalities[0], 2, 5, "rows 2:5 of split 'train', which has 4");
  refused(ErrorKind::usage, d.modalities[0], -1, 2, "rows -1:2");
  refused(ErrorKind::usage, d.modalities[0], 3, 3, "rows 3:3");
  refused(ErrorKind::data, d.modalities[1], 0, 2, "row 1 of split 'train' has no 'other'");
  refused(ErrorKind::data, picture("image", kSigned), 0, 2,
          "values from 0 to 1, the model was trained on -1 to 1");
  data::Modality wide = d.modalities[0];
  wide.shape = {4, 5, 1};
  refused(ErrorKind::data, wide, 0, 2, "shape [5,4,1], the model was trained on [4,5,1]");
  refused(ErrorKind::usage, picture("lefft", kUnit), 0, 2, "no modality 'lefft'");
}

}  // namespace mld
