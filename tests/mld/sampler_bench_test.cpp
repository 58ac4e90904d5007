#include "mld/sampler_bench.h"

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "data/digits.h"
#include "data/import.h"
#include "mld/train.h"
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
  const PairedDifference d = paired_difference({ours}, {reference});
  CHECK(d.value == doctest::Approx(0.06));
  const double half = 1.96 * std::sqrt((0.14 - 0.06 * 0.06) / 1000);
  CHECK(std::abs((d.high - d.low) / (2 * half) - 1) < 0.1);
  CHECK(std::abs((d.high + d.low) / 2 - 0.06) < 0.2 * half);

  // What has no label (-1) counts nowhere; a cell that agrees halves the difference.
  std::vector<std::int8_t> other = ours, without = ours;
  for (std::size_t k = 500; k < 1000; ++k) without[k] = -1;
  CHECK(paired_difference({ours, other}, {reference, other}).value == doctest::Approx(0.03));
  CHECK(paired_difference({without}, {reference}).value == doctest::Approx(0.12));
  const PairedDifference none = paired_difference({ours}, {ours});
  CHECK(none.value == 0);
  CHECK(none.low == 0);
  CHECK(none.high == 0);
}

TEST_CASE("bench-samplers: each sampler as `eval` measures it, the first compared with itself") {
  const mld_test::TempFolder folder;
  const auto store = folder / "store", run = folder / "run";
  data::write_digits(data::make_digits({.seed = 3, .train = 48, .test = 24}), store, 3);
  ConfigSources sources;
  sources.preset = "digits";
  sources.settings = {"data.store=" + store.string(),
                      "stage1.steps=5",
                      "modalities.sound.stage1.steps=5",
                      "stage1.batch=16",
                      "score.steps=4",
                      "classifier_training.steps=20",
                      "score.batch=16",
                      "score.width=32",
                      "score.time_dim=16"};
  REQUIRE(train({.config = resolve_config(sources), .out = run}, {}) == StageEnd::finished);
  const Model model = Model::open(run.string());
  const data::Store data = data::Store::open(store);

  const std::vector<SamplerOptions> samplers{{.method = SamplerMethod::em, .schedule = {8, 4, 2}},
                                             {.method = SamplerMethod::heun, .schedule = {3, 1, 1}}};
  EvaluationOptions options{.sampling = sample_settings(model.config())};
  std::vector<std::string> lines;
  const SamplerBench bench = bench_samplers(model, data, options, samplers, {},
                                            [&](const SamplerResult& r) { lines.push_back(table_line(r)); });
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
  CHECK(heun.joint == alone.joint.all_equal.value());
  CHECK(heun.joint_difference.value == doctest::Approx(heun.joint - bench.results[0].joint));
  double mean = 0, logs = 0;
  for (const CoherenceCell& c : alone.conditional)
    mean += c.coherence.value() / static_cast<double>(alone.conditional.size());
  CHECK(heun.conditional == doctest::Approx(mean));
  int cells = 0;
  for (std::size_t k = 0; k < alone.quality.size(); ++k) {
    if (contains(alone.quality[k].given, alone.quality[k].target)) continue;
    logs += std::log(alone.quality[k].distance.frechet / bench.reference.quality[k].distance.frechet);
    ++cells;
  }
  REQUIRE(cells == 12);
  CHECK(heun.distance_ratio == doctest::Approx(std::exp(logs / cells)));

  const auto json = nlohmann::json::parse(to_json(bench));
  CHECK(json["how"]["samples"] == 24);
  CHECK(json["samplers"][1]["schedule"]["method"] == "heun");
  CHECK(json["samplers"][1]["network_calls"] == 5);
}

TEST_CASE("bench-samplers: the candidates begin with the paper's schedule and reach below fifty calls") {
  const std::vector<SamplerOptions> list = sampler_candidates();
  CHECK(make_plan(list.front()).network_calls == 2410);
  std::size_t fast = 0;
  for (const SamplerOptions& s : list) fast += make_plan(s).network_calls <= 50 ? 1 : 0;
  CHECK(fast >= 10);
}

}  // namespace mld
