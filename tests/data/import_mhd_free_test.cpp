// MNIST, its strokes and spoken digits into a store: what goes together, what is held out, and every way to be wrong.
#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <set>

#include "data/audio/wav.h"
#include "data/importers/import.h"
#include "data/sources/mnist_strokes.h"
#include "data/sources/spoken_digits.h"
#include "data/store/store.h"
#include "tests/data/mnist_fixture.h"

using namespace mld;
using namespace mld::data;
using namespace mld::test;

namespace {

using Steps = std::vector<std::int8_t>;

// Strokes of `labels`: digit i is a horizontal line of 4 pixels that starts in row i, column 1.
struct Strokes {
  Steps steps;
  Ints offsets{0};
  Bytes labels;

  explicit Strokes(const Bytes& of) : labels(of) {
    for (std::size_t i = 0; i < of.size(); ++i) {
      const auto row = static_cast<std::int8_t>(i + 1);
      steps.insert(steps.end(), {2, row, 0, 0, 3, 0, 0, 0, 0, 0, 1, 1});
      offsets.push_back(offsets.back() + 3);
    }
  }
  std::vector<std::pair<std::string, std::string>> arrays(const std::string& part) const {
    return {{part + "_steps.npy", npy<std::int8_t>({'i', 1}, {std::ssize(steps) / 4, 4}, steps)},
            {part + "_offsets.npy", npy<std::int32_t>({'i', 4}, {std::ssize(offsets)}, offsets)},
            {part + "_labels.npy", npy<std::uint8_t>({'u', 1}, {std::ssize(labels)}, labels)}};
  }
};

const Bytes kTrain{3, 1, 1, 3, 1, 3, 3}, kTest{1, 3};

struct Sources {
  TempFolder folder;
  fs::path mnist = folder / "mnist", strokes = folder / "strokes.npz", speech = folder / "speech",
           out = folder / "out";
  Strokes train{kTrain}, test{kTest};

  Sources() {
    write_bytes(mnist / "train-images-idx3-ubyte", mnist_images(7));
    write_bytes(mnist / "train-labels-idx1-ubyte", idx({7}, kTrain));
    write_bytes(mnist / "t10k-images-idx3-ubyte", mnist_images(2));
    write_bytes(mnist / "t10k-labels-idx1-ubyte", idx({2}, kTest));
    write_strokes();
    fs::create_directories(speech);
    for (const int digit : {1, 3})
      for (const char* speaker : {"ann", "bob_b"})
        for (const int index : {0, 4, 5, 9, 10, 12}) speak(digit, speaker, index);
  }
  void write_strokes() const {
    auto entries = train.arrays("train");
    for (auto& entry : test.arrays("test")) entries.push_back(std::move(entry));
    write_bytes(strokes, zip_of(entries));
  }
  // A tone whose pitch tells the recordings apart.
  void speak(int digit, const std::string& speaker, int index) const {
    std::vector<float> wave(4000);
    const double hertz = 300 + 200 * digit + 20 * index + (speaker == "ann" ? 0 : 10);
    for (std::size_t i = 0; i < wave.size(); ++i)
      wave[i] = 0.5F * static_cast<float>(std::sin(2 * 3.14159265 * hertz * static_cast<double>(i) / 8000));
    write_wave(speech / cat(digit, "_", speaker, "_", index, ".wav"), wave, 8000);
  }
  std::vector<std::string> import(const MhdFreeImport& options = {}) const {
    fs::remove_all(out);
    return import_mhd_free(mnist, strokes, speech, out, options);
  }
  void check_rejected(ErrorKind kind, std::initializer_list<std::string> words,
                      const MhdFreeImport& options = {}) const {
    check_error(kind, words, [&] { import(options); });
    CHECK_FALSE(fs::exists(out));
  }
};

bool readable() { return have_zip() && have_sndfile(); }

Ints to_vector(std::span<const std::int32_t> values) { return {values.begin(), values.end()}; }

// The sounds of a split, each as its values.
std::set<Reals> sounds_of(const Split& split) {
  std::set<Reals> sounds;
  Reals values(32 * 128);
  for (std::int32_t i = 0; i < split.num_items(1); ++i) {
    split.gather(1, Ints{i}, values);
    sounds.insert(values);
  }
  return sounds;
}

}  // namespace

TEST_CASE("strokes: points at equal distances, with no time for the pen in the air") {
  // Down 3, in the air to (8, 0), right 6: of 99 steps of 9/99 pixels, 33 go down.
  const std::vector<StrokePoint> strokes{{0, 0}, {0, 3, true}, {8, 0}, {14, 0, true}};
  const auto path = equal_steps(strokes);
  for (std::size_t k = 0; k < 100; ++k) {
    const float reached = static_cast<float>(k) / 11;
    const bool down = k <= 33;  // the last point of the first stroke is reached first
    CHECK(path[k] == doctest::Approx(down ? 0 : 8 + reached - 3).epsilon(1e-5));
    CHECK(path[100 + k] == doctest::Approx(down ? reached : 0).epsilon(1e-5));
  }
  const auto still = equal_steps(std::vector<StrokePoint>{{4, 5, true}});
  CHECK(std::set<float>(still.begin(), still.end()) == std::set<float>{4, 5});
  CHECK(still[99] == 4);
  CHECK(still[100] == 5);
}

TEST_CASE("import mhd-free: image and path of one writing, a word of the same class, splits apart") {
  if (!readable()) return;
  const Sources sources;
  CHECK(sources.import({.seed = 3, .repetitions = 4}).empty());
  const Store store = Store::open(sources.out);
  store.validate();
  const Description& d = store.description();
  CHECK(d.classes == 10);
  REQUIRE(d.modalities.size() == 3);
  CHECK(d.modalities[0].shape == Shape{28, 28, 1});
  CHECK(d.modalities[1].shape == Shape{32, 128});
  CHECK(d.modalities[1].audio == AudioFrontEnd{16000, 2048, 512});
  CHECK(d.modalities[2].shape == Shape{200});
  CHECK(d.modalities[2].original_range == ValueRange{0, 28});
  CHECK(d.modalities[2].pen_path);
  REQUIRE(d.provenance.sources.size() == 6);
  CHECK(d.provenance.sources[5].file == "*.wav (24 files)");

  const Split &train = store.split("train"), &test = store.split("test");
  CHECK(train.num_items(0) == 7);
  CHECK(train.num_items(1) == 16);  // of two words by two speakers, the recordings 5 to 12
  CHECK(test.num_items(1) == 8);
  CHECK(train.num_samples() == 28);
  CHECK(train.num_distinct() == 7);
  CHECK(test.num_samples() == 2);
  for (const Split& split : {std::cref(train), std::cref(test)})
    for (std::int64_t row = 0; row < split.num_samples(); ++row) {
      CHECK(split.item(row, 0) == split.item(row, 2));
      CHECK(split.item(row, 0) == row % split.num_distinct());
      for (int m = 0; m < 3; ++m)
        CHECK(split.item_labels(m)[static_cast<std::size_t>(split.item(row, m))] ==
              split.labels()[static_cast<std::size_t>(row)]);
    }
  // Digit i has the grey value 10 + i and its line in row i, from column 1 to column 4.
  Reals image(784), path(200);
  train.gather(0, Ints{5}, image);
  train.gather(2, Ints{5}, path);
  CHECK(image[0] == doctest::Approx(15.0 / 255));
  CHECK(path[0] * 28 == doctest::Approx(1.5));
  CHECK(path[99] * 28 == doctest::Approx(4.5));
  CHECK(path[100] * 28 == doctest::Approx(5.5));
  CHECK(path[199] * 28 == doctest::Approx(5.5));
  // Recordings are all different and in one split.
  const std::set<Reals> heard = sounds_of(train), unheard = sounds_of(test);
  CHECK(heard.size() == 16);
  CHECK(unheard.size() == 8);
  for (const Reals& sound : unheard) CHECK(heard.count(sound) == 0);
  float low = 1, high = 0;
  for (const Reals& sound : heard)
    for (const float v : sound) low = std::min(low, v), high = std::max(high, v);
  CHECK(low == 0);
  CHECK(high == 1);

  // The same seed draws the same words, another one others, and repetitions are draws of their own.
  const Ints drawn = to_vector(train.samples());
  sources.import({.seed = 3, .repetitions = 4});
  CHECK(to_vector(Store::open(sources.out).split("train").samples()) == drawn);
  sources.import({.seed = 4, .repetitions = 4});
  CHECK(to_vector(Store::open(sources.out).split("train").samples()) != drawn);
  CHECK(Ints(drawn.begin(), drawn.begin() + 21) != Ints(drawn.begin() + 21, drawn.begin() + 42));
}

TEST_CASE("import mhd-free: held-out digits and speakers") {
  if (!readable()) return;
  const Sources sources;
  sources.import({.repetitions = 1, .valid = 2});
  {
    const Store store = Store::open(sources.out);
    const Split &train = store.split("train"), &valid = store.split("valid");
    CHECK(train.num_items(0) == 5);
    CHECK(train.num_items(1) == 8);  // 10 and 12
    CHECK(to_vector(valid.labels()) == Ints{3, 3});
    CHECK(valid.num_items(1) == 8);  // 5 and 9
    Reals image(784), path(200);
    valid.gather(0, Ints{1}, image);
    valid.gather(2, Ints{1}, path);
    CHECK(image[0] == doctest::Approx(16.0 / 255));
    CHECK(path[100] * 28 == doctest::Approx(6.5));
    const std::set<Reals> heard = sounds_of(train);
    for (const Reals& sound : sounds_of(valid)) CHECK(heard.count(sound) == 0);
  }
  sources.import({.valid = 2, .test_speakers = {"bob_b"}});
  const Store store = Store::open(sources.out);
  CHECK(store.split("test").num_items(1) == 12);
  CHECK(store.split("train").num_items(1) == 8);
  CHECK(store.split("valid").num_items(1) == 4);
  sources.check_rejected(ErrorKind::usage, {"no recording of a speaker 'eve'", "ann, bob_b"},
                         {.test_speakers = {"eve"}});
  sources.check_rejected(ErrorKind::usage, {"no recording", "train"}, {.test_speakers = {"ann", "bob_b"}});
  sources.check_rejected(ErrorKind::usage, {"7 of 7"}, {.valid = 7});
  sources.check_rejected(ErrorKind::usage, {"-1"}, {.valid = -1});
  sources.check_rejected(ErrorKind::usage, {"0 repetitions"}, {.repetitions = 0});
}

TEST_CASE("import mhd-free: strokes that do not fit") {
  if (!readable()) return;
  Sources sources;
  const Strokes good = sources.train;
  const auto rejects = [&](std::initializer_list<std::string> words) {
    sources.write_strokes();
    sources.check_rejected(ErrorKind::data, words);
    sources.train = good;
  };
  sources.train.labels[2] = 7;
  rejects({"'train'", "digit 2 is a 7", "a 1"});
  sources.train = Strokes({3, 1});
  rejects({"'train'", "2 digits", "7"});
  sources.train.offsets[3] = sources.train.offsets[2];
  rejects({"train_offsets.npy", "digit 2"});
  sources.train.offsets.back() = 1000;
  rejects({"train_offsets.npy", "digit 6", "1000"});
  sources.train.offsets.pop_back();
  rejects({"train_offsets.npy", "[7]", "[8]"});
  sources.train.steps[11] = 0;
  rejects({"train_steps.npy", "does not end digit 0"});
  sources.train.steps[4] = 100;
  rejects({"train_steps.npy", "digit 0", "(101, 0)"});
  sources.train.steps[0] = 0;
  rejects({"train_steps.npy", "digit 0", "(-1, 0)"});
}

TEST_CASE("import mhd-free: recordings that cannot be used") {
  if (!readable()) return;
  const Sources sources;
  for (const char* name : {"x_ann_1.wav", "12_ann_1.wav", "3_ann.wav", "3__1.wav", "3_ann_1b.wav",
                           "three.WAV", "-3_ann_1.wav", "3_ann_.wav"}) {
    write_bytes(sources.speech / name, "");
    sources.check_rejected(ErrorKind::data, {name, "DIGIT_SPEAKER_INDEX.wav"});
    fs::remove(sources.speech / name);
  }
  write_bytes(sources.speech / "3_ann_77.wav", "not a sound");
  sources.check_rejected(ErrorKind::data, {"3_ann_77.wav", "not a readable sound file"});
  fs::remove(sources.speech / "3_ann_77.wav");
  write_bytes(sources.speech / "notes.txt", "");
  write_bytes(sources.mnist / "more.gz", "");
  const auto notes = sources.import();
  CHECK(mentions(notes, "speech: not read: notes.txt"));
  CHECK(mentions(notes, "mnist: not read: more.gz"));
  for (const int index : {0, 4}) fs::remove(sources.speech / cat("1_ann_", index, ".wav"));
  for (const int index : {0, 4}) fs::remove(sources.speech / cat("1_bob_b_", index, ".wav"));
  sources.check_rejected(ErrorKind::usage, {"'test'", "spoken 1"});
  fs::remove_all(sources.speech);
  fs::create_directories(sources.speech);
  sources.check_rejected(ErrorKind::data, {"no recordings"});
}
