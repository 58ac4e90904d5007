// Runs that are continued: with other budgets, on other data, after a kill at the start, with parts of other
// runs.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "engine/io/atomic_file.h"
#include "mld/model.h"
#include "mld/run_data.h"
#include "mld/run_files.h"
#include "mld/train.h"
#include "tests/expect_error.h"
#include "tests/mld/vector_data.h"
#include "tests/temp_folder.h"

namespace mld {
namespace {

namespace fs = std::filesystem;
using mld_test::contains, mld_test::error_of, mld_test::make_vectors, mld_test::vector_config;

struct More {
  StageChoice stages = StageChoice::all;
  fs::path reuse = {};
  bool resume = false, stop_here = false, retrain_score = false, other_data = false;
};

struct Place {
  mld_test::TempFolder folder;
  fs::path store, out;
  std::vector<std::string> notes;
  TrainHooks hooks;

  Place() : store(folder / "store"), out(folder / "run") {
    make_vectors(store);
    hooks.note = [this](const std::string& line) { notes.push_back(line); };
  }

  StageEnd run(const fs::path& to, const std::vector<std::string>& settings, const More& more = {}) {
    return train({.config = vector_config(store, settings),
                  .out = to,
                  .stages = more.stages,
                  .reuse = more.reuse,
                  .resume = more.resume,
                  .stop_here = more.stop_here,
                  .retrain_score = more.retrain_score,
                  .other_data = more.other_data},
                 hooks);
  }
  StageEnd resume(const std::vector<std::string>& settings, More more = {}) {
    more.resume = true;
    return run(out, settings, more);
  }
  // Stops once `steps` steps are made in all stages together.
  void stop_after(int steps, const std::vector<std::string>& settings, const More& more = {}) {
    int left = steps;
    hooks.stop = [&] { return left-- <= 0; };
    CHECK(resume(settings, more) == StageEnd::stopped);
    hooks.stop = {};
  }
  bool noted(const std::string& text) const {
    return std::ranges::any_of(notes, [&](const std::string& line) { return contains(line, text); });
  }
};

StageRecord record(const fs::path& run, const std::string& part) {
  return read_stage_record(run / (part + ".safetensors")).value();
}

void strip(const fs::path& file, const std::vector<std::string>& keys) {
  nn::rewrite_notes(file, [&](Metadata& entries) {
    for (const std::string& key : keys) entries.erase(key);
  });
}

std::string everything(const fs::path& run) {
  std::string all;
  std::set<fs::path> files;
  for (const auto& entry : fs::directory_iterator(run)) files.insert(entry.path());
  for (const fs::path& file : files) all += file.filename().string() + "\n" + read_text(file);
  return all;
}

}  // namespace

TEST_CASE(
    "resume: a larger budget trains a finished stage on, and the record is that of a run of this length") {
  struct Variant {
    std::string part;
    std::vector<std::string> shorter, longer;
    StageChoice stages;
  };
  for (const Variant& v :
       {Variant{"score", {}, {"score.steps=11"}, StageChoice::all},
        Variant{"score",
                {"score.steps=0", "score.epochs=2"},
                {"score.steps=0", "score.epochs=4"},
                StageChoice::all},
        Variant{"autoencoder.b", {}, {"stage1.steps=9"}, StageChoice::autoencoders},
        Variant{"autoencoder.a", {}, {"modalities.a.stage1.steps=7"}, StageChoice::autoencoders},
        Variant{"classifier.a", {}, {"classifier_training.steps=9"}, StageChoice::classifiers}}) {
    CAPTURE(v.part);
    CAPTURE(v.longer.front());
    Place p;
    p.run(p.out, v.shorter, {.stages = v.stages});
    CHECK(p.resume(v.longer, {.stages = v.stages}) == StageEnd::finished);
    p.run(p.folder / "fresh", v.longer, {.stages = v.stages});
    CHECK(record(p.out, v.part).content == record(p.folder / "fresh", v.part).content);
    CHECK(record(p.out, v.part).steps == record(p.folder / "fresh", v.part).steps);
    CHECK(record(p.out, v.part).finished);
    CHECK(read_text(p.out / "config.json") == read_text(p.folder / "fresh" / "config.json"));
    CHECK(p.noted("continues from step "));
    p.notes.clear();
    const std::string before = everything(p.out);
    CHECK(p.resume(v.longer, {.stages = v.stages}) == StageEnd::finished);  // nothing is left to do
    CHECK(everything(p.out) == before);
    CHECK(p.notes.empty());
  }
}

TEST_CASE("resume: a budget of less than what is done is refused with both numbers, and nothing changes") {
  Place p;
  p.run(p.out, {"score.steps=0", "score.epochs=3"});  // of 3 steps each
  const std::string before = everything(p.out);
  const auto refused = [&](std::vector<std::string> settings, const char* done, const char* asked) {
    settings.insert(settings.begin(), {"score.steps=0", "score.epochs=3"});
    const std::string message = error_of(ErrorKind::usage, [&] { p.resume(settings); });
    CAPTURE(message);
    CHECK(contains(message, done));
    CHECK(contains(message, asked));
    CHECK(everything(p.out) == before);
  };
  refused({"score.epochs=2"}, "9 steps", "2 epochs (6 steps)");
  refused({"score.steps=5"}, "9 steps", "5 steps");
  refused({"stage1.steps=3"}, "4 steps", "3 steps");
  refused({"modalities.b.stage1.epochs=1"}, "4 steps", "1 epochs (3 steps)");
  refused({"classifier_training.steps=1"}, "4 steps", "1 steps");
  // Of a stage that this call does not train, even a larger one would be written and not used.
  const std::string message = error_of(ErrorKind::usage, [&] {
    p.resume({"score.steps=0", "score.epochs=3", "stage1.steps=30"}, {.stages = StageChoice::classifiers});
  });
  CHECK(contains(message, "modalities.a.stage1"));
  CHECK(everything(p.out) == before);
}

TEST_CASE("resume: a budget that would be written down but not used is refused, and nothing changes") {
  Place p;
  p.run(p.out, {});
  const std::string before = everything(p.out);
  for (const std::vector<std::string>& settings : {std::vector<std::string>{"score.minutes=30"},
                                                   {"score.epochs=2"},
                                                   {"score.steps=0", "score.epochs=2"},
                                                   {"stage1.minutes=1"},
                                                   {"modalities.a.classifier_training.epochs=1.3"},
                                                   {"score.schedule_steps=5"}}) {
    CAPTURE(settings.back());
    const std::string message = error_of(ErrorKind::usage, [&] { p.resume(settings); });
    CHECK(contains(message, " steps are made"));
    CHECK(contains(message, "leave the budget as it is"));
    CHECK(everything(p.out) == before);
  }
  // With more steps the limit of time is one that was used.
  CHECK(p.resume({"score.steps=9", "score.minutes=30"}) == StageEnd::finished);
  CHECK(record(p.out, "score").steps == 9);
  Model::open(p.out);
}

TEST_CASE("resume: other settings are refused, wherever they are written") {
  Place p;
  p.run(p.out, {});
  const std::string before = everything(p.out);
  for (const char* setting : {"stage1.lr=0.002", "stage1.batch=4", "classifier_training.lr=0.1",
                              "score.warmup=3", "modalities.a.weight=2", "score.schedule=cosine", "seed=4"}) {
    CAPTURE(setting);
    CHECK(contains(error_of(ErrorKind::busy, [&] { p.resume({setting}); }), "another configuration"));
    CHECK(everything(p.out) == before);
  }
  // A configuration that was changed by hand.
  std::string text = read_text(p.out / "config.json");
  const std::size_t at = text.rfind("\"lr\": ");
  REQUIRE(at != std::string::npos);
  text.replace(at, text.find(',', at) - at, "\"lr\": 0.07");
  write_file_atomically(p.out / "config.json", text);
  const std::string message = error_of(ErrorKind::model, [&] { p.resume({"score.lr=0.07"}); });
  CHECK(contains(message, "score.safetensors: was trained with other settings"));
  CHECK(contains(message, "score.lr: 0.001, not 0.07"));
  CHECK(contains(error_of(ErrorKind::model, [&] { Model::open(p.out); }), "score.lr: 0.001, not 0.07"));
}

TEST_CASE(
    "resume: a cosine goes on as that of the new budget, said in log and record, or as it was if asked") {
  const std::vector<std::string> cosine{"score.schedule=cosine", "score.lr=0.01"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), cosine.begin(), cosine.end());
    return more;
  };
  Place p;
  p.run(p.out, cosine);
  fs::copy(p.out, p.folder / "copy");
  p.resume(with({"score.steps=12"}));
  CHECK(p.noted("score: continues from step 6 of 12 steps, from here on along the cosine of 12 steps"));
  CHECK(record(p.out, "score").earlier_schedules == std::vector<EarlierSchedule>{{6, 6}});
  const Model mixed = Model::open(p.out);
  REQUIRE(mixed.remarks().size() == 1);
  CHECK(contains(mixed.remarks()[0], "up to step 6 its learning rate followed the cosine of 6 steps"));
  mixed.save(p.folder / "mixed.safetensors");
  CHECK(Model::open(p.folder / "mixed.safetensors").remarks() == mixed.remarks());

  p.out = p.folder / "copy";
  p.resume(with({"score.steps=12", "score.schedule_steps=6"}));
  CHECK(record(p.out, "score").earlier_schedules.empty());
  p.run(p.folder / "fresh", with({"score.steps=12", "score.schedule_steps=6"}));
  CHECK(record(p.out, "score").content == record(p.folder / "fresh", "score").content);
  CHECK(Model::open(p.out).remarks().empty());
  // Nothing left to do, so nothing may be written down either.
  CHECK(contains(error_of(ErrorKind::usage,
                          [&] {
                            p.resume(with({"score.steps=12", "score.schedule_steps=9"}));
                          }),
                 "along a cosine of 6 steps"));
}

TEST_CASE("resume: --stop-here ends a stage at the steps made, and a run configured so is the same") {
  struct Variant {
    std::string part;
    int polls;
    std::vector<std::string> settings;
  };
  for (const Variant& v :
       {Variant{"autoencoder.a", 2, {}}, Variant{"classifier.a", 6, {}}, Variant{"score", 19, {}},
        Variant{"score", 19, {"score.schedule=cosine", "score.epochs=2"}},
        Variant{"autoencoder.a", 3, {"stage1.schedule=cosine"}}}) {
    CAPTURE(v.part);
    Place p;
    p.stop_after(v.polls, v.settings);
    const std::int64_t made = record(p.out, v.part).steps;
    REQUIRE(made > 0);
    CHECK_FALSE(record(p.out, v.part).finished);
    CHECK(contains(
        error_of(
            ErrorKind::usage,
            [&] {
              std::vector<std::string> more = v.settings;
              more.insert(more.end(), {"score.steps=9", "stage1.steps=9", "classifier_training.steps=9"});
              p.resume(more, {.stop_here = true});
            }),
        "leave its budget out"));
    CHECK(p.resume(v.settings, {.stop_here = true}) == StageEnd::finished);
    CHECK(record(p.out, v.part).finished);
    CHECK(record(p.out, v.part).steps == made);
    const Config config = read_run_config({p.out});
    const TrainConfig& then = v.part == "score"         ? static_cast<const TrainConfig&>(config.score)
                              : v.part.starts_with("c") ? config.modalities[0].classifier_training
                                                        : config.modalities[0].stage1;
    CHECK(then.steps == made);
    CHECK(then.epochs == 0);
    Model::open(p.out);
    CHECK(contains(
        error_of(ErrorKind::usage,
                 [&] { train({.config = config, .out = p.out, .resume = true, .stop_here = true}, {}); }),
        "--stop-here has no stage to end"));
    train({.config = config, .out = p.folder / "fresh"}, {});
    for (const char* part : {"autoencoder.a", "classifier.b", "score"})
      CHECK_MESSAGE(record(p.out, part).content == record(p.folder / "fresh", part).content, part);
  }
}

TEST_CASE("resume: an autoencoder is not trained on under a score network, unless that is trained anew") {
  for (const std::string setting :
       {"stage1.steps=6", "modalities.b.stage1.steps=6", "modalities.a.stage1.epochs=2"}) {
    CAPTURE(setting);
    Place p;
    std::vector<std::string> shorter, longer{setting};
    if (setting.ends_with("epochs=2")) {
      shorter = {"modalities.a.stage1.steps=0", "modalities.a.stage1.epochs=1"};
      longer.insert(longer.begin(), "modalities.a.stage1.steps=0");
    }
    p.run(p.out, shorter);
    write_file_atomically(p.out / "evaluation.json", "{}");
    const std::string before = everything(p.out);
    CHECK(contains(error_of(ErrorKind::usage, [&] { p.resume(longer); }), "--retrain-score"));
    CHECK(everything(p.out) == before);
    CHECK(p.resume(longer, {.retrain_score = true}) == StageEnd::finished);
    CHECK_FALSE(fs::exists(p.out / "evaluation.json"));  // it is not that of the new networks
    CHECK(read_text(p.out / "evaluation.old.json") == "{}");
    p.run(p.folder / "fresh", longer);
    CHECK(record(p.out, "score").content == record(p.folder / "fresh", "score").content);
    Model::open(p.out);
  }
}

TEST_CASE("resume: a training that is to go on and is killed first counts as unfinished") {
  Place p;
  p.run(p.out, {});
  p.stop_after(0, {"score.steps=9"});
  CHECK(
      contains(error_of(ErrorKind::model, [&] { Model::open(p.out); }), "stopped before its end, at step 6"));
  p.resume({"score.steps=9"}, {.stop_here = true});  // and back
  CHECK(read_run_config({p.out}).score.steps == 6);
  Model::open(p.out);
}

TEST_CASE(
    "data: others than those trained on are refused by resume, and so is what was trained on them by reuse") {
  Place p;
  p.run(p.out, {}, {.stages = StageChoice::autoencoders});
  const std::string before = everything(p.out);
  const fs::path first = p.store;
  const auto other = [&](const char* name, const mld_test::VectorData& data) {
    p.store = p.folder / name;
    make_vectors(p.store, data);
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
  p.store = p.folder / "other";
  make_vectors(p.store, {.swapped = true});
  const std::string second = data::Store::open(p.store).description().fingerprint;
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
  p.store = p.folder / "other";
  make_vectors(p.store, {.swapped = true});
  p.resume({}, {.other_data = true});
  CHECK(record(p.out, "score").other_data.empty());
  CHECK(Model::open(p.out).remarks().empty());
}

TEST_CASE("data: those before are marked where no fingerprint tells them, even if the training is killed") {
  Place p;
  p.run(p.out, {}, {.stages = StageChoice::autoencoders});
  data::Description old = read_run_dataset({p.out});
  old.fingerprint.clear();
  old.provenance.seed += 1;
  write_file_atomically(p.out / "dataset.json", data::to_json(old));
  for (const char* name : {"autoencoder.a", "autoencoder.b"})
    strip(p.out / (std::string(name) + ".safetensors"), {"data"});
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
  CHECK(std::ranges::count_if(p.notes, [](const std::string& l) { return contains(l, "no fingerprint"); }) ==
        1);
  p.store = p.folder / "other";
  make_vectors(p.store, {.n = 26});
  error_of(ErrorKind::busy, [&] { p.resume({}); });
}

TEST_CASE("parts: a file of another run among a run's own is refused, both named") {
  Place p;
  p.run(p.out, {});
  const fs::path other = p.folder / "other";
  p.run(other, {"seed=1"});
  Model::open(p.out).save(p.folder / "export.safetensors");
  for (const char* name :
       {"autoencoder.a.safetensors", "autoencoder.b.safetensors", "classifier.b.safetensors"}) {
    CAPTURE(name);
    const fs::path mixed = p.folder / (std::string("mixed-") + name);
    fs::copy(p.out, mixed);
    fs::copy_file(other / name, mixed / name, fs::copy_options::overwrite_existing);
    const std::string message = error_of(ErrorKind::model, [&] { Model::open(mixed); });
    CHECK(contains(message, name));
    CHECK(contains(message, "score.safetensors"));
    p.out = mixed;
    CHECK(contains(error_of(ErrorKind::model, [&] { p.resume({}); }), name));
    if (std::string(name).starts_with("a")) {
      p.resume({}, {.retrain_score = true});
      Model::open(mixed);
    }
  }
  p.store = p.folder / "data2";
  make_vectors(p.store, {.shift = 1});
  p.run(p.folder / "run2", {});
  fs::copy(p.folder / "other", p.folder / "described");
  fs::copy_file(p.folder / "run2/dataset.json", p.folder / "described/dataset.json",
                fs::copy_options::overwrite_existing);
  CHECK(contains(error_of(ErrorKind::model, [&] { Model::open(p.folder / "described"); }), "dataset.json"));
  CHECK(Model::open(p.folder / "export.safetensors").unchecked().empty());
}

TEST_CASE(
    "parts: what is older than the records opens, exports and resumes, and says once what was not checked") {
  Place p;
  p.run(p.out, {});
  for (const char* name : {"score", "autoencoder.a", "autoencoder.b", "classifier.a", "classifier.b"})
    strip(p.out / (std::string(name) + ".safetensors"), {"parts", "data"});
  const Model model = Model::open(p.out);
  CHECK(model.unchecked().size() == 1);
  model.save(p.folder / "export.safetensors");
  CHECK(Model::open(p.folder / "export.safetensors").unchecked().size() == 1);
  CHECK(p.resume({}) == StageEnd::finished);
  CHECK(std::ranges::count_if(p.notes, [](const std::string& l) { return contains(l, "was not checked"); }) ==
        1);
  p.resume({"score.steps=8"});  // from here on it is known
  CHECK(Model::open(p.out).unchecked().empty());
}

TEST_CASE("parts: a configuration that is not that of the networks is refused by whoever opens the run") {
  Place p;
  p.run(p.out, {});
  const auto refused = [&](const std::string& config, const char* text) {
    CAPTURE(text);
    write_file_atomically(p.out / "config.json", config);
    CHECK(contains(error_of(ErrorKind::model, [&] { Model::open(p.out); }), text));
  };
  const auto configured = [&](const std::vector<std::string>& settings) {
    return to_json(vector_config(p.store, settings));
  };
  const std::string own = read_text(p.out / "config.json");
  refused(configured({"seed=1"}), "seed: 0, not 1");
  refused(configured({"score.lr=0.5"}), "score.lr");
  refused(configured({"score.steps=7"}), "score.steps: 6, not 7");
  refused(configured({"stage1.steps=5"}), "modalities.a.stage1.steps: 4, not 5");
  refused(configured({"modalities.b.classifier_training.lr=0.5"}), "modalities.b.classifier_training.lr");
  refused(configured({"modalities.b.weight=3"}), "modalities.b.weight");
  Config turned = vector_config(p.store, {});
  std::swap(turned.modalities[0], turned.modalities[1]);
  refused(to_json(turned), "a, b, not b, a");
  // How samples are drawn and where the data are is for whoever continues to say.
  write_file_atomically(p.out / "config.json",
                        configured({"sampler.steps=3", "run.log_every=1", "threads=1"}));
  Model::open(p.out);
  write_file_atomically(p.out / "config.json", own);
  Model::open(p.out);
  // Parts taken over from a run of another seed are no mistake.
  p.run(p.folder / "next", {"seed=5"}, {.reuse = p.out});
  Model::open(p.folder / "next");
}

TEST_CASE("parts: what is not a temporary of ours is found before anything changes") {
  for (const char* name : {".score.safetensors.tmp", ".config.json.tmp", ".metrics.jsonl.tmp"}) {
    CAPTURE(name);
    Place p;
    p.run(p.out, {});
    write_file_atomically(p.out / "evaluation.json", "{}");
    write_file_atomically(p.folder / "precious", "precious");
    fs::create_hard_link(p.folder / "precious", p.out / name);
    const std::string before = everything(p.out);
    CHECK(contains(error_of(ErrorKind::io, [&] { p.resume({"score.steps=9"}); }), name));
    CHECK(everything(p.out) == before);
    CHECK(read_text(p.folder / "precious") == "precious");
  }
}

TEST_CASE("parts: classifiers that are trained after the score network become its own") {
  Place p;
  p.run(p.out, {}, {.stages = StageChoice::autoencoders});
  p.resume({}, {.stages = StageChoice::score});
  CHECK(record(p.out, "score").parts.size() == 2);
  p.resume({}, {.stages = StageChoice::classifiers});
  CHECK(record(p.out, "score").parts.size() == 4);
  Model::open(p.out);
  p.stop_after(2, {"classifier_training.steps=9"}, {.stages = StageChoice::classifiers});
  CHECK_FALSE(record(p.out, "score").parts.contains("classifier.a"));
  p.resume({"classifier_training.steps=9"}, {.stages = StageChoice::classifiers});
  CHECK(record(p.out, "score").parts.size() == 4);
  Model::open(p.out);
  p.run(p.folder / "fresh", {"classifier_training.steps=9"});
  CHECK(read_text(p.out / "config.json") == read_text(p.folder / "fresh/config.json"));
  CHECK(record(p.out, "score").content == record(p.folder / "fresh", "score").content);
}

TEST_CASE("start: what a killed start left is no obstacle; what is not ours stays") {
  Place p;
  for (const char* name : {".config.json.tmp", ".score.safetensors.tmp", ".lock", "reused.json"}) {
    CAPTURE(name);
    const fs::path out = p.folder / (std::string("left-") + name);
    fs::create_directories(out);
    std::ofstream(out / name) << "half";
    CHECK(p.run(out, {}, {.stages = StageChoice::autoencoders}) == StageEnd::finished);
    CHECK(fs::exists(out / ".config.json.tmp") == false);
  }
  for (const char* name :
       {"letter.txt", ".hidden", "config.json.tmp", "autoencoder.a.safetensors", "dataset.json"}) {
    CAPTURE(name);
    const fs::path out = p.folder / (std::string("foreign-") + name);
    fs::create_directories(out);
    std::ofstream(out / name) << "precious";
    error_of(ErrorKind::busy, [&] { p.run(out, {}); });
    CHECK(everything(out).ends_with("precious"));
  }
  const fs::path linked = p.folder / "linked";
  fs::create_directories(linked);
  std::ofstream(p.folder / "elsewhere") << "precious";
  fs::create_hard_link(p.folder / "elsewhere", linked / ".config.json.tmp");
  error_of(ErrorKind::busy, [&] { p.run(linked, {}); });
  CHECK(read_text(p.folder / "elsewhere") == "precious");
}

TEST_CASE("start: a reuse that was killed is completed by resume, with the same files") {
  Place p;
  const fs::path from = p.folder / "from";
  p.run(from, {"seed=3"});
  p.run(p.folder / "whole", {}, {.reuse = from});
  for (const int kept : {0, 1, 3}) {
    CAPTURE(kept);
    p.out = p.folder / ("part" + std::to_string(kept));
    fs::create_directories(p.out);
    const std::vector<std::string> files{"reused.json", "config.json", "dataset.json",
                                         "autoencoder.a.safetensors", "classifier.a.safetensors"};
    for (int i = 0; i < 2 + kept; ++i)
      fs::copy_file(p.folder / "whole" / files[static_cast<std::size_t>(i)],
                    p.out / files[static_cast<std::size_t>(i)]);
    CHECK(p.resume({}) == StageEnd::finished);
    for (const char* name : {"autoencoder.a.safetensors", "autoencoder.b.safetensors", "score.safetensors"})
      CHECK_MESSAGE(read_text(p.out / name) == read_text(p.folder / "whole" / name), name);
  }
  // What is there already and is not theirs is not passed off as theirs.
  p.out = p.folder / "own";
  p.run(p.out, {}, {.stages = StageChoice::autoencoders});
  CHECK(contains(error_of(ErrorKind::busy, [&] { p.resume({}, {.reuse = from}); }), "leave --reuse out"));
}

TEST_CASE("start: whatever can be known is checked before there is a folder") {
  Place p;
  const fs::path out = p.folder / "new";
  const auto refused = [&](ErrorKind kind, const std::vector<std::string>& settings,
                           const std::string& text) {
    const std::string message = error_of(kind, [&] { p.run(out, settings); });
    CHECK_MESSAGE(contains(message, text), message);
    CHECK_FALSE(fs::exists(out));
  };
  refused(ErrorKind::usage, {"modalities.b.autoencoder=conv"}, "'conv'");
  refused(ErrorKind::usage, {"modalities.b.likelihood=categorical"}, "modality 'b'");
  refused(ErrorKind::usage, {"modalities.b.classifier=svhn"}, "'svhn'");
  const auto with = [&](const char* name, const mld_test::VectorData& data) {
    p.store = p.folder / name;
    make_vectors(p.store, data);
  };
  with("once", {.without_b = [](std::int64_t row) { return row != 4; }});
  refused(ErrorKind::data, {}, "modality 'b': is in 1 of the 24 samples");
  with("one", {.n = 1, .classes = 0});
  refused(ErrorKind::data, {}, "modality 'a': is in 1 of the 1 samples");
  with("late", {.without_b = [](std::int64_t row) { return row >= 2; }});
  refused(ErrorKind::data, {"score.latent_statistics=first_batch", "score.batch=2"}, "modality 'b': is in ");
  // An unwritable place, and a start that fails leaves no folder either.
  with("again", {});
  CHECK(contains(
      error_of(ErrorKind::model, [&] { p.run(out / "deep" / "er", {}, {.stages = StageChoice::score}); }),
      "train the autoencoders first"));
  CHECK_FALSE(fs::exists(out));
  fs::create_directories(out / "score.safetensors");
  write_file_atomically(out / "config.json", "{}");
  error_of(ErrorKind::io, [&] { p.run(out, {}); });
}

TEST_CASE("train: a modality whose labelled samples lack it gets no classifier, and the rest goes on") {
  for (const int kept : {1, 3, 5}) {
    Place p;
    p.store = p.folder / "hidden";
    const fs::path raw = p.folder / "raw";
    for (const char* split : {"train", "test"}) {
      std::vector<float> a, b;
      std::vector<std::int32_t> labels;
      for (std::int64_t i = 0; i < 24; ++i) {
        // What has a label lacks b.
        const bool lacks = i % 2 == 0 || i / 2 >= 4 + kept;
        for (int j = 0; j < 3; ++j) a.push_back(static_cast<float>(i % 4) + 0.1f * static_cast<float>(j));
        for (int j = 0; j < 4; ++j) b.push_back(lacks ? std::nanf("") : static_cast<float>(i % 3));
        labels.push_back(lacks ? static_cast<std::int32_t>(i / 2 % 2) : -1);
      }
      mld_test::write_array(raw / split / "a.npy", DType::f32, {24, 3}, a.data(), a.size() * 4);
      mld_test::write_array(raw / split / "b.npy", DType::f32, {24, 4}, b.data(), b.size() * 4);
      mld_test::write_array(raw / split / "labels.npy", DType::i32, {24}, labels.data(), labels.size() * 4);
    }
    data::import_npy(raw, p.store, {});
    CHECK(p.run(p.out, {}) == StageEnd::finished);
    CHECK(p.noted("classifier/b: left out, none of its items in split 'train' has a label"));
    CHECK(fs::exists(p.out / "classifier.a.safetensors"));
    const Model model = Model::open(p.out);
    CHECK_FALSE(model.has_classifier(1));
  }
}

TEST_CASE("run: a store that was named relatively is found from elsewhere") {
  Place p;
  const fs::path before = fs::current_path();
  fs::current_path(p.folder.path());
  p.store = "store";
  p.out = "run";
  p.run(p.out, {}, {.stages = StageChoice::autoencoders});
  const Config config = read_run_config({p.out});
  CHECK(fs::path(config.data.store).is_absolute());
  fs::current_path(before);
  CHECK(data::Store::open(find_store(config.data.store, p.folder / "run")).num_modalities() == 2);
  // Runs of before.
  CHECK(find_store("store", p.folder / "run") == p.folder / "store");
  CHECK(find_store("store", (p.folder / "run").string() + "/") == p.folder / "store");
  CHECK(find_store((p.folder / "store").string(), "nowhere") == p.folder / "store");
  const std::string message = error_of(ErrorKind::data, [&] { find_store("gone", p.folder / "run"); });
  CHECK(contains(message, "neither here nor in " + p.folder.path().string()));
  CHECK(contains(message, "--data"));
}

}  // namespace mld
