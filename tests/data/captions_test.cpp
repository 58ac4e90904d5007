// Words, vocabularies, and the importers of captions. Words are compared with NLTK's: golden/make_captions.py made the
// file; MLDTEST_CAPTIONS may name the file of CUB's real captions (cub_captions_testclasses.txt or .gz).
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "data/formats/image_io.h"
#include "data/importers/import.h"
#include "data/store/store.h"
#include "data/text/text_lines.h"
#include "data/text/treebank.h"
#include "data/text/vocabulary.h"
#include "engine/base/error.h"
#include "engine/io/crc32.h"
#include "tests/data/files.h"

using namespace mld;
using namespace mld::data;
using namespace mld::test;

using Words = std::vector<std::string>;

TEST_CASE("treebank: captions as people type them have NLTK's words, vocabulary and ids") {
  const auto golden = nlohmann::json::parse(std::ifstream(MLD_DATA_GOLDEN_DIR "/captions.json"));
  const auto captions = golden.at("captions").get<Words>();
  REQUIRE(captions.size() == 100);
  std::vector<Words> words;
  for (std::size_t i = 0; i < captions.size(); ++i) {
    CAPTURE(captions[i]);
    words.push_back(treebank_words(captions[i]));
    CHECK(words.back() == golden.at("words")[i].get<Words>());
  }
  const Vocabulary vocabulary = Vocabulary::of(words);
  CHECK(vocabulary.strings() == golden.at("vocabulary").get<Words>());
  for (std::size_t i = 0; i < captions.size(); ++i)
    CHECK(vocabulary.encode(words[i], 32) == golden.at("ids")[i].get<Ints>());
}

TEST_CASE("treebank: rule by rule") {
  const auto splits = [](const std::string& text, const Words& words) {
    CAPTURE(text);
    CHECK(treebank_words(text) == words);
  };
  splits("", {});
  splits(" \t ", {});
  splits("A red bird.", {"A", "red", "bird", "."});
  splits("e.g. a no. 2 bill.)  ", {"e.g.", "a", "no.", "2", "bill", ".", ")"});
  splits("grey, 1,5 cm: long", {"grey", ",", "1,5", "cm", ":", "long"});
  splits("it doesn't, they've, I'll, birds' wings",
         {"it", "does", "n't", ",", "they", "'ve", ",", "I", "'ll", ",", "birds", "'", "wings"});
  splits("the bird's 'white' tail", {"the", "bird", "'s", "'", "white", "'", "tail"});
  splits("a \"mask\" (so)", {"a", "``", "mask", "''", "(", "so", ")"});
  splits("“mask” – or so…", {"“", "mask", "”", "–", "or", "so…"});
  splits("wait... what?! 5% & $3 #1 a*b",
         {"wait", "...", "what", "?", "!", "5", "%", "&", "$", "3", "#", "1", "a", "*", "b"});
  splits("white--or grey", {"white", "--", "or", "grey"});
  splits("Cannot gonna wanna, 'tis d'ye",
         {"Can", "not", "gon", "na", "wan", "na", ",", "'", "tis", "d", "'ye"});
  splits("rust-colored w/ 1/2 wing_bar", {"rust-colored", "w/", "1/2", "wing_bar"});
}

TEST_CASE("vocabulary: words that occur more than three times, as they come up; rows of one length") {
  const std::vector<Words> texts{
      {"b", "a", "b", "<pad>"}, {"b", "c", "a", "a", "<pad>"}, {"a", "c", "c", "b", "<pad>"}, {"<pad>"}};
  const Vocabulary vocabulary = Vocabulary::of(texts);
  CHECK(vocabulary.strings() == Words{"<exc>", "<pad>", "<eos>", "b", "a"});
  CHECK(Vocabulary::of(texts, 2).strings() == Words{"<exc>", "<pad>", "<eos>", "b", "a", "c"});
  Words unknown;
  CHECK(vocabulary.encode(Words{"a", "c", "b"}, 5, &unknown) == Ints{4, 0, 3, 2, 1});
  CHECK(unknown == Words{"c"});
  CHECK(vocabulary.encode(Words{"a", "b", "c", "a"}, 4, &unknown) == Ints{4, 3, 0, 2});
  CHECK(unknown == Words{"c", "c"});
  unknown.clear();
  CHECK(vocabulary.encode(Words{"a", "c"}, 2, &unknown) == Ints{4, 2});
  CHECK(unknown.empty());  // it was cut off before
  CHECK(vocabulary.encode(Words(), 3) == Ints{2, 1, 1});
  CHECK(Vocabulary::from(vocabulary.strings()).encode(Words{"a"}, 2) == Ints{4, 2});
  check_error(ErrorKind::data, {"token 1 is 'a', expected '<pad>'"}, [] {
    Vocabulary::from({"<exc>", "a", "b"});
  });
  check_error(ErrorKind::data, {"token 2 is missing"}, [] { Vocabulary::from({"<exc>", "<pad>"}); });
}

TEST_CASE("vocabulary: a text is cut after the first end and loses the marks") {
  const Words words{"<exc>", "<pad>", "<eos>", "<unk>", "a", "bird", "flies"};
  CHECK(text_of(Ints{4, 5, 6, 2, 5, 5, 1}, words) == "a bird flies");
  CHECK(text_of(Ints{4, 3, 5, 1, 6}, words) == "a bird flies");
  CHECK(text_of(Ints{2, 5}, words).empty());
  CHECK(text_of(Ints{1, 0, 1}, Words{"red", "blue"}) == "blue red blue");  // no marks
  check_error(ErrorKind::data, {"token 7 of a vocabulary of 7"}, [&] { text_of(Ints{4, 7}, words); });
  check_error(ErrorKind::data, {"token -1"}, [&] { text_of(Ints{-1}, words); });
}

TEST_CASE("treebank: the real captions of CUB have as many words as an independent count") {
  const char* file = std::getenv("MLDTEST_CAPTIONS");
  if (file == nullptr) {
    MESSAGE("skipped: MLDTEST_CAPTIONS names no file");
    return;
  }
  const TempFolder folder;
  import_captions(file, folder / "out", {});
  const Store store = Store::open(folder / "out");
  const auto& names = store.vocabulary(0);
  REQUIRE(names.size() == 996);
  const std::string text =
      std::accumulate(names.begin() + 1, names.end(), names[0],
                      [](const std::string& a, const std::string& b) { return a + "\n" + b; });
  CHECK(crc32(std::as_bytes(std::span(text))) == 0x45543f96);
  const Split& train = store.split("train");
  REQUIRE(train.num_samples() == 29330);
  Ints rows(29330), ids(29330 * 32);
  std::iota(rows.begin(), rows.end(), 0);
  train.gather_tokens(0, rows, ids);
  CHECK(crc32(std::as_bytes(std::span(ids))) == 0xf6b53f2d);
}

TEST_CASE("text lines: what is not a line of text is named by its number") {
  CHECK(text_lines("\xef\xbb\xbf"
                   "a\r\n b\tc\nd\n\n\n",
                   "f") == Words{"a", " b\tc", "d"});
  CHECK(text_lines("", "f").empty());
  check_error(ErrorKind::data, {"f: line 2: is empty"}, [] { text_lines("a\n\nb", "f"); });
  check_error(ErrorKind::data, {"f: line 1", "UTF-8"}, [] { text_lines("gr\xfcn\n", "f"); });
  check_error(ErrorKind::data, {"f: line 2", "control"}, [] { text_lines("a\nb\x01\n", "f"); });
}

namespace {

// Two birds in train, one in test, whose pictures are filled with 10, 20 and 30; captions say which and how often.
struct Birds {
  TempFolder folder;
  fs::path in = folder / "cub", out = folder / "out";

  Birds() {
    write("train/002.wren/b.jpg", 20);
    write("train/001.gull/z.jpg", 10, {40, 30, 3});
    write("test/003.owl/a.jpg", 30, {8, 8, 1});
    captions("text_trainvalclasses.txt", {"gull", "wren"});
    captions("text_testclasses.txt", {"owl"});
  }
  // The reader tells pictures by their first bytes, not by their names.
  void write(const std::string& name, int value, PictureSize size = {6, 6, 3}) const {
    fs::create_directories((in / name).parent_path());
    write_png(in / name,
              Picture{size, Bytes(static_cast<std::size_t>(size.count()), static_cast<std::uint8_t>(value))});
  }
  void captions(const std::string& file, const Words& birds, int each = 10) const {
    std::string text;
    for (const std::string& bird : birds)
      for (int k = 0; k < each; ++k) text += cat("a ", bird, " number ", k, ".\n");
    write_bytes(in / file, text);
  }
  std::vector<std::string> import(OnBad on_bad = OnBad::fail) const {
    fs::remove_all(out);
    return import_cub(in, out, {.side = 4, .folder = {.on_bad = on_bad}});
  }
  void check_rejected(std::initializer_list<std::string> words) const {
    check_error(ErrorKind::data, words, [&] { import(); });
    CHECK_FALSE(fs::exists(out));
  }
};

int first_value(const Split& split, std::int32_t item) {
  Reals values(4 * 4 * 3);
  split.gather(0, Ints{item}, values);
  for (const float v : values) CHECK(v == values[0]);
  return static_cast<int>(std::lround(values[0] * 255));
}

}  // namespace

TEST_CASE("import cub: ten captions a picture, in the order of folders and names") {
  if (!have_png()) return;
  const Birds birds;
  const auto notes = birds.import();
  CHECK(mentions(notes, "1 pictures grey repeated as red, green and blue; the first: "));
  CHECK(mentions(notes, "test: 20 of 50 words are not among the 8 of the vocabulary"));  // owl, and numbers
  const Store store = Store::open(birds.out);
  store.validate();
  CHECK(store.description().classes == 3);
  CHECK(store.modality(0).shape == Shape{4, 4, 3});
  CHECK(store.modality(1).shape == Shape{32});
  CHECK(store.vocabulary(1) == Words{"<exc>", "<pad>", "<eos>", "a", "gull", "number", ".", "wren"});
  const Split& train = store.split("train");
  REQUIRE(train.num_samples() == 20);
  for (std::int32_t c = 0; c < 20; ++c) {
    CHECK(train.item(c, 0) == c / 10);
    CHECK(train.item(c, 1) == c);
    CHECK(train.labels()[static_cast<std::size_t>(c)] == c / 10);
  }
  CHECK(first_value(train, 0) == 10);
  CHECK(first_value(train, 1) == 20);
  CHECK(first_value(store.split("test"), 0) == 30);
  CHECK(store.split("test").labels()[9] == 2);
  Ints ids(2 * 32);
  train.gather_tokens(1, Ints{0, 19}, ids);
  CHECK(Ints(ids.begin(), ids.begin() + 8) == Ints{3, 4, 5, 0, 6, 2, 1, 1});
  CHECK(Ints(ids.begin() + 32, ids.begin() + 38) == Ints{3, 7, 5, 0, 6, 2});
  const auto& sources = store.description().provenance.sources;
  REQUIRE(sources.size() == 4);
  CHECK(sources[0].file == "text_trainvalclasses.txt");
  CHECK(sources[1].file == "train/*/* (2 files)");
}

TEST_CASE("import cub: pictures that cannot be used, as --on-bad says") {
  if (!have_png()) return;
  const Birds birds;
  write_bytes(birds.in / "train/001.gull/z.jpg", "no picture");
  birds.check_rejected({"z.jpg"});
  CHECK(mentions(birds.import(OnBad::skip), "1 pictures not usable, whose samples are left out"));
  {
    const Store store = Store::open(birds.out);
    const Split& train = store.split("train");
    REQUIRE(train.num_samples() == 10);
    CHECK(train.item(0, 0) == 0);
    CHECK(train.item(0, 1) == 10);
    CHECK(train.num_items(1) == 20);  // captions without a picture still train their autoencoder
    CHECK(first_value(train, 0) == 20);
  }
  CHECK(mentions(birds.import(OnBad::missing), "1 pictures not usable, which their samples lack"));
  const Store store = Store::open(birds.out);
  store.validate();
  CHECK(store.split("train").num_samples() == 20);
  CHECK(store.split("train").item(3, 0) == -1);
  CHECK(store.split("train").item(3, 1) == 3);
}

TEST_CASE("import cub: what does not fit is named") {
  if (!have_png()) return;
  const Birds birds;
  birds.captions("text_testclasses.txt", {"owl"}, 9);
  birds.check_rejected({"text_testclasses.txt: 9 captions for the 1 pictures", "expected 10"});
  birds.captions("text_testclasses.txt", {"owl"});
  std::ofstream(birds.in / "text_trainvalclasses.txt", std::ios::app) << "  \n";
  birds.check_rejected({"text_trainvalclasses.txt: line 21: holds no word"});
  fs::remove(birds.in / "text_trainvalclasses.txt");
  birds.check_rejected({"text_trainvalclasses.txt: no such file"});
  birds.captions("text_trainvalclasses.txt", {"gull", "wren"});
  write_bytes(birds.in / "train/001.gull/notes.txt", "x");
  write_bytes(birds.in / "train/readme", "x");
  const auto notes = birds.import();
  CHECK(mentions(notes, "001.gull: not read: notes.txt"));
  CHECK(mentions(notes, "train: not read: readme"));
  fs::remove_all(birds.in / "test/003.owl");
  birds.check_rejected({"test: no pictures"});
  fs::remove_all(birds.in / "test");
  birds.check_rejected({"test: no such folder"});
  check_error(ErrorKind::usage, {"0 pixels"}, [&] { import_cub(birds.in, birds.out, {.side = 0}); });
}

TEST_CASE(
    "import captions: lines that belong together stay on one side, the vocabulary is of the training side") {
  const TempFolder folder;
  std::string text;
  for (int group = 0; group < 10; ++group)
    for (int line = 0; line < 4; ++line) text += cat("only", group, " word\n");
  write_bytes(folder / "t.txt", text);
  const CaptionsImport options{.length = 4, .together = 4, .test_fraction = 0.3, .seed = 5};
  CHECK(mentions(import_captions(folder / "t.txt", folder / "out", options), "test: 12 of 24 words"));
  const Store store = Store::open(folder / "out");
  store.validate();
  CHECK(store.description().provenance.seed == 5);
  CHECK(store.vocabulary(0).size() == 3 + 7 + 1);
  const Split &train = store.split("train"), &test = store.split("test");
  REQUIRE(train.num_samples() == 28);
  REQUIRE(test.num_samples() == 12);
  Ints ids(28 * 4), held(12 * 4), rows(28);
  std::iota(rows.begin(), rows.end(), 0);
  train.gather_tokens(0, rows, ids);
  test.gather_tokens(0, Ints(rows.begin(), rows.begin() + 12), held);
  for (std::size_t r = 0; r < 28; ++r) {
    CHECK(ids[r * 4] == ids[(r - r % 4) * 4]);
    CHECK(ids[r * 4] != kUnknownWord);
  }
  for (std::size_t r = 0; r < 12; ++r) CHECK(held[r * 4] == kUnknownWord);
  const auto rejected = [&](ErrorKind kind, std::initializer_list<std::string> words,
                            const CaptionsImport& how) {
    check_error(kind, words, [&] { import_captions(folder / "t.txt", folder / "no", how); });
    CHECK_FALSE(fs::exists(folder / "no"));
  };
  rejected(ErrorKind::data, {"t.txt: 40 captions", "no multiple of 7"}, {.together = 7});
  rejected(ErrorKind::usage, {"0 lines together"}, {.together = 0});
  rejected(ErrorKind::usage, {"test fraction 1"}, {.test_fraction = 1});
  write_bytes(folder / "t.txt", "");
  rejected(ErrorKind::data, {"t.txt", "no captions"}, {});
}
