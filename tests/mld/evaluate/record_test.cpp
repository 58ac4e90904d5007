// evaluation.json: what is written is read back, by those who compare and by those who show, and the list of
// metrics from which names, tables and reports follow.
#include "mld/evaluate/record.h"

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/base/error.h"
#include "mld/evaluate/evaluate.h"
#include "mld/evaluate/metrics.h"
#include "mld/report/evaluation_tables.h"
#include "mld/train/train.h"
#include "tests/expect_error.h"
#include "tests/mld/vector_data.h"
#include "tests/temp_folder.h"

namespace mld {
namespace {

using mld::test::contains, mld::test::error_of;

// One of everything, no two numbers alike.
Evaluation whole() {
  Evaluation e;
  e.kind = "uni";
  e.preset = "digits";
  e.dataset = "digits \"1\"";
  e.config_hash = "c0ffee";
  e.settings = {{"score.width", "128"}};
  e.model_seed = 18446744073709551615U;
  e.d = 0.3;
  e.parameters = 1234;
  e.weights = "ema";
  e.modalities = {"image", "sound", "path"};
  e.classifier_hash = {"11111111", "", "33333333"};
  e.classifier_recipe = "44444444";
  e.weights_hash = "55555555";
  e.split = "test";
  e.samples = 100;
  e.drawn = true;
  e.of_classes = {40, 58};
  e.unlabelled = 2;
  e.fingerprint = "66666666";
  e.trained_on = false;
  e.given_sets = {"image", "image,path"};
  e.distinct = {97, 0, 98};
  e.metrics = {"coherence", "mi"};
  e.generated = true;
  e.sampler = {.method = SamplerMethod::dpm_sde, .steps = 20, .jump = 1, .resample = 1, .churn = 3};
  e.seed = 7;
  e.network_calls = 20;
  e.seconds = 1.25;
  e.classifier = {{1, 0, Proportion{96, 97}}};
  e.self = {{4, 2, Proportion{90, 98}}};
  e.joint = {Proportion{70, 100}, {0.25, 0.75}, 0.5623};
  e.conditional = {{5, 1, Proportion{60, 99}}};
  e.leave_one_out = {{2, 0.6060606060606061}};
  e.attributes = {"colour", "size"};
  e.attribute_cells = {{"generated", 1, 1, {0.5, 0.75}, 84}, {"real", 2, 1, {1, 0.875}, 83}};
  e.joint_attributes = {0.25, 0.625};
  e.quality = {{0,
                1,
                "FAD",
                "vggish",
                "77777777",
                95,
                {.frechet = 1.5,
                 .low = 1.25,
                 .high = 1.75,
                 .kernel = {.value = 0.01, .error = 0.002, .subset = 48, .subsets = 20},
                 .real_halves = 0.75,
                 .dim = 128,
                 .real = 96,
                 .made = 94}},
               {1, 1, "CFD", "classifier", "88888888", 93, {.frechet = 2.5, .kernel = {}}}};
  e.quality[1].distance.real = e.quality[1].distance.made = 92;
  e.clip_reference = {{7, 0.7, 0.003, 91, "99999999"}};
  e.clip_score = {{1, 0.65, 0.004, 90, "99999999"}};
  e.diversity = {{1, 2, 0.4, 10, 89}};
  e.memorisation = {{1, 1.125, 1.0625, Proportion{2, 88}}};
  e.information = {{2, 2.0625, 0.05, 87}};
  e.inpainting_gap = {{1, 0.25, 0.8125, 0.0625, 86}};
  e.reconstruction = {{.target = 0, .error = 0.125, .right = {}, .words = {}, .whole = {}, .n = 84},
                      {.target = 1, .error = {}, .right = 0.75, .words = 0.5, .whole = 0.25, .n = 83}};
  e.probe = {{0, "test", Proportion{82, 83}}, {0, "train", Proportion{81, 82}}};
  e.robustness = {{0.05, 0, Proportion{80, 85}}};
  e.likelihood = {{.of = 3, .given = 1, .nats = -12.5, .error = 0.25, .effective = 7, .draws = 200, .n = 85}};
  e.pen = {{"joint", 0.64, 0.01, 84}};
  e.notes = {"a note"};
  return e;
}

}  // namespace

TEST_CASE("record: what is written is read back, to the last digit") {
  const std::string written = to_json(whole());
  CHECK(to_json(parse_evaluation(written, "a")) == written);
  CHECK(to_json(shown_evaluation(written, "a")) == written);
  CHECK(to_table(parse_evaluation(written, "a")) == to_table(whole()));
  // Every entry of the file is an entry of the table of fields.
  CHECK(nlohmann::json::parse(written).size() == 39);
  Evaluation ceilings = whole();
  ceilings.generated = false;
  ceilings.seed.reset();
  ceilings.network_calls = record::kNoCount;
  ceilings.joint = {};
  const std::string less = to_json(ceilings);
  CHECK_FALSE(contains(less, "schedule"));
  CHECK_FALSE(nlohmann::json::parse(less).contains("joint"));
  CHECK(to_json(parse_evaluation(less, "a")) == less);
}

TEST_CASE("record: those who compare are told of what is broken, those who show see the rest") {
  const auto changed = [](const char* pointer, const nlohmann::json& value) {
    auto json = nlohmann::json::parse(to_json(whole()));
    json[nlohmann::json::json_pointer(pointer)] = value;
    return json.dump();
  };
  const auto error = [&](const char* pointer, const nlohmann::json& value) {
    return error_of(ErrorKind::data, [&] { parse_evaluation(changed(pointer, value), "a.json"); });
  };
  CHECK(error("/quality/1/real", 0)
            .starts_with("a.json: quality[1].real: found 0, expected an integer from 1"));
  CHECK(contains(error("/conditional/0/value", "x"),
                 "a.json: conditional[0].value: found \"x\", expected a number"));
  CHECK(
      contains(error("/autoencoder/0/target", "smell"), "'smell' is no modality of this file; it has image"));
  CHECK(contains(error("/rows", 3), "a.json: rows: found 3, expected a string"));
  CHECK(contains(error("/weights", 3), "a.json: weights: found 3"));
  // Nothing that is compared rests on these.
  for (const char* pointer :
       {"/diversity", "/information/0/nats", "/seconds", "/classifier", "/quality/0/low95"})
    CHECK_NOTHROW(parse_evaluation(changed(pointer, "x"), "a.json"));
  CHECK(
      std::isnan(shown_evaluation(changed("/conditional/0/value", "x"), "").conditional[0].coherence.value));
  CHECK(shown_evaluation(changed("/diversity", "x"), "").diversity.empty());
  const Evaluation grown = shown_evaluation(changed("/autoencoder/0/target", "smell"), "");
  CHECK(grown.name(grown.self[0].target) == "smell");
  // Older files: an object where there is a number today.
  const auto older = parse_evaluation(changed("/memorisation/0/closer", {{"value", 0.5}}), "");
  CHECK(older.memorisation[0].closer.value == 0.5);
}

TEST_CASE("metrics: every one is named, printed once, and refused or noted where a model cannot have it") {
  std::set<std::string_view> names;
  for (const Metric* m : metrics()) names.insert(m->name);
  CHECK(names.size() == metrics().size());
  for (const Metric* m : printed_metrics()) CHECK(names.erase(m->name) == 1);
  CHECK(names.empty());
  CHECK(parse_metrics("quality,coherence").names() == std::vector<std::string>{"coherence", "quality"});
  CHECK(default_metrics() == "coherence,quality");
  const Answers no_scores{.latents = true, .no_information = "there are no scores"};
  CHECK(contains(error_of(ErrorKind::usage, [&] { check_metrics(parse_metrics("mi"), no_scores); }),
                 "metrics: mi, mutual information: there are no scores"));
  CHECK_NOTHROW(check_metrics(parse_metrics("all"), no_scores));
  CHECK_NOTHROW(check_metrics(parse_metrics("diversity"), no_scores));
  for (const char* of_latents : {"diversity", "robustness", "memorisation", "probe"})
    CHECK(contains(error_of(ErrorKind::usage, [&] { check_metrics(parse_metrics(of_latents), Answers{}); }),
                   "no latents of its modalities"));
  // The table and the report have rows of each.
  const Evaluation all = whole();
  for (const Metric* m : metrics()) {
    CAPTURE(m->name);
    CHECK(m->table(all) != m->table(Evaluation{}));
    CHECK_FALSE(m->sections(all).empty());
  }
  CHECK_FALSE(contains(report::evaluation_tables(Evaluation{}), "<table"));
}

TEST_CASE("evaluate: what is missing from a sample is no condition that diversity draws for") {
  mld::test::TempFolder folder;
  mld::test::make_vectors(folder / "store", {.without_b = [](std::int64_t row) { return row % 3 != 0; }});
  const Config config = mld::test::vector_config(folder / "store");
  train({.config = config, .out = folder / "run"}, {});
  const data::Store store = data::Store::open(folder / "store");
  const Evaluation e = evaluate(Model::open(folder / "run"), store,
                                {.sampling = sample_settings(config), .metrics = parse_metrics("diversity")});
  REQUIRE(e.diversity.size() == 2);
  CHECK(e.diversity[0].given == 1);  // a, which all 24 have
  CHECK(e.diversity[0].conditions == 24);
  CHECK(e.diversity[1].given == 2);  // b, which every third has
  CHECK(e.diversity[1].conditions == 8);
}

}  // namespace mld
