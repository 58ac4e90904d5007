// The encodings that a run keeps: stage 2 goes on from them alone, and never from those of other networks or
// data.
#include "mld/modality/kept_latents.h"

#include <doctest/doctest.h>

#include <fstream>

#include "tests/mld/run_place.h"

namespace mld {
namespace {

namespace fs = std::filesystem;
using test::contains, test::error_of, test::Place, test::record;

// The store stays one of the same data, whose items cannot be read any more: their checksums are wrong.
void empty_items(const fs::path& store) {
  for (const char* name : {"train/a.npy", "train/b.npy"}) {
    const std::size_t size = data::NpyArray(store / name).view<float>().size_bytes();
    std::fstream file(store / name, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(-static_cast<std::streamoff>(size), std::ios::end);
    file << std::string(size, '\0');
    REQUIRE(file.good());
  }
}

}  // namespace

TEST_CASE("kept latents: stage 2 goes on without the items, to the bits of a run with them") {
  Place p;
  p.run(p.out, {});
  p.run(p.folder / "whole", {"score.steps=11"});
  empty_items(p.store);
  const test::More more{.stages = StageChoice::score};
  CHECK(p.resume({"score.steps=11"}, more) == StageEnd::finished);
  CHECK(record(p.out, "score").content == record(p.folder / "whole", "score").content);
  CHECK(read_text(p.out / "latents.safetensors") == read_text(p.folder / "whole" / "latents.safetensors"));
  CHECK(p.notes_with("encoded anew") == 0);
  // Without them the items are read, and found to be others.
  fs::remove(p.out / "latents.safetensors");
  CHECK(contains(error_of(ErrorKind::data, [&] { p.resume({"score.steps=12"}, more); }), "train/a.npy"));
}

TEST_CASE("kept latents: those of another autoencoder are encoded anew") {
  Place p;
  p.run(p.out, {});
  const std::string before = read_text(p.out / "latents.safetensors");
  p.resume({"stage1.steps=9"}, {.retrain_score = true});
  p.run(p.folder / "fresh", {"stage1.steps=9"});
  CHECK(read_text(p.out / "latents.safetensors") != before);
  CHECK(read_text(p.out / "latents.safetensors") == read_text(p.folder / "fresh" / "latents.safetensors"));
  CHECK(record(p.out, "score").content == record(p.folder / "fresh", "score").content);
}

TEST_CASE("kept latents: a damaged file is said and replaced, one of other data replaced") {
  Place p;
  p.run(p.out, {});
  const fs::path file = p.out / "latents.safetensors";
  const std::string whole = read_text(file), text = [&] {
    std::string damaged = whole;
    damaged[damaged.size() - 3] ^= 1;
    return damaged;
  }();
  write_file_atomically(file, text);
  p.resume({"score.steps=8"});
  CHECK(p.notes_with("the items are encoded anew") == 1);
  CHECK(read_text(file) == whole);

  p.use_data("other", {.shift = 0.125f});
  p.resume({"score.steps=10"}, {.other_data = true});
  CHECK(read_text(file) != whole);
}

TEST_CASE("kept latents: a file of other shapes or names is not read, nothing is kept of unnamed data") {
  const test::TempFolder folder;
  const fs::path file = folder / "latents.safetensors";
  int encoded = 0;
  const auto source = [&](const char* name, std::int64_t items, std::int64_t dim) {
    return LatentSource{name, "c0ffee", items, dim, [&encoded, items, dim] {
                          ++encoded;
                          return Tensor::full({items, dim}, 0.5);
                        }};
  };
  const auto times = [&](const char* data, const std::vector<LatentSource>& sources) {
    encoded = 0;
    const auto latents = kept_latents(file, data, sources, {});
    REQUIRE(latents.size() == sources.size());
    for (std::size_t i = 0; i < sources.size(); ++i) {
      CHECK(latents[i].shape() == Shape({sources[i].items, sources[i].dim}));
      CHECK(latents[i].data<float>()[0] == 0.5f);
    }
    return encoded;
  };
  CHECK(times("", {source("a", 3, 2)}) == 1);
  CHECK_FALSE(fs::exists(file));
  CHECK(times("d", {source("a", 3, 2), source("b", 4, 1)}) == 2);
  CHECK(times("d", {source("a", 3, 2), source("b", 4, 1)}) == 0);
  CHECK(times("e", {source("a", 3, 2), source("b", 4, 1)}) == 2);
  CHECK(times("e", {source("a", 3, 2), source("b", 5, 1)}) == 2);
  CHECK(times("e", {source("a", 3, 2)}) == 1);
  CHECK(times("e", {source("b", 3, 2)}) == 1);
}

TEST_CASE("kept latents: what cannot be written is said, and training goes on with what was encoded") {
  const test::TempFolder folder;
  std::vector<std::string> notes;
  const std::vector<LatentSource> sources{{"a", "c0ffee", 2, 3, [] { return Tensor::full({2, 3}, 1); }}};
  const auto latents = kept_latents(folder / "missing" / "latents.safetensors", "d", sources,
                                    [&](const std::string& line) { notes.push_back(line); });
  CHECK(latents.front().shape() == Shape({2, 3}));
  REQUIRE(notes.size() == 1);
  CHECK(contains(notes.front(), "latents.safetensors"));
  CHECK(contains(notes.front(), "training goes on"));
}

}  // namespace mld
