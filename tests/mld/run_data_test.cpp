// Runs and the data they were trained on: which are the same, and what is said of others.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "tests/mld/run_place.h"

namespace mld {
namespace {

namespace fs = std::filesystem;
using mld_test::contains, mld_test::error_of, mld_test::everything, mld_test::make_vectors, mld_test::Place,
    mld_test::record, mld_test::strip, mld_test::VectorData;

}  // namespace

TEST_CASE(
    "data: others than those trained on are refused by resume, and so is what was trained on them by reuse") {
  Place p;
  p.run(p.out, {}, {.stages = StageChoice::autoencoders});
  const std::string before = everything(p.out);
  const fs::path first = p.store;
  const auto other = [&](const char* name, const VectorData& data) {
    p.use_data(name, data);
    CAPTURE(name);
    CHECK(contains(error_of(ErrorKind::busy, [&] { p.resume({}); }), "--other-data"));
    CHECK(everything(p.out) == before);
    CHECK(contains(error_of(ErrorKind::model, [&] { p.run(p.folder / "new", {}, {.reuse = p.out}); }),
                   "other data"));
    CHECK_FALSE(fs::exists(p.folder / "new"));
  };
  other("range", {.shift = 0.25f});
  other("values", {.swapped = true});
  other("labels", {.classes = 3});
  other("rows", {.n = 30});
  other("holes", {.without_b = [](std::int64_t row) { return row == 5; }});
  other("shape", {.width_b = 5});
  error_of(ErrorKind::model, [&] { p.run(p.folder / "new", {}, {.reuse = p.out, .other_data = true}); });
  CHECK_FALSE(fs::exists(p.folder / "new"));  // no network of theirs fits

  fs::copy(first, p.folder / "moved", fs::copy_options::recursive);
  make_vectors(p.folder / "again");
  for (const char* name : {"moved", "again"}) {
    p.store = p.folder / name;
    p.notes.clear();
    CHECK(p.resume({}, {.stages = StageChoice::autoencoders}) == StageEnd::finished);
    CHECK(p.notes.empty());
    CHECK(p.run(p.folder / (std::string("new-") + name), {}, {.reuse = p.out}) == StageEnd::finished);
  }
}

TEST_CASE("data: others let in by name leave their mark, and are those of the run from then on") {
  Place p;
  p.run(p.out, {}, {.stages = StageChoice::autoencoders});
  const std::string first = read_run_dataset({p.out}).fingerprint;
  const fs::path before = p.store;
  const std::string second = p.use_data("other", {.swapped = true});
  CHECK(first != second);
  // Nothing to train, nothing to write down.
  CHECK(contains(error_of(ErrorKind::usage,
                          [&] { p.resume({}, {.stages = StageChoice::autoencoders, .other_data = true}); }),
                 "no step left to train"));
  CHECK(read_run_dataset({p.out}).fingerprint == first);
  CHECK(p.resume({}, {.other_data = true}) == StageEnd::finished);
  CHECK(read_run_dataset({p.out}).fingerprint == second);
  CHECK(record(p.out, "score").data == second);
  CHECK(record(p.out, "score").other_data == std::set<std::string>{first});
  CHECK(record(p.out, "autoencoder.a").other_data.empty());
  const Model model = Model::open(p.out);
  REQUIRE_FALSE(model.remarks().empty());
  CHECK(contains(model.remarks().back(), "score: trained on data of fingerprint " + second));
  CHECK(contains(model.remarks().back(), "others (--other-data): " + first));

  const std::string whole = everything(p.out);
  CHECK(p.resume({}) == StageEnd::finished);
  CHECK(everything(p.out) == whole);
  p.store = before;
  CHECK(contains(error_of(ErrorKind::busy, [&] { p.resume({}); }), "--other-data"));
  p.store = p.folder / "other";

  const fs::path reused = p.folder / "reused";
  CHECK(contains(error_of(ErrorKind::model, [&] { p.run(reused, {}, {.reuse = p.out}); }), first));
  CHECK(p.run(reused, {}, {.reuse = p.out, .other_data = true}) == StageEnd::finished);
  CHECK(record(reused, "score").other_data == std::set<std::string>{first});
  CHECK(contains(read_text(reused / "reused.json"), first));
  CHECK_FALSE(Model::open(reused).remarks().empty());
}

TEST_CASE("data: a network that saw only the later data says nothing of those before") {
  Place p;
  CHECK(p.run(p.out, {}, {.stages = StageChoice::classifiers}) == StageEnd::finished);
  p.use_data("other", {.swapped = true});
  p.resume({}, {.other_data = true});
  CHECK(record(p.out, "score").other_data.empty());
  CHECK(Model::open(p.out).remarks().empty());
}

namespace {

// Makes the run one on a store without fingerprint, imported from other files.
void forget_data(const Place& p) {
  data::Description old = read_run_dataset({p.out});
  old.fingerprint.clear();
  old.provenance.seed += 1;
  write_file_atomically(p.out / "dataset.json", data::to_json(old));
  for (const char* name : {"autoencoder.a", "autoencoder.b"})
    strip(p.out / (std::string(name) + ".safetensors"), {"data"});
}

}  // namespace

TEST_CASE(
    "data: what is taken over from data without fingerprint is marked, in the next run and those after") {
  for (const bool killed : {false, true}) {
    CAPTURE(killed);
    Place p;
    p.run(p.out, {}, {.stages = StageChoice::autoencoders});
    forget_data(p);
    const fs::path from = p.out;
    p.out = p.folder / "next";
    error_of(ErrorKind::model, [&] { p.run(p.out, {}, {.reuse = from}); });
    p.run(p.out, {}, {.reuse = from, .other_data = true});
    if (killed) {  // between the two copies
      fs::remove(p.out / "autoencoder.b.safetensors");
      fs::remove(p.out / "score.safetensors");
      p.resume({});
    }
    for (const char* part : {"autoencoder.a", "autoencoder.b", "score"})
      CHECK_MESSAGE(record(p.out, part).other_data == std::set<std::string>{kUnknownData}, part);
    CHECK(record(p.out, "classifier.a").other_data.empty());
    CHECK(Model::open(p.out).remarks().size() == 3);
    p.run(p.folder / "third", {}, {.reuse = p.out});
    CHECK(record(p.folder / "third", "score").other_data == std::set<std::string>{kUnknownData});
  }
}

TEST_CASE("data: epochs of another length are another cosine, which log and record say") {
  const std::vector<std::string> epochs{"score.steps=0", "score.epochs=4", "score.schedule=cosine",
                                        "score.lr=0.01"};  // of 3 steps each
  Place p;
  p.run(p.out, epochs, {.stages = StageChoice::autoencoders});
  p.resume(epochs, {.stages = StageChoice::classifiers});
  p.stop_after(5, epochs);
  REQUIRE(record(p.out, "score").steps == 5);
  fs::copy(p.out, p.folder / "stopped");
  p.use_data("longer", {.n = 48});  // 6 steps
  CHECK(
      contains(error_of(ErrorKind::usage, [&] { p.resume(epochs, {.stop_here = true, .other_data = true}); }),
               "has not seen the other data"));
  CHECK(p.resume(epochs, {.other_data = true}) == StageEnd::finished);
  CHECK(record(p.out, "score").steps == 24);
  CHECK(record(p.out, "score").earlier_schedules == std::vector<EarlierSchedule>{{5, 12}});
  CHECK(p.noted("score: continues from step 5 of 4 epochs (24 steps), from here on along the cosine of 24"));
  // A finished stage stays as it is, and more epochs are counted from the cosine it had.
  const std::string whole = everything(p.out);
  p.resume(epochs);
  CHECK(everything(p.out) == whole);

  // With fewer rows the epochs may be over already; the end is that of the data of before.
  p.out = p.folder / "stopped";
  p.use_data("shorter", {.n = 8});
  CHECK(contains(error_of(ErrorKind::usage, [&] { p.resume(epochs, {.other_data = true}); }),
                 "5 steps are made, more than the 4"));
  p.store = p.folder / "store";
  CHECK(p.resume(epochs, {.stop_here = true}) == StageEnd::finished);
  CHECK(read_run_config({p.out}).score.schedule_steps == 12);
}

TEST_CASE("data: those before are marked where no fingerprint tells them, even if the training is killed") {
  Place p;
  p.run(p.out, {}, {.stages = StageChoice::autoencoders});
  forget_data(p);
  p.stop_after(0, {}, {.other_data = true});
  p.resume({});
  CHECK(record(p.out, "score").other_data == std::set<std::string>{"unknown"});
  CHECK_FALSE(Model::open(p.out).remarks().empty());
}

TEST_CASE("data: without a fingerprint descriptions are compared, and that is said once") {
  Place p;
  p.run(p.out, {}, {.stages = StageChoice::autoencoders});
  data::Description old = read_run_dataset({p.out});
  old.fingerprint.clear();
  write_file_atomically(p.out / "dataset.json", data::to_json(old));
  p.resume({}, {.stages = StageChoice::autoencoders});
  CHECK(p.notes_with("no fingerprint") == 1);
  p.use_data("other", {.n = 26});
  error_of(ErrorKind::busy, [&] { p.resume({}); });
}

}  // namespace mld
