// Runs and the data they were trained on: which are the same, and what is said of others.
#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/mld/run_place.h"

namespace mld {
namespace {

namespace fs = std::filesystem;
using test::contains, test::error_of, test::everything, test::make_vectors, test::More, test::Place,
    test::record, test::strip, test::VectorData;

}  // namespace

TEST_CASE(
    "data: others than those trained on are refused by resume, and so is what was trained on them by reuse") {
  Place p;
  p.run(p.out, {}, {.stages = StageChoice::autoencoders});
  const std::string before = everything(p.out);
  const fs::path first = p.store;
  const auto other = [&](const char* name, const VectorData& data, const char* remedy = "--other-data") {
    p.use_data(name, data);
    CAPTURE(name);
    CHECK(contains(error_of(ErrorKind::busy, [&] { p.resume({}); }), remedy));
    CHECK(everything(p.out) == before);
    CHECK(
        contains(error_of(ErrorKind::model, [&] { p.run(p.folder / "new", {}, {.reuse = p.out}); }), remedy));
    CHECK_FALSE(fs::exists(p.folder / "new"));
  };
  other("range", {.shift = 0.25f});
  other("values", {.swapped = true});
  other("labels", {.classes = 3}, "cannot work on these");
  other("rows", {.n = 30});
  other("holes", {.without_b = [](std::int64_t row) { return row == 5; }});
  other("shape", {.width_b = 5}, "cannot work on these");
  CHECK(contains(
      error_of(ErrorKind::data, [&] { p.run(p.folder / "new", {}, {.reuse = p.out, .other_data = true}); }),
      "modality 'b' has shape [5], the model was trained on [4]"));
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
  CHECK(contains(model.remarks().back(), "score: in a run on data of fingerprint " + second));
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
  const Model model = Model::open(p.out);
  REQUIRE(model.remarks().size() == 2);
  CHECK(contains(model.remarks()[0], "classifier.a: in a run on data of "));
  // Programs of before did not mark what they let in; the score network names it.
  for (const char* part : {"classifier.a", "classifier.b"})
    strip(p.out / (std::string(part) + ".safetensors"), {"beside"});
  Model::open(p.out);
  const std::string whole = everything(p.out);
  p.resume({});
  CHECK(everything(p.out) == whole);
  p.resume({"score.steps=9"});
  p.resume({"score.steps=9"}, {.retrain_score = true});
  Model::open(p.out);
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
    const std::string own = read_run_dataset({p.out}).fingerprint;
    for (const char* part : {"autoencoder.a", "autoencoder.b", "score", "classifier.a"}) {
      const bool marked = std::string(part) != "classifier.a";
      CHECK_MESSAGE(other_data(record(p.out, part), own).contains(kUnknownData) == marked, part);
    }
    CHECK(Model::open(p.out).remarks().size() == 3);
    p.run(p.folder / "third", {}, {.reuse = p.out});
    CHECK(record(p.folder / "third", "score").other_data == std::set<std::string>{kUnknownData});
  }
}

TEST_CASE("data: checkpoints of other data are found by what they say themselves") {
  Place p;
  p.run(p.out, {});
  const std::string own = read_run_dataset({p.out}).fingerprint;
  const std::string other = p.use_data("other", {.swapped = true});
  p.run(p.folder / "of-other", {});
  const std::vector<std::string> all{"autoencoder.a", "autoencoder.b", "classifier.a", "classifier.b",
                                     "score"};
  const auto mixed = [&](const char* name, const std::vector<std::string>& foreign, bool without_score) {
    p.out = p.folder / name;
    fs::copy(p.folder / "run", p.out);
    if (without_score) fs::remove(p.out / "score.safetensors");
    for (const std::string& part : foreign)
      fs::copy_file(p.folder / "of-other" / (part + ".safetensors"), p.out / (part + ".safetensors"),
                    fs::copy_options::overwrite_existing);
  };
  const auto refused = [&](const More& more = {}) {
    const std::string before = everything(p.out);
    const std::string message = error_of(ErrorKind::busy, [&] { p.resume({}, more); });
    CHECK_MESSAGE(contains(message, "was trained on data of fingerprint " + other), message);
    CHECK_MESSAGE(contains(message, "holds those of fingerprint " + own), message);
    CHECK(everything(p.out) == before);
  };
  p.store = p.folder / "store";
  mixed("all", all, false);
  refused();
  CHECK(contains(error_of(ErrorKind::model, [&] { Model::open(p.out); }), other));
  mixed("encoders", {"autoencoder.a", "autoencoder.b"}, true);
  refused();
  CHECK(contains(error_of(ErrorKind::model, [&] { Model::open(p.out); }), other));
  mixed("encoder", {"autoencoder.b"}, false);
  refused({.retrain_score = true});
  mixed("classifier", {"classifier.a"}, false);
  refused({.retrain_score = true});
  // By name they are let in, which a killed training does not forget.
  mixed("let-in", {"autoencoder.b"}, true);
  p.stop_after(0, {}, {.other_data = true});
  fs::remove(p.out / "score.safetensors");
  Model::open(p.out);
  p.resume({});
  CHECK(record(p.out, "score").data == own);
  CHECK(record(p.out, "score").other_data == std::set<std::string>{other});
  Model::open(p.out);
  // What the score network saw of other data excuses no other file of them.
  fs::copy_file(p.folder / "of-other/classifier.a.safetensors", p.out / "classifier.a.safetensors",
                fs::copy_options::overwrite_existing);
  refused({.retrain_score = true});
  nn::rewrite_notes(p.out / "score.safetensors", [](Metadata& entries) {
    auto parts = nlohmann::json::parse(entries["parts"]);
    parts.erase("classifier.a");
    entries["parts"] = parts.dump();
  });
  refused();
  refused({.stages = StageChoice::classifiers});
  fs::remove(p.out / "classifier.a.safetensors");
  p.resume({});
  // As the program did before it marked what is let in.
  strip(p.out / "autoencoder.b.safetensors", {"beside"});
  p.resume({});
  p.resume({"score.steps=9"});
  Model::open(p.out);
  // A run without its description is known by its checkpoints.
  mixed("undescribed", {}, false);
  fs::remove(p.out / "dataset.json");
  p.store = p.folder / "other";
  const std::string message = error_of(ErrorKind::busy, [&] { p.resume({}); });
  CHECK(contains(message, own));
  CHECK_FALSE(fs::exists(p.out / "dataset.json"));
  p.store = p.folder / "store";
  p.resume({});
  Model::open(p.out);
}

TEST_CASE("data: what was compared by descriptions alone is not called other data") {
  Place p;
  p.run(p.out, {});
  const std::string own = read_run_dataset({p.out}).fingerprint;
  // The same store as of version 1, and another.
  fs::copy(p.store, p.folder / "v1", fs::copy_options::recursive);
  const auto to_version_1 = [&](const char* name) {
    data::Description described = data::Store::open(p.folder / name).description();
    described.fingerprint.clear();
    write_file_atomically(p.folder / name / "dataset.json", data::to_json(described));
    fs::remove(p.folder / name / "checksums.json");
    return data::Store::open(p.folder / name).description();
  };
  REQUIRE(to_version_1("v1").fingerprint.empty());
  fs::copy(p.out, p.folder / "copy");
  p.store = p.folder / "v1";
  p.resume({"score.steps=9"});
  CHECK(record(p.out, "score").other_data.empty());
  p.run(p.folder / "reused", {}, {.reuse = p.folder / "copy"});
  CHECK(record(p.folder / "reused", "score").other_data.empty());

  // Nor what is imported again, of a run that went over to such data.
  p.use_data("w1", {.swapped = true});
  fs::copy(p.folder / "w1", p.folder / "w2", fs::copy_options::recursive);
  to_version_1("w1");
  p.out = p.folder / "again";
  fs::copy(p.folder / "copy", p.out);
  p.resume({"score.steps=9"}, {.other_data = true});
  p.store = p.folder / "w2";
  p.resume({"score.steps=9"});
  p.resume({"score.steps=12"});
  p.resume({"score.steps=12"}, {.retrain_score = true});
  CHECK(record(p.out, "score").other_data == std::set<std::string>{own});
  Model::open(p.out);
  p.store = p.folder / "w1";
  p.out = p.folder / "copy";
  error_of(ErrorKind::busy, [&] { p.resume({"score.steps=9"}); });
  p.stop_after(0, {"score.steps=9"}, {.other_data = true});
  p.resume({"score.steps=9"});
  CHECK(record(p.out, "score").other_data == std::set<std::string>{own});
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
