#include "mld/study/sampler_bench.h"

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "mld/diffusion/sampling_record.h"
#include "mld/train/train.h"
#include "tests/expect_error.h"
#include "tests/mld/pairs.h"
#include "tests/mld/workshop.h"
#include "tests/temp_folder.h"

namespace mld {

TEST_CASE("paired difference: the mean of differences, with the interval of its standard error") {
  // Of 1000 samples 100 are right by this sampler alone and 40 by the reference alone: differences of +1, -1
  // and 0, mean 0.06, standard error sqrt((0.14 - 0.06^2) / 1000) = 0.01168. The other agreements do not
  // count.
  std::vector<std::int8_t> ours(1000), reference(1000);
  for (std::size_t k = 0; k < 1000; ++k) {
    ours[k] = k < 100 || (k >= 140 && k % 2 == 0);
    reference[k] = (k >= 100 && k < 140) || (k >= 140 && k % 2 == 0);
  }
  std::vector<std::int64_t> alone(1000);
  std::iota(alone.begin(), alone.end(), 0);
  const PairedDifference d = paired_difference({ours}, {reference}, alone);
  CHECK(d.value == doctest::Approx(0.06));
  const double half = 1.96 * std::sqrt((0.14 - 0.06 * 0.06) / 1000);
  CHECK(std::abs((d.high - d.low) / (2 * half) - 1) < 0.1);
  CHECK(std::abs((d.high + d.low) / 2 - 0.06) < 0.2 * half);

  // What has no label (-1) counts nowhere; a cell that agrees halves the difference.
  std::vector<std::int8_t> other = ours, without = ours;
  for (std::size_t k = 500; k < 1000; ++k) without[k] = -1;
  CHECK(paired_difference({ours, other}, {reference, other}, alone).value == doctest::Approx(0.03));
  CHECK(paired_difference({without}, {reference}, alone).value == doctest::Approx(0.12));
  const PairedDifference none = paired_difference({ours}, {ours}, alone);
  CHECK(none.value == 0);
  CHECK(none.low == 0);
  CHECK(none.high == 0);

  // Five samples of every item that all agree say no more than one.
  std::vector<std::int8_t> ours5, reference5;
  std::vector<std::int64_t> clusters;
  for (int copy = 0; copy < 5; ++copy) {
    ours5.insert(ours5.end(), ours.begin(), ours.end());
    reference5.insert(reference5.end(), reference.begin(), reference.end());
    clusters.insert(clusters.end(), alone.begin(), alone.end());
  }
  const PairedDifference five = paired_difference({ours5}, {reference5}, clusters);
  CHECK(five.value == doctest::Approx(d.value));
  CHECK(five.low == doctest::Approx(d.low));
  CHECK(five.high == doctest::Approx(d.high));
}

TEST_CASE("bench-samplers: each sampler as `eval` measures it, the first compared with itself") {
  const test::Workshop w;
  const auto run = w.folder / "run";
  const Config config = test::tiny_config(w.store, {"classifier_training.steps=20"});
  REQUIRE(train({.config = config, .out = run}, {}) == StageEnd::finished);
  const Model model = Model::open(run.string());
  const data::Store data = data::Store::open(w.store);

  const std::vector<SamplerOptions> samplers{
      {.method = SamplerMethod::em, .steps = 8, .jump = 4, .resample = 2},
      {.method = SamplerMethod::heun, .steps = 3, .jump = 1, .resample = 1}};
  EvaluationOptions options{.sampling = sample_settings(model.config())};
  std::vector<std::string> lines;
  const SamplerBench bench =
      bench_samplers(model, data, options, samplers, {},
                     [&](const SamplerBench&, const SamplerResult& r) { lines.push_back(table_line(r)); });
  REQUIRE(bench.results.size() == 2);
  CHECK(lines.size() == 2);
  CHECK(bench.results[0].network_calls == 12);
  CHECK(bench.results[1].network_calls == 5);
  CHECK(bench.results[0].joint_difference.value == 0);
  CHECK(bench.results[0].conditional_difference.high == 0);
  CHECK(bench.results[0].distance_ratio == 1);

  options.sampling.sampler = samplers[1];
  const Evaluation alone = evaluate(model, data, options);
  const SamplerResult& heun = bench.results[1];
  CHECK(heun.joint == alone.joint.all_equal.value);
  CHECK(heun.joint_difference.value == doctest::Approx(heun.joint - bench.results[0].joint));
  double mean = 0, logs = 0;
  for (const CoherenceCell& c : alone.conditional)
    mean += c.coherence.value / static_cast<double>(alone.conditional.size());
  REQUIRE(heun.conditional);
  CHECK(*heun.conditional == doctest::Approx(mean));
  std::size_t cells = 0;
  for (std::size_t k = 0; k < alone.quality.size(); ++k) {
    if (contains(alone.quality[k].given, alone.quality[k].target)) continue;
    logs += std::log(alone.quality[k].distance.frechet / bench.reference.distances[cells]);
    ++cells;
  }
  REQUIRE(cells == 12);
  REQUIRE(heun.distance_ratio);
  CHECK(*heun.distance_ratio == doctest::Approx(std::exp(logs / 12)));

  const auto json = nlohmann::json::parse(to_json(bench));
  CHECK(json["how"]["samples"] == 24);
  CHECK(json["samplers"][1]["schedule"]["method"] == "heun");
  CHECK(json["samplers"][1]["network_calls"] == 5);

  // Continued from what was written: only what is missing is drawn, and compared with the reference of
  // before.
  SamplerBench before = parse_sampler_bench(to_json(bench), "samplers.json");
  CHECK(to_json(before) == to_json(bench));
  before.results.pop_back();
  std::vector<SamplerOptions> more = samplers;
  more.push_back({.method = SamplerMethod::dpm_sde, .steps = 3, .jump = 1, .resample = 1, .churn = 2});
  std::set<std::string> drawn;
  options.sampling = sample_settings(model.config());
  const SamplerBench whole = bench_samplers(
      model, data, options, more,
      [&](const std::string& what, std::int64_t, std::int64_t) {
        drawn.insert(what.substr(0, what.find(':')));
        return true;
      },
      {}, before);
  CHECK(drawn == std::set<std::string>{"heun 3", "dpm_sde 3 churn 2"});
  REQUIRE(whole.results.size() == 3);
  CHECK(whole.results[1].joint_difference.low == heun.joint_difference.low);
  CHECK(whole.results[1].distance_ratio == heun.distance_ratio);
  CHECK(whole.results[1].distances == heun.distances);
  CHECK(heun.distances.size() == 12);

  // Stopped before the missing one, which stands second of three, it keeps the third; a shorter list does
  // too.
  SamplerBench gap = whole;
  gap.results.erase(gap.results.begin() + 1);
  SamplerBench last;
  const auto keep = [&](const SamplerBench& b, const SamplerResult&) { last = b; };
  const auto stop = [](const std::string&, std::int64_t, std::int64_t) { return false; };
  CHECK_THROWS_AS(bench_samplers(model, data, options, more, stop, keep, gap), Cancelled);
  CHECK(to_json(last) == to_json(gap));
  CHECK(bench_samplers(model, data, options, {samplers[0]}, stop, keep, whole).results.size() == 3);
  const SamplerBench filled = bench_samplers(model, data, options, more, {}, keep, gap);
  REQUIRE(filled.results.size() == 3);
  CHECK(schedule_name(filled.results[1].sampler) == "heun 3");
  // More samples than there are is as many as there are.
  EvaluationOptions many = options;
  many.samples = 1000;
  CHECK(bench_samplers(model, data, many, more, stop, {}, whole).results.size() == 3);
  const auto refused = [&](const EvaluationOptions& other, const std::vector<SamplerOptions>& list) {
    return test::error_of(ErrorKind::busy, [&] { bench_samplers(model, data, other, list, {}, {}, before); });
  };
  EvaluationOptions fewer = options;
  fewer.samples = 10;
  CHECK(test::contains(refused(fewer, more), "has N 24, not 10"));
  CHECK(test::contains(refused(options, {samplers[1]}), "has reference em 8x4x2, not heun 3"));
  test::error_of(ErrorKind::data, [] { parse_sampler_bench("{}", "samplers.json"); });
  const auto changed = [&](const char* pointer, const nlohmann::json& value) {
    auto how = nlohmann::json::parse(before.reference.how);
    how[nlohmann::json::json_pointer(pointer)] = value;
    SamplerBench other = before;
    other.reference.how = how.dump();
    return test::error_of(ErrorKind::busy,
                          [&] { bench_samplers(model, data, options, more, {}, {}, other); });
  };
  for (const char* pointer :
       {"/split", "/samples", "/classifier_hash", "/run/config_hash", "/quality/0/hash", "/rows"}) {
    auto broken = nlohmann::json::parse(to_json(bench));
    broken["how"][nlohmann::json::json_pointer(pointer)] = nlohmann::json::array({1});
    CHECK(test::contains(
        test::error_of(ErrorKind::data, [&] { parse_sampler_bench(broken.dump(), "samplers.json"); }),
        "samplers.json: not a comparison of samplers"));
  }
  CHECK(test::contains(changed("/classifier_hash/image", "00000000"), "has classifier 00000000"));
  CHECK(test::contains(changed("/run/weights_hash", "00000000"), "has weights 00000000"));
  CHECK(test::contains(changed("/run/dataset", "other"), "has data set other"));
  CHECK(test::contains(changed("/quality/0/hash", "00000000"), "feature extractors"));
  SamplerBench fewer_cells = before;
  fewer_cells.reference.distances.pop_back();
  CHECK(
      test::contains(test::error_of(ErrorKind::busy,
                                    [&] { bench_samplers(model, data, options, more, {}, {}, fewer_cells); }),
                     "other cells"));
}

TEST_CASE(
    "bench-samplers: a comparison of before on the first rows is taken as it is, not continued on drawn "
    "ones") {
  const test::TempFolder folder;
  test::Pairs{}.write(folder / "store");
  const Config config = test::pairs_config(folder / "store");
  REQUIRE(train({.config = config, .out = folder / "run"}, {}) == StageEnd::finished);
  const Model model = Model::open(folder / "run");
  const data::Store data = data::Store::open(folder / "store");
  std::vector<SamplerOptions> list{{.method = SamplerMethod::em, .steps = 4, .jump = 1, .resample = 1}};
  for (const std::int64_t n : {0, 12, 30}) {
    const EvaluationOptions options{.samples = n, .sampling = sample_settings(config)};
    SamplerBench before = bench_samplers(model, data, options, list);
    CHECK(nlohmann::json::parse(before.reference.how).contains("rows") == (n > 0));
    auto how = nlohmann::json::parse(before.reference.how);  // as it was
    how.erase("rows");
    how["run"].erase("weights_hash");
    before.reference.how = how.dump();
    CHECK(bench_samplers(model, data, options, list, {}, {}, before).results.size() == 1);
    std::vector<SamplerOptions> more = list;
    more.push_back({.method = SamplerMethod::heun, .steps = 2, .jump = 1, .resample = 1});
    const auto go_on = [&] { return bench_samplers(model, data, options, more, {}, {}, before); };
    if (n == 0)
      CHECK(go_on().results.size() == 2);
    else
      CHECK(test::contains(test::error_of(ErrorKind::busy, go_on), "has rows the first, not drawn"));
  }
  // Too few samples for distances: no ratio is better than one of nothing.
  const SamplerBench few =
      bench_samplers(model, data, {.samples = 3, .sampling = sample_settings(config)}, list);
  CHECK_FALSE(few.results[0].distance_ratio);
  CHECK_FALSE(test::contains(table_line(few.results[0]), "x  1.000"));
  auto older = nlohmann::json::parse(to_json(few));
  older["samplers"][0]["distance_ratio"] = 1;
  CHECK_FALSE(parse_sampler_bench(older.dump(), "older").results[0].distance_ratio);
  std::filesystem::remove(folder / "run" / "classifier.b.safetensors");
  CHECK(test::contains(test::error_of(ErrorKind::usage,
                                      [&] {
                                        bench_samplers(Model::open(folder / "run"), data,
                                                       {.sampling = sample_settings(config)}, list);
                                      }),
                       "classifiers of two modalities"));
}

TEST_CASE("bench-samplers: the candidates begin with the paper's schedule and reach below fifty calls") {
  const SamplerOptions own{.method = SamplerMethod::dpm_sde, .steps = 17, .churn = 3};
  const std::vector<SamplerOptions> list = sampler_candidates(own);
  CHECK(list.back().steps == 17);
  CHECK(sampler_candidates(list[1]).size() + 1 == list.size());
  CHECK(sampler_candidates({}).size() + 1 == list.size());  // the default is among them
  CHECK(make_plan(list.front()).network_calls() == 2410);
  std::size_t fast = 0;
  for (const SamplerOptions& s : list) fast += make_plan(s).network_calls() <= 50 ? 1 : 0;
  CHECK(fast >= 10);
}

}  // namespace mld
