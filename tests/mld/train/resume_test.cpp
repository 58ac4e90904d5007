// Runs that are continued, with other budgets above all.
#include <doctest/doctest.h>

#include "tests/mld/run_place.h"

namespace mld {
namespace {

namespace fs = std::filesystem;
using test::contains, test::error_of, test::everything, test::Place, test::record;

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
    CHECK(contains(message, "give the budget that it was trained with"));
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
  const std::size_t at = text.find("\"lr\": ", text.find("\n  \"score\": "));
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
    write_file_atomically(p.out / "evaluation-train.json", "[]");
    write_file_atomically(p.out / "evaluation-valid.old.json", "of before");
    const std::string before = everything(p.out);
    CHECK(contains(error_of(ErrorKind::usage, [&] { p.resume(longer); }), "--retrain-score"));
    CHECK(everything(p.out) == before);
    CHECK(p.resume(longer, {.retrain_score = true}) == StageEnd::finished);
    CHECK_FALSE(fs::exists(p.out / "evaluation.json"));  // it is not that of the new networks
    CHECK(read_text(p.out / "evaluation.old.json") == "{}");
    CHECK_FALSE(fs::exists(p.out / "evaluation-train.json"));
    CHECK(read_text(p.out / "evaluation-train.old.json") == "[]");
    CHECK(read_text(p.out / "evaluation-valid.old.json") == "of before");
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

}  // namespace mld
