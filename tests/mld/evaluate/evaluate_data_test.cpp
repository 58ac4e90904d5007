// Evaluation and report on other data than were trained on, on part of them, and where labels or classifiers
// are not there.
#include <doctest/doctest.h>

#include <bit>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>

#include "engine/io/atomic_file.h"
#include "mld/config/seed.h"
#include "mld/evaluate/evaluate.h"
#include "mld/modality/item_feed.h"
#include "mld/report/report.h"
#include "mld/run/model_data.h"
#include "mld/run/run_files.h"
#include "mld/study/compare.h"
#include "mld/study/sampler_bench.h"
#include "mld/train/train.h"
#include "tests/expect_error.h"
#include "tests/mld/pairs.h"
#include "tests/temp_folder.h"

namespace mld {
namespace {

using test::contains, test::error_of, test::Pairs;

struct Trained {
  test::TempFolder folder;
  Config config;

  explicit Trained(const Pairs& pairs = {}, std::vector<std::string> settings = {}) {
    pairs.write(folder / "store");
    config = test::pairs_config(folder / "store", std::move(settings));
    REQUIRE(train({.config = config, .out = run()}, {}) == StageEnd::finished);
  }
  std::filesystem::path run() const { return folder / "run"; }
  Model model() const { return Model::open(run()); }
  // A store beside.
  data::Store other(const Pairs& pairs) const {
    const auto path = folder / "other";
    std::filesystem::remove_all(path);
    pairs.write(path);
    return data::Store::open(path);
  }
  Evaluation measure(const data::Store& store, EvaluationOptions options = {}) const {
    options.sampling = sample_settings(config);
    return evaluate(model(), store, options);
  }
};

// Without what differs from call to call.
nlohmann::json numbers_of(const Evaluation& e) {
  nlohmann::json json = nlohmann::json::parse(to_json(e));
  json.erase("seconds");
  return json;
}

}  // namespace

TEST_CASE("evaluate: fewer samples than rows are of all classes, and the record says how many of each") {
  const Trained t({.classes = 4, .per_class = 15});
  const data::Store store = data::Store::open(t.folder / "store");
  for (const std::int64_t n : {8, 20, 42}) {
    CAPTURE(n);
    Evaluation e = t.measure(store, {.samples = n});
    CHECK(e.samples == n);
    CHECK(e.drawn);
    REQUIRE(e.of_classes.size() == 4);
    for (const std::int64_t of : e.of_classes) CHECK((of == n / 4 || of == n / 4 + 1));
    CHECK(contains(to_table(e), cat("N = ", n, " of split 'test', drawn by class")));
    CHECK(contains(to_table(e), "samples of each class: "));
    const auto json = numbers_of(e);
    CHECK(json["rows"] == "drawn");
    CHECK(json["of_classes"].size() == 4);
    // The rows do not depend on the samples' seed.
    const auto labels_seen = [](const Evaluation& of) { return of.classifier[0].coherence.hits; };
    EvaluationOptions again{.samples = n, .sampling = sample_settings(t.config), .generate = false};
    again.sampling.seed += 5;
    CHECK(labels_seen(evaluate(t.model(), store, again)) == labels_seen(e));
  }
  for (const std::int64_t n : {0, 60, 1000}) {
    const Evaluation e = t.measure(store, {.samples = n});
    CHECK_FALSE(e.drawn);
    CHECK(e.of_classes == std::vector<std::int64_t>(4, 15));
    CHECK_FALSE(contains(to_table(e), "samples of each class"));
    CHECK_FALSE(numbers_of(e).contains("rows"));
    CHECK(contains(to_table(e), "1000 samples were asked for") == (n == 1000));
  }
  // A row has the same sample whatever N is: its noise is that of its number.
  const Evaluation few = t.measure(store, {.samples = 20}), all = t.measure(store);
  CHECK(few.joint.all_equal.n == 20);
  CHECK(all.joint.all_equal.n == 60);
}

TEST_CASE("evaluate: what is looked at for some samples only is looked at for all classes") {
  // 3 x 60 rows; diversity has 100 conditions.
  const Trained t({.per_class = 60});
  const data::Store store = data::Store::open(t.folder / "store");
  const Evaluation e = t.measure(store, {.metrics = parse_metrics("diversity,memorisation,mi")});
  CHECK(e.diversity.front().conditions == 100);
  CHECK(e.memorisation.front().closer.n == 180);
  CHECK(e.information.front().n == 180);
  // Of a split that holds but one class the spread of conditions is smaller than of all classes.
  CHECK(e.diversity.front().ratio > 0);
  CHECK(e.diversity.front().ratio < 1.2);
}

TEST_CASE("evaluate: without labels there is no coherence with labels, and no 0 %") {
  const Trained t;
  for (const Pairs& pairs :
       {Pairs{.labelled = false}, Pairs{.unlabelled = 60}, Pairs{.pairings = 2, .labelled = false}}) {
    const data::Store store = t.other(pairs);
    const Evaluation e = t.measure(store, {.metrics = parse_metrics("all")});
    CHECK(e.classifier.empty());
    CHECK(e.self.empty());
    CHECK(e.conditional.empty());
    CHECK(e.robustness.empty());
    CHECK(leave_one_out(e).empty());
    CHECK(e.joint.all_equal.n == 60);
    CHECK(e.quality.size() == 6);
    const std::string table = to_table(e), json = to_json(e);
    CHECK(contains(table, "no sample has a label"));
    CHECK_FALSE(contains(table, "  0.00 %   [  0.00, 100.00]"));
    CHECK_FALSE(contains(table, "nan"));
    CHECK_FALSE(contains(json, "\"n\":0"));
    // In tables of runs, and in the report.
    write_file_atomically(RunFiles{t.run()}.evaluation(), json);
    const std::vector<std::filesystem::path> runs{t.run()};
    CHECK(compare(runs).front().columns.size() == 1);  // joint coherence
    report::write_report({.run = t.run(), .data = store.path(), .samples = 2});
    const std::string page = read_text(t.run() / "report.html");
    CHECK(contains(page, "no sample has a label"));
    CHECK_FALSE(contains(page, "Ceilings: what"));
    CHECK_FALSE(contains(page, "Leave-one-out"));
    CHECK_FALSE(contains(page, "Robustness of"));
    std::filesystem::remove(RunFiles{t.run()}.evaluation());
    // Of samplers the joint coherence remains.
    const std::vector<SamplerOptions> samplers{
        {.method = SamplerMethod::em, .steps = 4, .jump = 1, .resample = 1}};
    const SamplerBench bench =
        bench_samplers(t.model(), store, {.sampling = sample_settings(t.config)}, samplers);
    CHECK_FALSE(bench.results[0].conditional);
    CHECK(contains(table_line(bench.results[0]), "no sample has a label"));
    CHECK_FALSE(nlohmann::json::parse(to_json(bench))["samplers"][0].contains("conditional"));
    CHECK(to_json(parse_sampler_bench(to_json(bench), "bench")) == to_json(bench));
  }
  // Some are labelled: those count.
  const Evaluation some = t.measure(t.other({.unlabelled = 25}));
  CHECK(some.unlabelled == 25);
  CHECK(some.conditional.front().coherence.n == 35);
  CHECK(some.joint.all_equal.n == 60);
  const Evaluation few = t.measure(t.other({.unlabelled = 25}), {.samples = 12});
  CHECK(few.unlabelled == 5);
  CHECK(contains(to_table(few), "5 without a label"));
}

TEST_CASE("evaluate and report: data that the model cannot read are a sentence") {
  const Trained t;
  const auto refused = [&](const Pairs& pairs, const char* part) {
    const data::Store store = t.other(pairs);
    for (const std::string& message :
         {error_of(ErrorKind::data, [&] { t.measure(store); }),
          error_of(ErrorKind::data,
                   [&] { report::write_report({.run = t.run(), .data = store.path(), .samples = 2}); }),
          error_of(ErrorKind::data, [&] {
            bench_samplers(t.model(), store, {.sampling = sample_settings(t.config)},
                           sampler_candidates(t.config.sampler));
          })}) {
      CHECK_MESSAGE(contains(message, part), message);
      CHECK(contains(message, store.path().string()));
    }
  };
  refused({.dim = 4}, "shape");
  refused({.names = {"a", "c"}}, "has no modality 'b', which the model was trained on; it has a, c");
  refused({.classes = 7}, "has 7 classes, the model was trained on 3");
  refused({.classes = 2}, "has 2 classes, the model was trained on 3");
  refused({.range = {-500, 900}}, "values from -500 to 900");
  // Another order and one modality more are no harm.
  const Evaluation same = t.measure(data::Store::open(t.folder / "store")),
                   more = t.measure(t.other({.names = {"a", "b", "c"}}));
  CHECK(more.conditional[0].coherence.hits == same.conditional[0].coherence.hits);
  CHECK_FALSE(std::filesystem::exists(t.run() / ".report.html.tmp"));
}

TEST_CASE("evaluate: another run's classifiers judge the same samples") {
  const Trained own, other({}, {"classifier_training.steps=40", "modalities.a.classifier=none", "seed=3"});
  const data::Store store = data::Store::open(own.folder / "store");
  Model judged = own.model();
  judged.judge_by(other.model(), "OTHER");
  const EvaluationOptions options{.sampling = sample_settings(own.config), .metrics = parse_metrics("all")};
  const Evaluation e = evaluate(judged, store, options), before = own.measure(store);
  const Model judge = other.model();
  CHECK(e.classifiers().at("a") == before.classifiers().at("a"));  // of which the other has none
  CHECK(e.classifiers().at("b") == judge.classifier_hash(1));
  CHECK(e.config_hash == before.config_hash);
  CHECK(e.classifier_recipe != before.classifier_recipe);
  CHECK(contains(to_table(e), "judged by the classifiers of another run"));
  // Given a, the draws of b are the model's own, and what reads them is the other's.
  const data::Split& test = store.split("test");
  std::vector<std::int32_t> rows(static_cast<std::size_t>(test.num_samples()));
  std::iota(rows.begin(), rows.end(), 0);
  const Model model = own.model();
  const Tensor given = Tensor::zeros({std::ssize(rows), model.layout().total});
  model.layout().set_slice(given, 0, model.encode(0, gather_items(test, 0, model.info(0), rows)));
  SampleSettings as_evaluated = options.sampling;
  as_evaluated.seed = stage_seed(options.sampling.seed, "evaluate/a");
  const Tensor draws = model.sample(1, given, rows, as_evaluated);
  const auto read = judge.classify(1, model.decode(1, draws));
  std::int64_t hits = 0;
  for (std::size_t k = 0; k < rows.size(); ++k) hits += read[k] == test.labels()[k];
  REQUIRE(e.conditional.front().given == 1);
  CHECK(e.conditional.front().coherence.hits == hits);
  const auto refused = [&](const Pairs& pairs, ErrorKind kind, const char* part) {
    const Trained wrong(pairs);
    Model model = own.model();
    CHECK(contains(error_of(kind, [&] { model.judge_by(wrong.model(), "OTHER"); }), part));
  };
  refused({.dim = 4}, ErrorKind::data, "OTHER");
  refused({.classes = 4}, ErrorKind::usage, "OTHER: its classifier of 'a' knows 4 classes, this model has 3");
  refused({.names = {"c", "d"}}, ErrorKind::usage, "OTHER: has no classifier of a, b that could judge");
  refused({.labelled = false}, ErrorKind::usage, "OTHER: has no classifier of a, b that could judge");
  // Another order and one modality more are no harm.
  const Trained wider({.names = {"c", "b", "a"}});
  Model model_by_wider = own.model();
  model_by_wider.judge_by(wider.model(), "OTHER");
  CHECK(model_by_wider.classifier_hash(0) == wider.model().classifier_hash(2));
  CHECK(model_by_wider.classifier_hash(1) == wider.model().classifier_hash(1));
}

TEST_CASE("evaluate: a split that is not there names those that are") {
  const Trained t({.splits = {"train"}});
  const data::Store store = data::Store::open(t.folder / "store");
  for (const char* split : {"test", "valid", ""}) {
    const std::string message = error_of(ErrorKind::usage, [&] { t.measure(store, {.split = split}); });
    CHECK(contains(message, cat("has no split '", split, "'; it has train")));
    CHECK(contains(message, "--split train"));
  }
  CHECK(t.measure(store, {.split = "train"}).samples == 60);
}

TEST_CASE("evaluate: samples are generated from the sets that are asked for") {
  const Trained t({.names = {"a", "b", "c"}});
  const data::Store store = data::Store::open(t.folder / "store");
  const auto all = numbers_of(t.measure(store));
  CHECK(all["conditional"].size() == 9);
  CHECK_FALSE(all.contains("given_sets"));
  const auto check = [&](const char* sets, std::size_t cells, std::size_t sizes) {
    CAPTURE(sets);
    const auto some = numbers_of(t.measure(store, {.given_sets = sets}));
    CHECK(some["conditional"].size() == cells);
    CHECK(some["joint"] == all["joint"]);
    for (const auto& cell : some["conditional"])
      CHECK(std::ranges::find(all["conditional"], cell) != all["conditional"].end());
    CHECK((some.contains("leave_one_out") ? some["leave_one_out"].size() : 0) == sizes);
    return some;
  };
  CHECK(check("1", 6, 1)["given_sets"] == std::vector<std::string>{"a", "b", "c"});
  CHECK(check("loo", 3, 1)["given_sets"].size() == 3);
  CHECK(check("a+c,b", 3, 0)["given_sets"] == std::vector<std::string>{"b", "a,c"});
  CHECK_FALSE(check("1,2", 9, 2).contains("given_sets"));
  error_of(ErrorKind::usage, [&] { t.measure(store, {.given_sets = "3"}); });
  // Measured from other sets, parts of a file do not mix.
  const std::string one = to_json(t.measure(store, {.given_sets = "1"})),
                    robust = to_json(t.measure(store, {.metrics = parse_metrics("robustness")}));
  CHECK(with_parts_of(robust, one) == robust);
  // A table of both has what each has.
  const auto first = t.folder / "one.json", second = t.folder / "two.json";
  auto other = nlohmann::json::parse(to_json(t.measure(store, {.given_sets = "loo"})));
  other["run"]["seed"] = 1;
  write_file_atomically(first, one);
  write_file_atomically(second, other.dump());
  const std::vector<std::filesystem::path> files{first, second};
  const auto table = compare(files).front();
  CHECK(table.columns.size() == 10);
}

TEST_CASE("evaluate: six modalities are given one by one and all but one, and a note says so") {
  const Trained t({.per_class = 6, .names = {"a", "b", "c", "d", "e", "f"}});
  const data::Store store = data::Store::open(t.folder / "store");
  const Evaluation e = t.measure(store);
  CHECK(e.given_sets.size() == 12);
  CHECK(e.conditional.size() == 6 * 5 + 6);
  CHECK(contains(to_table(e), "12 of 62 sets; --given-sets"));
  CHECK(leave_one_out(e).size() == 2);
  const Evaluation pair = t.measure(store, {.given_sets = "a+b"});
  CHECK(pair.conditional.size() == 4);
  CHECK_FALSE(contains(to_table(pair), "--given-sets"));
  const Evaluation mi = t.measure(store, {.metrics = parse_metrics("mi")});
  CHECK(mi.information.size() == 6);
}

TEST_CASE("evaluate: the record tells networks and data apart") {
  const Trained t;
  const data::Store store = data::Store::open(t.folder / "store");
  const Evaluation e = t.measure(store);
  const std::string all = to_json(e),
                    robust = to_json(t.measure(store, {.metrics = parse_metrics("robustness")}));
  CHECK(nlohmann::json::parse(with_parts_of(robust, all)).contains("conditional"));
  if (!store.description().fingerprint.empty()) {
    CHECK(e.trained_on == true);
    const Evaluation elsewhere = t.measure(t.other({.sorted = false}));
    CHECK(elsewhere.trained_on == false);
    CHECK(elsewhere.fingerprint != e.fingerprint);
    CHECK(contains(to_table(elsewhere), "is not the one that the model was trained on"));
    CHECK(with_parts_of(robust, to_json(elsewhere)) == robust);
  }
  // A file of before, without a hash of weights: joined, with a note, once.
  auto older = nlohmann::json::parse(all);
  older["run"].erase("weights_hash");
  older.erase("fingerprint");
  const std::string joined = with_parts_of(robust, older.dump());
  CHECK(nlohmann::json::parse(joined).contains("conditional"));
  CHECK(contains(joined, "that was not checked"));
  const auto again = nlohmann::json::parse(with_parts_of(robust, joined));
  CHECK(std::ranges::count_if(again["notes"], [](const nlohmann::json& note) {
          return contains(note.get<std::string>(), "not checked");
        }) == 1);

  // The same configuration trained again with other data is another network.
  const std::string before = t.model().weights_hash();
  const auto evaluation = RunFiles{t.run()}.evaluation();
  write_file_atomically(evaluation, all);
  const auto page = [&] {
    report::write_report({.run = t.run(), .samples = 2});
    return read_text(t.run() / "report.html");
  };
  CHECK(contains(page(), "Coherence of what is generated"));
  std::filesystem::rename(t.run() / "score.safetensors", t.folder / "score.before");
  Config longer = t.config;
  longer.score.lr *= 2;
  const auto retrained = t.folder / "retrained";
  REQUIRE(train({.config = longer, .out = retrained}, {}) == StageEnd::finished);
  std::filesystem::copy_file(retrained / "score.safetensors", t.run() / "score.safetensors");
  nn::rewrite_notes(t.run() / "score.safetensors",
                    [&](Metadata& entries) { entries["config"] = read_text(t.run() / "config.json"); });
  const std::string now = Model::open(retrained).weights_hash();
  CHECK(now != before);
  REQUIRE(Model::open(t.run()).weights_hash() == now);
  CHECK(contains(page(), "evaluation.json was measured on other weights"));
  CHECK_FALSE(contains(page(), "Coherence of what is generated"));
  CHECK(with_parts_of(to_json(t.measure(store, {.metrics = parse_metrics("robustness")})), all)
            .find("conditional") == std::string::npos);
}

TEST_CASE("evaluate: one modality without a classifier") {
  const Trained t({.names = {"a", "b", "c"}});
  const data::Store store = data::Store::open(t.folder / "store");
  for (const char* without : {"a", "b", "c"}) {
    const auto file = RunFiles{t.run()}.checkpoint({StageKind::classifier, without}),
               aside = t.folder / "aside";
    std::filesystem::rename(file, aside);
    const Evaluation e = t.measure(store, {.metrics = parse_metrics("all")});
    CHECK(e.classifier.size() == 2);
    CHECK(e.conditional.size() == 6);
    CHECK(leave_one_out(e).size() == 2);
    CHECK(contains(to_table(e), "joint coherence is that of the 2 modalities that have classifiers"));
    CHECK_FALSE(contains(to_json(e), "\"n\":0"));
    std::filesystem::rename(aside, file);
  }
}

}  // namespace mld
