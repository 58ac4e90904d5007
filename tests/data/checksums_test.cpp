#include "data/store/checksums.h"

#include <doctest/doctest.h>

#include <functional>
#include <numeric>
#include <set>
#include <thread>

#include "data/store/store.h"
#include "data/store/store_writer.h"
#include "engine/io/crc32.h"
#include "tests/data/files.h"
#include "tests/data/store_fixture.h"

using namespace mld;
using namespace mld::data;
using namespace mld::test;

namespace {

// 4 MiB of items of 1000 bytes, so that some items lie in two blocks.
constexpr std::int64_t kItems = 4194, kItemBytes = 1000;

fs::path make_large(const TempFolder& folder) {
  Description d;
  d.name = "large";
  d.modalities = {modality("m", ModalityKind::vector, {kItemBytes}, DType::u8)};
  StoreWriter writer(folder / "large", d);
  Bytes values(kItems * kItemBytes);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint8_t>(i * i >> 7);
  writer.add_items("train", 0, std::span(values).first(3 * kItemBytes));
  writer.add_items("train", 0, std::span(values).subspan(3 * kItemBytes));
  writer.set_aligned_samples("train", kItems, {});
  writer.commit();
  return folder / "large";
}

// Reads one item of the store.
void read_item(const Split& split, std::int32_t item) {
  Reals out(kItemBytes);
  split.gather(0, Ints{item}, out);
}

// The fingerprint of a store that differs from the fixture's by `change` of the description and
// `fill` of the data.
std::string fingerprint_of(const std::function<void(Description&)>& change,
                           const std::function<void(StoreWriter&)>& fill = {}) {
  const TempFolder folder;
  Description d = describe();
  change(d);
  StoreWriter writer(folder / "other", d);
  fill_train(writer);
  fill_test(writer);
  if (fill) fill(writer);
  writer.commit();
  return Store::open(folder / "other").description().fingerprint;
}

}  // namespace

TEST_CASE("checksums: pieces of any size give what the whole gives") {
  std::vector<std::byte> bytes(3 * kChecksumBlock + 77);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * i >> 5);
  ChecksumStream whole;
  whole.add(bytes);
  const FileChecksums expected = whole.finish("f", "header");
  CHECK(expected.blocks.size() == 4);
  CHECK(expected.data == crc32(bytes));
  CHECK(expected.blocks[3] == crc32(std::span(bytes).subspan(3 * kChecksumBlock)));
  CHECK(expected.header == crc32(std::as_bytes(std::span("header", 6))));
  for (std::size_t piece : {std::size_t{4096}, std::size_t{1000003}, std::size_t{kChecksumBlock}}) {
    ChecksumStream stream;
    for (std::size_t at = 0; at < bytes.size(); at += piece)
      stream.add(std::span(bytes).subspan(at, std::min(piece, bytes.size() - at)));
    CHECK(stream.finish("f", "header") == expected);
  }
  CHECK(ChecksumStream().finish("f", "").blocks.empty());
}

TEST_CASE("checksums: validate finds every flipped bit in every file of a store") {
  const TempFolder folder;
  const fs::path out = make_store(folder);
  Store::open(out).validate();
  std::size_t tried = 0, missed = 0;
  for (const auto& entry : fs::recursive_directory_iterator(out)) {
    if (!entry.is_regular_file()) continue;
    const std::string whole = read_bytes(entry.path());
    const std::size_t bits = 8 * whole.size(), step = std::max<std::size_t>(bits / 240, 1) | 1U;
    for (std::size_t bit = 0; bit < bits; bit += step, ++tried) {
      flip_bit(entry.path(), bit);
      bool found = false;
      try {
        Store::open(out).validate();
      } catch (const Error& error) {
        CHECK_MESSAGE(error.kind() == ErrorKind::data, error.what());
        found = std::string(error.what()).find(out.string()) != std::string::npos;
      }
      if (!found) MESSAGE("missed: ", entry.path().string(), " bit ", bit);
      missed += !found;
      write_bytes(entry.path(), whole);
    }
  }
  CHECK(tried > 27 * 200);
  CHECK(missed == 0);
}

TEST_CASE("checksums: an item is compared when it is first read, and only its block") {
  const TempFolder folder;
  const fs::path out = make_large(folder);
  const std::size_t header = fs::file_size(out / "train/m.npy") - kItems * kItemBytes;
  flip_bit(out / "train/m.npy", 8 * (header + 2 * kChecksumBlock + 17) + 3);
  const Store store = Store::open(out);
  const Split& train = store.split("train");
  for (const std::int32_t item : {0, 1, 2096, 3146, 4193, -1}) read_item(train, item);
  const std::int32_t both = 2097, inside = 2500,
                     last = 3145;  // the first and the last reach into a neighbour
  for (const std::int32_t item : {both, inside, last, both})
    check_error(ErrorKind::data,
                {"train/m.npy", "block 2 (bytes 2097280 to 3145856)", "import the data again"},
                [&] { read_item(train, item); });
  Ints all(kItems);
  std::iota(all.begin(), all.end(), 0);
  Reals values(kItems * kItemBytes);
  check_error(ErrorKind::data, {"block 2"}, [&] { train.gather(0, all, values); });
  check_error(ErrorKind::data, {"block 2"}, [&] { store.validate(); });
}

TEST_CASE("checksums: several threads may read for the first time at once") {
  const TempFolder folder;
  const Store store = Store::open(make_large(folder));
  std::vector<std::thread> threads;
  std::atomic<int> failures = 0;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      try {
        for (std::int32_t item = t; item < kItems; item += 97) read_item(store.split("train"), item);
      } catch (...) {
        ++failures;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(failures == 0);
}

TEST_CASE("checksums: files exchanged between splits, stores and versions, or missing") {
  const auto refused = [](std::initializer_list<std::string> words, auto change) {
    const TempFolder folder, other;
    const fs::path out = make_store(folder);
    Description d = describe();
    d.classes = 4;
    StoreWriter writer(other / "set", d);
    fill_train(writer);
    fill_test(writer);
    writer.add_items("test", 0, Bytes(6, 8));
    writer.commit();
    change(out, other / "set");
    check_error(ErrorKind::data, words, [&] { Store::open(out).validate(); });
  };
  refused({"train/labels.npy", "block 0"}, [](const fs::path& out, const fs::path&) {
    fs::rename(out / "test/labels.npy", out / "x");
    fs::rename(out / "train/labels.npy", out / "test/labels.npy");
    fs::rename(out / "x", out / "train/labels.npy");
  });
  refused({"train/pic.npy", "block 0"}, [](const fs::path& out, const fs::path&) {
    fs::copy_file(out / "test/pic.npy", out / "train/pic.npy", fs::copy_options::overwrite_existing);
  });
  refused({"words.txt", "block 0"}, [](const fs::path& out, const fs::path&) {
    write_bytes(out / "words.txt", "<exc>\n<pad>\n<eos>\nbirb\n");
  });
  refused({"words.txt", "bytes, expected"},
          [](const fs::path& out, const fs::path&) { write_bytes(out / "words.txt", "a\nb\nc\nd\n"); });
  for (const char* file : {"dataset.json", "checksums.json"})
    refused({"dataset.json", "fingerprint", "different stores"},
            [&](const fs::path& out, const fs::path& other) {
              fs::copy_file(other / file, out / file, fs::copy_options::overwrite_existing);
            });
  refused({"checksums.json", "no such file"},
          [](const fs::path& out, const fs::path&) { fs::remove(out / "checksums.json"); });
  refused({"checksums.json", "JSON"},
          [](const fs::path& out, const fs::path&) { fs::resize_file(out / "checksums.json", 300); });
  refused({"dataset.json", "not as it was written"}, [](const fs::path& out, const fs::path&) {
    write_bytes(out / "dataset.json", replaced(read_bytes(out / "dataset.json"), "small", "smart"));
  });
}

TEST_CASE("fingerprint: equal data have the same, whatever their names") {
  const std::string reference = fingerprint_of([](Description&) {});
  CHECK(fingerprint_of([](Description&) {}) == reference);
  CHECK(fingerprint_of([](Description& d) { d.name = "another"; }) == reference);
  CHECK(fingerprint_of([](Description& d) { d.provenance = {"other", 7, {}}; }) == reference);
  CHECK(fingerprint_of([](Description& d) { d.modalities[3].vocabulary = "voc.txt"; }) == reference);
}

TEST_CASE("fingerprint: whatever is different makes it different") {
  const auto same = [](Description&) {};
  std::set<std::string> seen{fingerprint_of(same)};
  std::size_t changes = 1;
  const auto differs = [&](const std::string& what, const std::string& found) {
    CHECK_MESSAGE(seen.insert(found).second, what);
    ++changes;
  };
  differs("classes", fingerprint_of([](Description& d) { d.classes = 4; }));
  differs("range", fingerprint_of([](Description& d) { d.modalities[0].range = {-1, 1.0000001F}; }));
  differs("original range", fingerprint_of([](Description& d) { d.modalities[1].original_range->max = 1; }));
  differs("front end", fingerprint_of([](Description& d) { d.modalities[1].audio->hop = 256; }));
  differs("pen path", fingerprint_of([](Description& d) { d.modalities[2].pen_path = false; }));
  differs("categories", fingerprint_of([](Description& d) { d.modalities[4].categories = 3; }));
  differs("name of a modality", fingerprint_of([](Description& d) { d.modalities[2].name = "pencil"; }));
  differs("kind", fingerprint_of([](Description& d) { d.modalities[4].kind = ModalityKind::tokens; }));
  differs("an item more", fingerprint_of(same, [](StoreWriter& w) { w.add_items("test", 0, Bytes(6, 7)); }));
  differs("a byte", fingerprint_of(same, [](StoreWriter& w) {
            w.add_items("test", 0, Bytes{7, 7, 7, 7, 7, 8});
          }));
  differs("a float", fingerprint_of(same, [](StoreWriter& w) { w.add_items("test", 1, Reals{0, 0, 0, 0}); }));
  differs("its sign", fingerprint_of(same, [](StoreWriter& w) {
            w.add_items("test", 1, Reals{0, 0, -0.0F, 0});
          }));
  differs("an item's label", fingerprint_of(same, [](StoreWriter& w) {
            w.set_item_labels("train", 0, Ints{2, 0});
          }));
  differs("a sample's label", fingerprint_of(same, [](StoreWriter& w) {
            w.set_samples("train", kIndex, Ints{2, 1, -1, 1});
          }));
  differs("repetitions", fingerprint_of(same, [](StoreWriter& w) {
            w.set_samples("train", kIndex, Ints{2, 1, -1, 2}, 2);
          }));
  Ints index = kIndex;
  index[0] = 1;
  differs("the index", fingerprint_of(same, [&](StoreWriter& w) {
            w.set_samples("train", index, Ints{2, 1, -1, 2});
          }));
  differs("a word", fingerprint_of(same, [](StoreWriter& w) {
            w.set_vocabulary(3, std::vector<std::string>{"<exc>", "<pad>", "<eos>", "fish"});
          }));
  CHECK(seen.size() == changes);
}

TEST_CASE("store of version 1: opens, says that nothing can be checked, and keeps its text") {
  const TempFolder folder;
  const fs::path out = make_store(folder);
  CHECK(Store::open(out).checked());
  CHECK(Store::open(out).unchecked_note().empty());
  make_version_1(out);
  const std::string text = read_bytes(out / "dataset.json");
  CHECK(text.find("\"version\": 1") != std::string::npos);
  CHECK(text.find("fingerprint") == std::string::npos);
  CHECK(text.find("crc32\": \"0123abcd\"") != std::string::npos);  // of a source
  flip_bit(out / "train/pic.npy", 8 * (fs::file_size(out / "train/pic.npy") - 1));
  const Store store = Store::open(out);
  store.validate();
  CHECK_FALSE(store.checked());
  CHECK(store.description().fingerprint.empty());
  CHECK(store.unchecked_note().find("version 1, without checksums") != std::string::npos);
  CHECK(to_json(store.description()) == text);
}
