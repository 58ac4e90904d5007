#include "data/store/store.h"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <limits>
#include <numeric>

#include "data/store/batch_order.h"
#include "data/store/store_info.h"
#include "data/store/store_writer.h"
#include "tests/data/files.h"
#include "tests/data/store_fixture.h"

using namespace mld;
using namespace mld::data;
using namespace mld::test;

namespace {

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

// The store must not open once `file` has been changed by `change`, whether there are checksums or not.
template <class F>
void check_broken(const std::string& file, std::initializer_list<std::string> words, F change) {
  const TempFolder folder;
  const fs::path out = make_store(folder);
  {
    const std::string whole = read_bytes(out / file);
    write_bytes(out / file, change(whole));
    check_error(ErrorKind::data, {out.string()}, [&] { Store::open(out); });
    write_bytes(out / file, whole);
  }
  make_version_1(out);
  const fs::path path = out / file;
  const std::string text = fs::exists(path) ? read_bytes(path) : "";
  write_bytes(path, change(text));
  check_error(ErrorKind::data, words, [&] { Store::open(out); });
}

void check_json(const std::string& from, const std::string& to, std::initializer_list<std::string> words) {
  const std::string text = to_json([] {
    Description d = describe();
    d.splits = {{"train", 4, 2, {2, 3, 1, 2, 2}}};
    return d;
  }());
  check_error(ErrorKind::data, words, [&] { parse_description(replaced(text, from, to), "dataset.json"); });
}

}  // namespace

TEST_CASE("store: what was written is read back") {
  const TempFolder folder;
  const Store store = Store::open(make_store(folder));
  store.validate();
  Description expected = describe();
  expected.splits = {{"train", 4, 1, {2, 3, 1, 2, 2}}, {"test", 4, 2, {2, 2, 0, 0, 0}}};
  CHECK(store.description().fingerprint.size() == 16);
  expected.fingerprint = store.description().fingerprint;
  CHECK(store.description() == expected);
  CHECK(store.vocabulary(3) == std::vector<std::string>{"<exc>", "<pad>", "<eos>", "bird"});
  CHECK(store.vocabulary(0).empty());
  CHECK(store.description().modality("pen") == 2);
  CHECK(names_in(folder.path()) == std::vector<std::string>{"set"});

  const Split& train = store.split("train");
  CHECK(train.num_samples() == 4);
  CHECK(train.num_items(1) == 3);
  CHECK(Ints(train.samples().begin(), train.samples().end()) == kIndex);
  for (std::int64_t row = 0; row < 4; ++row)
    for (int m = 0; m < store.num_modalities(); ++m) {
      const std::int32_t item = kIndex[static_cast<std::size_t>(row * store.num_modalities() + m)];
      CHECK(train.item(row, m) == item);
      CHECK(train.sample(row)[static_cast<std::size_t>(m)] == item);
    }
  CHECK(std::ssize(train.sample(0)) == store.num_modalities());
  check_error(ErrorKind::internal, {"row 4 of 4"}, [&] { (void)train.item(4, 0); });
  check_error(ErrorKind::internal, {"modality -1 of 5"}, [&] { (void)train.item(0, -1); });
  CHECK(Ints(train.labels().begin(), train.labels().end()) == Ints{2, 1, -1, 2});
  CHECK(Ints(train.item_labels(0).begin(), train.item_labels(0).end()) == Ints{2, -1});
  CHECK(Ints(train.item_labels(1).begin(), train.item_labels(1).end()) == Ints{-1, -1, -1});
  CHECK(train.num_distinct() == 4);
  CHECK(store.split("test").num_distinct() == 2);
  CHECK_FALSE(store.has_split("valid"));
}

TEST_CASE("store: gather maps bytes to the range, copies floats and tokens, and clears holes") {
  const TempFolder folder;
  const Store store = Store::open(make_store(folder));
  const Split& train = store.split("train");
  Reals pictures(18, 99.0F);
  train.gather(0, Ints{1, -1, 0}, pictures);
  CHECK(pictures[0] == doctest::Approx(-1 + 2 * 1.0 / 255));
  CHECK(std::all_of(pictures.begin() + 6, pictures.begin() + 12, [](float v) { return v == 0; }));
  CHECK(Reals(pictures.begin() + 12, pictures.end()) ==
        Reals{-1, 1, -1 + 2 * 0.2F, -1 + 2 * 0.4F, -1 + 2 * 0.6F, -1 + 2 * 0.8F});
  Reals sounds(8);
  train.gather(1, Ints{2, 0}, sounds);
  CHECK(sounds == Reals{8, 9, 10, 11, 0.5F, 1, 2, 3});
  Ints words(6);
  train.gather_tokens(3, Ints{1, -1, 0}, words);
  CHECK(words == Ints{2, 1, -1, -1, 0, 3});
}

TEST_CASE("store: bytes with range [0, 1] are exactly byte / 255, for large batches too") {
  const TempFolder folder;
  Description d;
  d.name = "bytes";
  d.modalities = {modality("m", ModalityKind::vector, {256}, DType::u8)};
  StoreWriter writer(folder / "s", d);
  Bytes item(256);
  std::iota(item.begin(), item.end(), std::uint8_t{0});
  writer.add_items("train", 0, item);
  writer.set_aligned_samples("train", 1, {});
  writer.commit();
  Reals out(1024 * 256);
  Store::open(folder / "s").split("train").gather(0, Ints(1024, 0), out);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < out.size(); ++i) wrong += out[i] != static_cast<float>(i % 256) / 255.0F;
  CHECK(wrong == 0);
}

TEST_CASE("store: parts of an array that is worth it are read ahead, up to the end of the file") {
  const TempFolder folder;
  constexpr std::int64_t kItems = 17, kSize = std::int64_t{1} << 20;  // 68 MiB
  Description d;
  d.name = "large";
  d.modalities.resize(1);
  d.modalities[0].name = "v";
  d.modalities[0].shape = {kSize};
  {
    StoreWriter writer(folder / "s");
    writer.describe(d);
    Reals item(kSize);
    for (std::int64_t i = 0; i < kItems; ++i) {
      std::ranges::fill(item, static_cast<float>(i) / kItems);
      writer.add_items("train", 0, std::span<const float>(item));
    }
    writer.set_aligned_samples("train", kItems, Ints(kItems, -1));
    writer.commit();
  }
  const Store store = Store::open(folder / "s");
  const Split& train = store.split("train");
  train.expect_any_order(0);
  train.read_ahead(0, Ints{16, 3, 4, 5, -1, 0});
  Reals out(2 * kSize);
  train.gather(0, Ints{16, 4}, out);
  CHECK(out.front() == 16.0F / kItems);
  CHECK(out.back() == 4.0F / kItems);
  check_error(ErrorKind::internal, {"modality 1 of 1"}, [&] { train.read_ahead(1, Ints{0}); });
}

TEST_CASE("store: misuse of gather is an internal error, unknown names are usage errors") {
  const TempFolder folder;
  const Store store = Store::open(make_store(folder));
  const Split& train = store.split("train");
  Reals out(6);
  Ints tokens(2);
  check_error(ErrorKind::internal, {"pic", "item 2 of 2"}, [&] { train.gather(0, Ints{2}, out); });
  check_error(ErrorKind::internal, {"item -2"}, [&] { train.gather(0, Ints{-2}, out); });
  check_error(ErrorKind::internal, {"room for 6"}, [&] { train.gather(0, Ints{0, 0}, out); });
  check_error(ErrorKind::internal, {"gather_tokens"}, [&] { train.gather(3, Ints{0}, out); });
  check_error(ErrorKind::internal, {"use gather"}, [&] { train.gather_tokens(0, Ints{0}, tokens); });
  check_error(ErrorKind::internal, {"modality 5 of 5"}, [&] { train.gather(5, Ints{0}, out); });
  check_error(ErrorKind::usage, {"valid", "train, test"}, [&] { store.split("valid"); });
  check_error(ErrorKind::usage, {"'mnist'", "pic, sound"}, [&] { store.description().modality("mnist"); });
}

TEST_CASE("store: missing and damaged files") {
  const TempFolder folder;
  check_error(ErrorKind::data, {"none", "mldctl data import"}, [&] { Store::open(folder / "none"); });
  check_error(ErrorKind::data, {"no dataset.json"}, [&] { Store::open(folder.path()); });
  for (const char* file : {"train/pic.npy", "train/pic.labels.npy", "test/samples.npy", "test/labels.npy"}) {
    const TempFolder other;
    const fs::path out = make_store(other);
    fs::remove(out / file);
    check_error(ErrorKind::data, {file, "missing", "import"}, [&] { Store::open(out); });
  }
  const auto cut = [](std::string text) { return text.substr(0, text.size() - 1); };
  check_broken("train/sound.npy", {"train/sound.npy", "needs 48 bytes", "found 47"}, cut);
  check_broken("train/samples.npy", {"train/samples.npy", "truncated"}, cut);
  check_broken("train/pic.npy", {"train/pic.npy", "magic"}, [](std::string text) { return "x" + text; });
  check_broken("dataset.json", {"dataset.json", "JSON"},
               [](const std::string& text) { return text.substr(0, text.size() / 2); });
  check_broken("words.txt", {"words.txt", "holds 3 tokens", "says 4"},
               [](const std::string&) { return "a\nb\nc"; });
}

TEST_CASE("store: arrays that contradict dataset.json, indices and labels out of range") {
  const auto ints = [](const Shape& shape, const Ints& values) {
    return npy_header({'i', 4}, shape) +
           std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(std::int32_t));
  };
  const auto put = [](std::string text) { return [text](const std::string&) { return text; }; };
  check_broken("train/labels.npy", {"train/labels.npy", "[3]", "[4]"}, put(ints({3}, {0, 1, 2})));
  check_broken("train/labels.npy", {"<f4", "<i4"},
               [](std::string t) { return replaced(std::move(t), "<i4", "<f4"); });
  check_broken("train/labels.npy", {"element 3", "label 3", "-1 to 2"}, put(ints({4}, {0, 1, 2, 3})));
  check_broken("train/pic.labels.npy", {"element 0", "label -2"}, put(ints({2}, {-2, 0})));
  Ints index = kIndex;
  index[6] = 3;  // sample 1, modality 1 has items 0 .. 2
  check_broken("train/samples.npy", {"row 1", "modality 1", "item 3", "-1 to 2"}, put(ints({4, 5}, index)));
  index[6] = -2;
  check_broken("train/samples.npy", {"row 1", "item -2"}, put(ints({4, 5}, index)));
  index = kIndex;
  std::fill(index.begin() + 15, index.end(), -1);
  check_broken("train/samples.npy", {"row 3", "no modality"}, put(ints({4, 5}, index)));
}

TEST_CASE("store: validate finds values that are not finite, gather_tokens and validate bad tokens") {
  const TempFolder folder;
  const fs::path out = make_store(folder);
  make_version_1(out);
  const auto poke = [&](const char* file, std::size_t from_end, auto value) {
    std::string text = read_bytes(out / file);
    std::copy_n(reinterpret_cast<const char*>(&value), sizeof value,
                text.end() - static_cast<std::ptrdiff_t>(from_end));
    write_bytes(out / file, text);
  };
  poke("train/sound.npy", 8, std::numeric_limits<float>::infinity());
  check_error(ErrorKind::data, {"train/sound.npy", "item 2", "value 2"},
              [&] { Store::open(out).validate(); });
  poke("train/sound.npy", 8, 1.0F);
  poke("train/words.npy", 4, std::int32_t{4});
  const Store store = Store::open(out);
  check_error(ErrorKind::data, {"train/words.npy", "token 4", "0 to 3"}, [&] { store.validate(); });
  Ints tokens(2);
  store.split("train").gather_tokens(3, Ints{0}, tokens);
  check_error(ErrorKind::data, {"item 1", "position 1", "token 4"},
              [&] { store.split("train").gather_tokens(3, Ints{1}, tokens); });
}

TEST_CASE("store: non-finite values are found wherever they are") {
  for (std::size_t size : {1U, 4095U, 4096U, 4097U, 10000U}) {
    Reals values(size, std::numeric_limits<float>::max());
    CHECK(first_non_finite(values) == -1);
    values[size - 1] = std::nanf("");
    CHECK(first_non_finite(values) == static_cast<std::int64_t>(size - 1));
    values[size / 2] = -std::numeric_limits<float>::infinity();
    CHECK(first_non_finite(values) == static_cast<std::int64_t>(size / 2));
  }
}

TEST_CASE("dataset.json: the text gives the same description back") {
  Description d = describe();
  d.modalities[2].range = {-2.7722983360290527F, 2.4120986461639404F};
  d.splits = {{"train", 40, 20, {2, 3, 1, 2, 2}}};
  CHECK(parse_description(to_json(d), "f") == d);
  d.fingerprint = "0123456789abcdef";
  CHECK(parse_description(to_json(d), "f") == d);
}

TEST_CASE("dataset.json: every mistake names the file and the key") {
  check_json("mld-store", "zarr", {"dataset.json", "format", "zarr"});
  check_json("\"version\": 1", "\"version\": 2", {"crc32", "missing"});
  check_json("\"version\": 1", "\"version\": 3", {"version", "found 3", "reads 1 to 2"});
  check_json("\"version\": 1", "\"version\": \"1\"", {"version", "expected an integer"});
  check_json("\"classes\": 3,", "", {"classes", "missing"});
  check_json("\"classes\": 3", "\"classes\": -3", {"classes", "-3"});
  check_json("\"classes\": 3", "\"classes\": 3, \"clases\": 4", {"clases", "unknown key"});
  check_json("\"classes\": 3", "\"classes\": 3, \"classes\": 3", {"classes", "twice"});
  check_json("\"kind\": \"image\"", "\"kind\": \"img\"", {"modalities[0].kind", "img", "spectrogram"});
  check_json("\"kind\": \"image\"", "\"kind\": \"vector\"", {"modalities[0]", "shape [2,1,3]", "1 extents"});
  check_json("\"dtype\": \"u8\"", "\"dtype\": \"i32\"", {"modalities[0]", "i32", "u8 or f32"});
  check_json("\"dtype\": \"u8\"", "\"dtype\": \"f64\"", {"modalities[0].dtype", "f64"});
  check_json("\"name\": \"pic\"", "\"name\": \"../x\"", {"modalities[0]", "../x", "letters"});
  check_json("\"name\": \"pic\"", "\"name\": \"labels\"", {"modalities[0]", "labels", "taken"});
  check_json("\"name\": \"pic\"", "\"name\": \"sound\"", {"modalities[1]", "sound", "twice"});
  check_json("\"name\": \"pic\"", "\"name\": 7", {"modalities[0].name", "7", "string"});
  check_json("\"hop\": 512", "\"hop\": 0", {"modalities[1].audio.hop", "0"});
  check_json("\"hop\": 512", "\"hop\": 512, \"window\": \"hann\"",
             {"modalities[1].audio.window", "unknown key"});
  check_json("\"pen_path\": true", "\"pen_path\": 1", {"modalities[2].pen_path", "true or false"});
  check_json("\"pen_path\": true", "\"audio\": {}", {"modalities[2].audio", "unknown key"});
  check_json("\"categories\": 4", "\"categories\": 0", {"modalities[3].categories"});
  check_json("\"categories\": 4", "\"categories\": 4, \"range\": [0, 1]",
             {"modalities[3].range", "unknown key"});
  check_json("words.txt", "../words.txt", {"modalities[3]", "vocabulary"});
  check_json("words.txt", "words.json", {"modalities[3]", "vocabulary"});
  check_json("\"train\": {", "\"dev\": {", {"splits", "train"});
  check_json("\"train\": {", "\"a/b\": {", {"splits.a/b", "letters"});
  check_json("\"pic\": 2", "\"pic\": 0", {"splits.train.items.pic", "no items"});
  check_json("\"pic\": 2,", "", {"splits.train.items.pic", "missing"});
  check_json("\"pic\": 2", "\"pic\": 2, \"pix\": 2", {"splits.train.items.pix", "unknown key"});
  check_json("\"samples\": 4", "\"samples\": 4.5", {"splits.train.samples", "4.5"});
  check_json("\"samples\": 4", "\"samples\": 18446744073709551615", {"splits.train.samples"});
  check_json("\"repetitions\": 2", "\"repetitions\": 3", {"splits.train", "multiple of 3"});
  check_json("\"seed\": 18446744073709551615", "\"seed\": -1", {"provenance.seed", "-1"});
  check_json("\"bytes\": 12", "\"bytes\": 1e3", {"provenance.sources[0].bytes"});
}

TEST_CASE("dataset.json: ranges, shapes and structure") {
  const auto rejected = [](const std::string& text, std::initializer_list<std::string> words) {
    check_error(ErrorKind::data, words, [&] { parse_description(text, "dataset.json"); });
  };
  rejected("", {"JSON"});
  rejected("[]", {"expected an object"});
  rejected("{\"format\": \"mld-store\"} x", {"JSON"});
  rejected(std::string(100, '['), {"nested deeper than 64 levels"});
  rejected("{\"name\": 1, /* a comment */ \"name\": 2}", {"key \"name\" occurs twice"});
  rejected("{\"a\": {\"name\": 1}, \"name\": 2}", {"dataset.json: format: missing"});
  const auto with = [](const std::string& shape, const std::string& range) {
    return cat(
        R"({"format": "mld-store", "version": 1, "name": "n", "classes": 0, "modalities": [{"name": "a",)",
        R"("kind": "vector", "dtype": "f32", "shape": )", shape, R"(, "range": )", range, R"(}], "splits":)",
        R"({"train": {"samples": 1, "repetitions": 1, "items": {"a": 1}}}, "provenance": {"importer": "i",)",
        R"("seed": 0, "sources": []}})");
  };
  CHECK(parse_description(with("[3]", "[0, 1]"), "f").modalities[0].shape == Shape{3});
  for (const char* shape : {"3", "[]", "[0]", "[-1]", "[1.5]", "[99999999999]", "[1, 1, 1, 1, 1, 1]"})
    rejected(with(shape, "[0, 1]"), {"modalities[0].shape"});
  for (const char* range : {"1", "[0]", "[0, 0]", "[1, 0]", "[0, \"1\"]", "[0, 1e39]", "[0, 1, 2]"})
    rejected(with("[3]", range), {"modalities[0].range"});
  rejected(replaced(with("[3]", "[0, 1]"),
                    R"({"train": {"samples": 1, "repetitions": 1, "items": {"a": 1}}})", "{}"),
           {"splits", "train"});
  rejected(replaced(with("[3]", "[0, 1]"), "\"modalities\": [", "\"modalities\": [1, "),
           {"modalities[0]", "object"});
}

TEST_CASE("writer: refuses bad values where they come in") {
  const TempFolder folder;
  StoreWriter writer(folder / "s", describe());
  const float nan = std::nanf("");
  check_error(ErrorKind::data, {"train/sound", "item 1, value 2", "finite"}, [&] {
    writer.add_items("train", 1, Reals{0, 0, 0, 0, 0, 0, nan, 0});
  });
  check_error(ErrorKind::data, {"train/words", "item 0, value 1", "found 4", "0 to 3"}, [&] {
    writer.add_items("train", 3, Ints{0, 4});
  });
  check_error(ErrorKind::internal, {"5 values of u8"}, [&] { writer.add_items("train", 0, Bytes(5)); });
  check_error(ErrorKind::internal, {"f32", "u8"}, [&] { writer.add_items("train", 0, Reals(6)); });
  check_error(ErrorKind::data, {"label 1 is 3"}, [&] { writer.set_item_labels("train", 0, Ints{0, 3}); });
  check_error(ErrorKind::internal, {"7 values"}, [&] { writer.set_samples("train", Ints(7), Ints{}); });
  check_error(ErrorKind::data, {"a/b"}, [&] { writer.add_items("a/b", 0, Bytes(6)); });
  check_error(ErrorKind::data, {"line break"}, [&] {
    writer.set_vocabulary(3, std::vector<std::string>{"a", "b", "c\n", "d"});
  });
}

TEST_CASE("writer: a store that does not fit together is not committed and leaves nothing") {
  const TempFolder folder;
  {
    StoreWriter writer(folder / "s", describe());
    fill_train(writer);
    writer.set_item_labels("train", 0, Ints{0});
    check_error(ErrorKind::data, {"train/pic", "1 labels for 2 items"}, [&] { writer.commit(); });
  }
  CHECK(names_in(folder.path()).empty());
  {
    StoreWriter writer(folder / "s", describe());
    fill_train(writer);
    Ints index = kIndex;
    index[0] = 2;
    writer.set_samples("train", index, {});
    check_error(ErrorKind::data, {"samples.npy", "row 0", "item 2"}, [&] { writer.commit(); });
  }
  CHECK(names_in(folder.path()).empty());
  {
    StoreWriter writer(folder / "s", describe());
    fill_test(writer);
    check_error(ErrorKind::data, {"train"}, [&] { writer.commit(); });
  }
  CHECK(names_in(folder.path()).empty());
  {
    StoreWriter writer(folder / "s", describe());
    fill_train(writer);
  }  // never committed
  CHECK(names_in(folder.path()).empty());
}

TEST_CASE("writer: never overwrites, but takes an empty folder and makes missing parents") {
  const TempFolder folder;
  write_bytes(folder / "full/file", "x");
  write_bytes(folder / "file", "x");
  check_error(ErrorKind::busy, {"full", "not empty"}, [&] { StoreWriter(folder / "full", describe()); });
  check_error(ErrorKind::busy, {"file"}, [&] { StoreWriter(folder / "file", describe()); });
  fs::create_directory(folder / "empty");
  for (const char* name : {"empty", "a/b/c", "slash/"}) {
    StoreWriter writer(folder / name, describe());
    fill_train(writer);
    writer.commit();
    CHECK(Store::open(folder / name).split("train").num_samples() == 4);
  }
  // Something appears while the store is being written.
  StoreWriter writer(folder / "late", describe());
  fill_train(writer);
  write_bytes(folder / "late/other", "x");
  check_error(ErrorKind::busy, {"late"}, [&] { writer.commit(); });
  CHECK(read_bytes(folder / "late/other") == "x");
}

TEST_CASE("writer: a disk that is full leaves no trace") {
  const TempFolder folder;
  rlimit old{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &old) == 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{4096, old.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  std::string message;
  ErrorKind kind = ErrorKind::internal;
  try {
    StoreWriter writer(folder / "s", describe());
    writer.add_items("train", 0, Bytes(6 * 1000));
  } catch (const Error& error) {
    message = error.what();
    kind = error.kind();
  }
  ::setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, old_handler);
  CHECK(kind == ErrorKind::io);
  CHECK(message.find("pic.npy") != std::string::npos);
  CHECK(names_in(folder.path()).empty());
}

TEST_CASE("writer: the same input gives the same bytes") {
  const TempFolder a, b;
  const fs::path first = make_store(a), second = make_store(b);
  std::size_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(first)) {
    if (!entry.is_regular_file()) continue;
    ++files;
    CHECK(read_bytes(entry.path()) == read_bytes(second / fs::relative(entry.path(), first)));
  }
  CHECK(files == 2 * 12 + 3);
}

TEST_CASE("info: items, samples, holes and classes are counted") {
  const TempFolder folder;
  const StoreInfo info = inspect(Store::open(make_store(folder)));
  REQUIRE(info.splits.size() == 2);
  const SplitInfo& train = info.splits[0];
  CHECK(train.samples == 4);
  CHECK(train.complete == 2);
  CHECK(train.sample_classes.of_class == std::vector<std::int64_t>{0, 1, 2});
  CHECK(train.sample_classes.unknown == 1);
  CHECK(train.modalities[0].items == 2);
  CHECK(train.modalities[0].holes == 1);
  CHECK(train.modalities[0].item_classes.of_class == std::vector<std::int64_t>{0, 0, 1});
  CHECK(train.modalities[1].used_items == 3);
  CHECK(train.modalities[4].holes == 1);
  CHECK(info.splits[1].distinct == 2);
  const std::string text = to_text(info), json = to_json(info);
  for (const char* word :
       {"4 samples (2 pairings of 2)", "2 of them complete", "sound: spectrogram [2,2] f32",
        "standing for -80 to 0", "2 items, 2 of them in samples, 1 holes", "class"})
    CHECK_MESSAGE(text.find(word) != std::string::npos, text, " | ", word);
  CHECK(json.find("\"distinct\": 2") != std::string::npos);
}

TEST_CASE("batch order: every epoch is another permutation, any step can be had alone") {
  const BatchOrder order(103, 10, 7);
  CHECK(order.steps_per_epoch() == 10);
  std::vector<Ints> epochs;
  for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
    Ints seen;
    for (std::int64_t step = 0; step < 10; ++step) {
      Ints rows(10);
      order.rows(epoch * 10 + step, 0, rows);
      seen.insert(seen.end(), rows.begin(), rows.end());
    }
    epochs.push_back(seen);
    std::sort(seen.begin(), seen.end());
    CHECK(std::adjacent_find(seen.begin(), seen.end()) == seen.end());
    CHECK(seen.front() >= 0);
    CHECK(seen.back() < 103);
  }
  CHECK(epochs[0] != epochs[1]);
  CHECK(epochs[1] != epochs[2]);
  Ints again(10), other(10);
  BatchOrder(103, 10, 7).rows(12, 0, again);
  BatchOrder(103, 10, 8).rows(12, 0, other);
  CHECK(again == Ints(epochs[1].begin() + 20, epochs[1].begin() + 30));
  CHECK(again != other);
}

TEST_CASE("batch order: the batch shrinks to what there is") {
  const BatchOrder order(3, 128, 0);
  CHECK(order.batch() == 3);
  CHECK(order.steps_per_epoch() == 1);
  Ints rows(3);
  order.rows(5, 0, rows);
  std::sort(rows.begin(), rows.end());
  CHECK(rows == Ints{0, 1, 2});
  check_error(ErrorKind::internal, {"rows 2 to 4", "batch of 3"},
              [&] { order.rows(0, 2, std::span(rows).first(2)); });
  check_error(ErrorKind::internal, {"out of 0"}, [] { BatchOrder(0, 1, 0); });
}
