#include "mld/study/ablation.h"

#include <doctest/doctest.h>

#include <fstream>

#include "data/digits/digits.h"
#include "data/importers/import.h"
#include "mld/report/ablation_page.h"
#include "mld/run/run_files.h"
#include "mld/study/tables/evaluation_file.h"
#include "tests/expect_error.h"
#include "tests/mld/vector_data.h"
#include "tests/mld/workshop.h"
#include "tests/temp_folder.h"

namespace mld {
namespace {

namespace fs = std::filesystem;
using test::contains;
using test::error_of;

struct Study {
  test::TempFolder folder;
  fs::path store;
  std::vector<std::string> notes;
  int trained = 0;  // steps that were reported
  AblationHooks hooks;

  Study() : store(folder / "store") {
    data::write_digits(data::make_digits({.seed = 3, .train = 48, .test = 24}), store, 3);
    hooks.train.progress = [this](const StageProgress&) { ++trained; };
    hooks.note = [this](const std::string& line) { notes.push_back(line); };
  }

  AblationRequest request(const std::string& variation, std::vector<std::uint64_t> seeds = {0}) const {
    const auto [key, values] = parse_variation(variation);
    return {.key = key,
            .values = values,
            .seeds = std::move(seeds),
            .configure =
                [this](const std::vector<std::string>& cell) {
                  std::vector<std::string> settings{"score.steps=4", "vae.steps=4", "sampler.steps=6",
                                                    "sampler.resample=1"};
                  settings.insert(settings.end(), cell.begin(), cell.end());
                  return test::tiny_config(store, settings);
                },
            .out = folder / "out",
            .evaluation = {.metrics = parse_metrics("coherence")}};
  }
};

std::string without_time(std::string text) {
  const std::size_t at = text.find("\"seconds\""), end = text.find('\n', at);
  return text.erase(at, end - at);
}

}  // namespace

TEST_CASE("ablation: what is varied is a key and its values") {
  CHECK(parse_variation("score.d=0.1,0.3") ==
        std::pair<std::string, std::vector<std::string>>{"score.d", {"0.1", "0.3"}});
  CHECK(parse_variation("score.mults=[1],[1,2]").second == std::vector<std::string>{"[1]", "[1,2]"});
  for (const char* bad : {"score.d", "=1", "score.d=", "score.d=1,,2", "score.d=1,", "score.d=1,2,1"})
    CHECK(contains(error_of(ErrorKind::usage, [&] { parse_variation(bad); }), "ablation: "));
}

TEST_CASE("ablation: a cell is the run that train and evaluate make, and stage 1 is trained once") {
  Study study;
  const AblationRequest request = study.request("score.d=0.25,0.75", {0, 1});
  const std::vector<AblationCell> cells = ablate(request, study.hooks).cells;
  REQUIRE(cells.size() == 4);
  CHECK(cells[0].value == "0.25");
  CHECK(cells[1].value == "0.75");
  CHECK(cells[2].seed == 1);
  CHECK(cells[3].evaluation == study.folder / "out" / "results" / "0.75-seed1.json");

  // The same cell by hand.
  const Config config = request.configure({"score.d=0.75", "seed=1"});
  const fs::path stage1 = request.out / "stage1", by_hand = study.folder / "by_hand";
  CHECK(train({.config = config, .out = by_hand, .reuse = stage1}, {}) == StageEnd::finished);
  for (const char* file :
       {"score.safetensors", "autoencoder.image.safetensors", "classifier.sound.safetensors"})
    CHECK_MESSAGE(read_text(by_hand / file) == read_text(request.out / "0.75-seed1" / file), file);
  EvaluationOptions options = request.evaluation;
  options.sampling = sample_settings(config);
  Evaluation e = evaluate(Model::open(by_hand.string()), data::Store::open(study.store), options);
  const std::string json = read_text(cells[3].evaluation);
  CHECK(without_time(to_json(e)) == without_time(json));
  CHECK(json.size() < 10'000);

  SUBCASE("what is there is not computed again, what is missing is") {
    study.trained = 0;
    CHECK(ablate(request, study.hooks).cells.size() == 4);
    CHECK(study.trained == 0);
    // The evaluations alone suffice.
    for (const char* run : {"stage1", "0.25-seed0", "0.75-seed0", "0.25-seed1", "0.75-seed1"})
      fs::remove_all(request.out / run);
    CHECK(ablate(request, study.hooks).cells.size() == 4);
    CHECK(study.trained == 0);
    fs::remove(cells[3].evaluation);
    CHECK(ablate(request, study.hooks).cells.size() == 4);
    CHECK(study.trained > 0);
    AblationRequest elsewhere = request;
    elsewhere.out = study.folder / "elsewhere";
    elsewhere.results = request.out / "results";
    study.trained = 0;
    CHECK(ablate(elsewhere, study.hooks).cells.size() == 4);
    CHECK(study.trained == 0);
    CHECK(fs::is_directory(elsewhere.out));  // for the page
    CHECK(without_time(read_text(cells[3].evaluation)) == without_time(json));
    CHECK_FALSE(fs::exists(request.out / "0.25-seed0"));
  }
  SUBCASE("an evaluation of another kind is in the way") {
    AblationRequest other = request;
    other.sampling = [](SampleSettings s) {
      s.sampler.steps = 5;
      return s;
    };
    CHECK(contains(error_of(ErrorKind::busy, [&] { ablate(other, study.hooks); }),
                   "was made with schedule dpm_sde 6 churn 10, not dpm_sde 5 churn 10"));
    other = request;
    other.evaluation.samples = 20;
    CHECK(contains(error_of(ErrorKind::busy, [&] { ablate(other, study.hooks); }), "made with N 24, not 20"));
    other = request;
    other.configure = [&](const std::vector<std::string>& cell) {
      Config changed = request.configure(cell);
      changed.score.lr = 1e-4;
      return changed;
    };
    CHECK(
        contains(error_of(ErrorKind::busy, [&] { ablate(other, study.hooks); }), "made with configuration "));
    other.configure = [&](const std::vector<std::string>& cell) {
      Config changed = request.configure(cell);
      changed.modalities[0].classifier_training.steps = 6;
      return changed;
    };
    CHECK(contains(error_of(ErrorKind::busy, [&] { ablate(other, study.hooks); }), "classifiers of recipe "));
    other = request;
    other.evaluation.metrics = parse_metrics("coherence,quality");
    CHECK(contains(error_of(ErrorKind::busy, [&] { ablate(other, study.hooks); }),
                   "without the metric quality"));
    other = request;
    other.sampling = [](SampleSettings s) {
      s.seed += 7;
      return s;
    };
    CHECK(
        contains(error_of(ErrorKind::busy, [&] { ablate(other, study.hooks); }), "samples of seed 0, not 7"));
  }
  SUBCASE("as a page") {
    const std::string page = report::ablation_page({.key = "score.d"}, cells);
    CHECK(contains(page, "Coherence against score.d"));
    CHECK(contains(page, "given 2"));  // of leave-one-out
    CHECK(contains(page, "MLD, d 0.75"));
    // Side by side, of the first seed: given an image, each run's sounds.
    CHECK(contains(page, "Given image<"));
    CHECK(contains(page, "sound of score.d 0.25"));
    CHECK(contains(page, "sound of score.d 0.75"));
    CHECK(contains(page, "as they are configured (dpm_sde 6 churn 10)"));
    // A run that cannot be opened costs the samples, not the page.
    fs::remove(request.out / "0.25-seed0" / "autoencoder.sound.safetensors");
    const std::string without = report::ablation_page({.key = "score.d"}, cells);
    CHECK(contains(without, "No samples are shown: "));
    CHECK(contains(without, "MLD, d 0.75"));
    CHECK(contains(page, "<svg class=\"chart\""));
    CHECK_FALSE(contains(report::ablation_page({.key = "model.kind"},
                                               std::vector{AblationCell{"mld", 0, cells[0].evaluation}}),
                         "<svg"));
  }
}

TEST_CASE("ablation: evaluations of the first rows are a table of their own, not continued with drawn ones") {
  Study study;
  AblationRequest request = study.request("score.d=0.25,0.75");
  request.evaluation.samples = 15;
  const std::vector<AblationCell> cells = ablate(request, study.hooks).cells;
  REQUIRE(cells.size() == 2);
  CHECK(contains(read_text(cells[0].evaluation), "\"rows\": \"drawn\""));
  CHECK(ablate(request, study.hooks).cells.size() == 2);
  const auto make_older = [](const fs::path& file) {
    std::string text = read_text(file);
    for (const char* line : {"\"rows\": ", "\"unlabelled\": ", "\"of_classes\": "}) {
      const std::size_t at = text.find(line);
      REQUIRE(at != std::string::npos);
      text.erase(at, text.find('\n', at) + 1 - at);
    }
    std::ofstream(file) << text;
  };
  make_older(cells[0].evaluation);
  CHECK(contains(error_of(ErrorKind::busy, [&] { ablate(request, study.hooks); }),
                 "was measured on the first 15 rows of split 'test', "));
  make_older(cells[1].evaluation);
  study.notes.clear();
  CHECK(ablate(request, study.hooks).cells.size() == 2);
  CHECK(contains(study.notes.back(), "which are drawn by class today"));
  fs::remove(cells[1].evaluation);
  study.trained = 0;
  CHECK(contains(error_of(ErrorKind::busy, [&] { ablate(request, study.hooks); }), "the first 15 rows"));
  CHECK(study.trained == 0);

  AblationRequest other = study.request("score.d=0.25,0.75");
  other.out = study.folder / "sets";
  other.evaluation.given_sets = "1";
  REQUIRE(ablate(other, study.hooks).cells.size() == 2);
  other.evaluation.given_sets = "";
  CHECK(contains(error_of(ErrorKind::busy, [&] { ablate(other, study.hooks); }),
                 "was made with sets of given modalities image sound trajectory, not all"));
  other.evaluation.given_sets = "4";
  other.out = study.folder / "nothing";
  CHECK(contains(error_of(ErrorKind::usage, [&] { ablate(other, study.hooks); }), "is none of sizes 1 to 2"));
  CHECK_FALSE(fs::exists(other.out));
  // Places that cannot be written, before anything is trained.
  other.evaluation.given_sets = "";
  std::ofstream(study.folder / "file") << "no folder";
  other.results = study.folder / "file" / "results";
  study.trained = 0;
  error_of(ErrorKind::io, [&] { ablate(other, study.hooks); });
  CHECK_FALSE(fs::exists(other.out));
  other.results = study.folder / "results";
  fs::create_directories(other.results / ".0.75-seed0.json.tmp");
  error_of(ErrorKind::io, [&] { ablate(other, study.hooks); });
  CHECK(study.trained == 0);
}

TEST_CASE("ablation: stopped and continued, it ends as if it had not been stopped") {
  Study study;
  const AblationRequest request = study.request("model.kind=mld,inpaint");
  int polls = 0, stops = 0;
  AblationHooks hooks = study.hooks;
  hooks.train.stop = [&] { return ++polls % 9 == 0; };
  while (ablate(request, hooks).stopped) REQUIRE(++stops < 40);
  CHECK(stops >= 3);
  AblationRequest whole = request;
  whole.out = study.folder / "whole";
  REQUIRE(ablate(whole, study.hooks).cells.size() == 2);
  for (const char* run : {"stage1/autoencoder.image.safetensors", "mld-seed0/score.safetensors",
                          "inpaint-seed0/score.safetensors"})
    CHECK_MESSAGE(read_text(request.out / run) == read_text(whole.out / run), run);
}

TEST_CASE(
    "ablation: asked to keep going, it makes the cells behind one that fails, which is made when it can be") {
  Study study;
  AblationRequest request = study.request("score.d=0.2,0.4,0.6");
  const fs::path in_the_way = request.out / "0.4-seed0";
  const Config other = test::tiny_config(study.store, {"score.width=48", "score.steps=1"});
  REQUIRE(train({.config = other, .out = in_the_way}, {}) == StageEnd::finished);
  AblationRequest strict = request;
  CHECK(contains(error_of(ErrorKind::busy, [&] { ablate(strict, study.hooks); }), "0.4-seed0"));
  CHECK(fs::exists(request.out / "results" / "0.2-seed0.json"));

  request.keep_going = true;
  const AblationResult first = ablate(request, study.hooks);
  CHECK_FALSE(first.stopped);
  REQUIRE(first.cells.size() == 2);
  CHECK(first.cells[1].value == "0.6");
  REQUIRE(first.failures.size() == 1);
  CHECK(first.failures[0].value == "0.4");
  CHECK(first.failures[0].kind == ErrorKind::busy);
  CHECK(contains(first.failures[0].message, "0.4-seed0"));

  fs::remove_all(in_the_way);
  const AblationResult second = ablate(request, study.hooks);
  CHECK(second.cells.size() == 3);
  CHECK(second.failures.empty());
}

TEST_CASE("ablation: stopped in a later cell, it has the earlier ones to show") {
  Study study;
  const AblationRequest request =
      study.request("model.kind=mvae,mmvae");  // of VAEs stage 1 is classifiers alone
  AblationHooks hooks = study.hooks;
  bool late = false;
  hooks.note = [&](const std::string& line) { late = late || contains(line, "cell 2 of 2"); };
  hooks.train.stop = [&] { return late; };
  const AblationResult result = ablate(request, hooks);
  CHECK(result.stopped);
  REQUIRE(result.cells.size() == 1);
  CHECK(result.cells[0].value == "mvae");
  CHECK(fs::exists(request.out / "stage1" / "classifier.image.safetensors"));
  CHECK_FALSE(fs::exists(request.out / "stage1" / "autoencoder.image.safetensors"));
  // Within an evaluation it is stopped alike, and its run is there.
  hooks.train.stop = {};
  hooks.evaluation = [](const std::string&, std::int64_t, std::int64_t) { return false; };
  CHECK(ablate(request, hooks).stopped);
  CHECK(ablate(request, study.hooks).cells.size() == 2);
}

TEST_CASE("ablation: cells that differ in stage 1 train their own, and mistakes are found at once") {
  Study study;
  const AblationRequest request = study.request("modalities.image.latent=3,5");
  CHECK(ablate(request, study.hooks).cells.size() == 2);
  CHECK_FALSE(fs::exists(request.out / "stage1"));
  CHECK(read_text(request.out / "3-seed0" / "autoencoder.image.safetensors") !=
        read_text(request.out / "5-seed0" / "autoencoder.image.safetensors"));
  // One cell left is no reason to share what the others did not.
  fs::remove(request.out / "results" / "5-seed0.json");
  CHECK(ablate(request, study.hooks).cells.size() == 2);
  CHECK_FALSE(fs::exists(request.out / "stage1"));

  AblationRequest wrong = study.request("score.depth=1,2");
  wrong.out = study.folder / "nothing";
  CHECK(contains(error_of(ErrorKind::usage, [&] { ablate(wrong, study.hooks); }), "score.depth"));
  wrong = study.request("score.d=0.2,0.3", {1, 1});
  wrong.out = study.folder / "nothing";
  CHECK(contains(error_of(ErrorKind::usage, [&] { ablate(wrong, study.hooks); }), "0.2-seed1"));
  const auto refused = [&](const AblationRequest& other, const char* part) {
    AblationRequest here = other;
    here.out = study.folder / "nothing";
    CHECK(contains(error_of(ErrorKind::usage, [&] { ablate(here, study.hooks); }), part));
  };
  refused(study.request("score.d=0.1,0.10"), "score.d=0.1 and score.d=0.10 with seed 0 are the same");
  refused(study.request("classifier_training.steps=5,6"), "are the same score network");
  AblationRequest more = study.request("score.d=0.1,0.2");
  more.evaluation.samples = 100;
  refused(more, "100 samples asked for, split 'test' has 24");
  AblationRequest mi = study.request("model.kind=mld,inpaint");
  mi.evaluation.metrics = parse_metrics("mi");
  refused(mi, "conditional scores");
  CHECK_FALSE(fs::exists(study.folder / "nothing"));
}

TEST_CASE("ablation: cells that differ in the sampler share one run, and are drawn with their own") {
  Study study;
  AblationRequest request = study.request("sampler.steps=4,5,6", {0, 1});
  request.configure = [store = study.store](const std::vector<std::string>& cell) {
    std::vector<std::string> settings{"score.steps=4", "sampler.resample=1"};
    settings.insert(settings.end(), cell.begin(), cell.end());
    return test::tiny_config(store, settings);
  };
  request.evaluation.metrics = parse_metrics("coherence,diversity");
  const std::vector<AblationCell> cells = ablate(request, study.hooks).cells;
  REQUIRE(cells.size() == 6);
  CHECK(fs::exists(request.out / "4-seed1"));
  CHECK_FALSE(fs::exists(request.out / "5-seed0"));
  CHECK_FALSE(fs::exists(request.out / "6-seed1"));
  for (const AblationCell& cell : cells)
    CHECK(tables::read_evaluation(cell.evaluation).schedule() == "dpm_sde " + cell.value + " churn 10");
  CHECK(tables::read_evaluation(cells[0].evaluation).weights_hash ==
        tables::read_evaluation(cells[2].evaluation).weights_hash);
  CHECK(tables::read_evaluation(cells[0].evaluation).weights_hash !=
        tables::read_evaluation(cells[3].evaluation).weights_hash);

  // The evaluation that a run was named after is kept, the run is not: another cell trains it again.
  fs::remove_all(request.out / "4-seed0");
  const std::string five = without_time(read_text(cells[1].evaluation));
  fs::remove(cells[1].evaluation);
  CHECK(ablate(request, study.hooks).cells.size() == 6);
  CHECK(without_time(read_text(cells[1].evaluation)) == five);
  CHECK(fs::exists(request.out / "4-seed0"));

  const std::string page = report::ablation_page({.key = "sampler.steps"}, cells);
  CHECK(contains(page, "Coherence against sampler.steps"));
  const std::vector<tables::Table> tables = ablation_tables("sampler.steps", cells);
  REQUIRE(tables.front().rows.size() == 3);
  CHECK(tables.front().rows[1].name == "MLD, dpm_sde 5 churn 10");
  CHECK(tables.front().rows[1].values.front()->runs == 2);
  CHECK(contains(error_of(ErrorKind::usage, [&] { ablation_tables("score.d", cells); }),
                 "measured differently"));
}

TEST_CASE("ablation: data that are others by now are refused, where runs go on and where they take over") {
  const test::TempFolder folder;
  const fs::path store = folder / "store";
  test::make_vectors(store);
  AblationRequest request{
      .key = "score.d",
      .values = {"0.2", "0.8"},
      .configure = [&](const std::vector<std::string>& cell) { return test::vector_config(store, cell); },
      .out = folder / "out",
      .evaluation = {.metrics = parse_metrics("coherence")}};
  REQUIRE(ablate(request, {}).cells.size() == 2);
  fs::remove_all(store);
  test::make_vectors(store, {.shift = 0.25f});
  fs::remove(request.out / "results/0.8-seed0.json");
  CHECK(
      contains(error_of(ErrorKind::busy, [&] { ablate(request, {}); }), "was made with data of fingerprint"));
  fs::remove_all(request.out / "results");
  CHECK(contains(error_of(ErrorKind::busy, [&] { ablate(request, {}); }), "other data"));  // of stage1
  request.reuse = request.out / "stage1";
  CHECK(contains(error_of(ErrorKind::model, [&] { ablate(request, {}); }), "other data"));  // taken over
  request.out = folder / "elsewhere";
  CHECK(contains(error_of(ErrorKind::model, [&] { ablate(request, {}); }), "other data"));
  CHECK_FALSE(fs::exists(request.out / "0.2-seed0"));
}

}  // namespace mld
