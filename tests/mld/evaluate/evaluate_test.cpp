// Evaluation of a run as a whole: what is measured, on which samples, and what is said of the rest.
#include "mld/evaluate/evaluate.h"

#include <doctest/doctest.h>

#include <bit>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>

#include "data/store/store_writer.h"
#include "mld/run/run_files.h"
#include "mld/train/stage.h"
#include "mld/train/train.h"
#include "tests/mld/pairs.h"
#include "tests/mld/workshop.h"

namespace mld {

using test::tiny_config, test::Workshop;

TEST_CASE("evaluate: every metric says what it should of a model that is hardly trained") {
  const Workshop w;
  train({.config = tiny_config(w.store), .out = w.folder / "run"}, {});
  const Model model = Model::open(w.folder / "run");
  const data::Store store = data::Store::open(w.store);
  const Evaluation e =
      evaluate(model, store, {.sampling = sample_settings(model.config()), .metrics = parse_metrics("all")});
  CHECK(e.quality.size() == 3 + 3 + 9);  // autoencoders, joint, conditional
  for (const QualityCell& q : e.quality) {
    CHECK(q.metric == (q.target == 1 ? "CFD" : "FMD"));
    CHECK(q.distance.real == 24);
    CHECK(q.distance.made == 24);
    CHECK(q.distinct == 24);
    CHECK(q.hash == model.classifier_hash(q.target));
  }
  CHECK(model.classifier_hash(0) != model.classifier_hash(1));
  // By hand: the features of the reconstructions.
  FeatureSet real(model.feature_size(2)), made(model.feature_size(2));
  std::vector<std::int32_t> items(24);
  std::iota(items.begin(), items.end(), 0);
  const Tensor batch = make_items(model.info(2), 24);
  fill_items(store.split("test"), 2, model.info(2), items, batch);
  real.add(model.features(2, batch).span<float>());
  made.add(model.features(2, model.reconstruct(2, batch)).span<float>());
  const auto cell = std::find_if(e.quality.begin(), e.quality.end(),
                                 [](const QualityCell& q) { return q.given == 4 && q.target == 2; });
  REQUIRE(cell != e.quality.end());
  CHECK(cell->distance.frechet == frechet_distance(real.moments(), made.moments()));
  // t = 0 is the autoencoder's own coherence.
  CHECK(e.robustness.size() == 14 * 3);
  for (int i = 0; i < 3; ++i)
    CHECK(e.robustness[static_cast<std::size_t>(i)].coherence.hits ==
          e.self[static_cast<std::size_t>(i)].coherence.hits);
  CHECK(e.robustness[0].coherence.n == 24);
  CHECK(e.diversity.size() == 9);
  for (const DiversityCell& c : e.diversity) CHECK(c.ratio > 0.5);  // nothing is learned yet
  CHECK(e.memorisation.size() == 3);
  REQUIRE(e.information.size() == 3);
  CHECK(e.information[0].n == 24);
  CHECK(e.inpainting_gap.empty());  // of uni models only
  const auto one_out = leave_one_out(e);
  REQUIRE(one_out.size() == 2);
  double pairs = 0;
  for (const CoherenceCell& c : e.conditional)
    if (std::popcount(c.given) == 2) pairs += c.coherence.value / 3;
  CHECK(one_out[1].value == doctest::Approx(pairs));
  CHECK(test::contains(test::error_of(ErrorKind::usage, [] { parse_metrics("coherence,fid"); }), "'fid'"));
  // More rows than there are.
  CHECK(evaluate(model, store, {.samples = 1000, .sampling = sample_settings(model.config())}).samples == 24);
}

TEST_CASE("evaluate: a handful of samples has distances, and no interval or floor that rests on nothing") {
  const Workshop w;
  train({.config = tiny_config(w.store), .out = w.folder / "run"}, {});
  const Model model = Model::open(w.folder / "run");
  const data::Store store = data::Store::open(w.store);
  for (const std::int64_t n : {1, 3, 4, 5, 6, 9}) {
    const Evaluation e = evaluate(model, store, {.samples = n, .sampling = sample_settings(model.config())});
    CHECK(e.samples == n);
    CHECK(e.quality.size() == (n < 4 ? 0 : 15));
    for (const QualityCell& q : e.quality) CHECK_FALSE(q.distance.low);
    CHECK((n >= 4 || test::contains(to_table(e), "fewer than 4 different items")));
  }
}

TEST_CASE("evaluate: an item that comes in several pairings is one item") {
  const test::TempFolder folder;
  constexpr std::int32_t kItems = 60;
  data::Description description;
  description.name = "pairs";
  description.classes = 2;
  for (const char* name : {"a", "b"}) {
    data::Modality m;
    m.name = name;
    m.shape = {3};
    m.range = {-1, 3};
    description.modalities.push_back(m);
  }
  data::StoreWriter writer(folder / "store", description);
  for (const char* split : {"train", "test"}) {
    std::vector<std::int32_t> label, index;
    for (std::int32_t i = 0; i < kItems; ++i) label.push_back(i % 2);
    for (int m = 0; m < 2; ++m) {
      std::vector<float> values;
      for (std::int32_t i = 0; i < kItems * 3; ++i)
        values.push_back(static_cast<float>(i / 3 % 2) + 0.1F * static_cast<float>((i * (7 + 4 * m)) % 13));
      writer.add_items(split, m, values);
      writer.set_item_labels(split, m, label);
    }
    std::vector<std::int32_t> labels;
    for (std::int32_t pairing = 0; pairing < 3;
         ++pairing)  // with the same `a`, `b` moves on within its class
      for (std::int32_t i = 0; i < kItems; ++i) {
        index.insert(index.end(), {i, (i + 2 * pairing) % kItems});
        labels.push_back(i % 2);
      }
    writer.set_samples(split, index, labels, 3);
  }
  writer.commit();
  const data::Store store = data::Store::open(folder / "store");
  const Config config = test::pairs_config(folder / "store");
  CHECK(train({.config = config, .out = folder / "run"}, {}) == StageEnd::finished);
  const Model model = Model::open(folder / "run");

  EvaluationOptions options{.sampling = sample_settings(config)};
  const Evaluation once = evaluate(model, store, options);
  options.samples = 3 * kItems;
  const Evaluation all = evaluate(model, store, options);
  CHECK(once.samples == kItems);
  CHECK(all.samples == 3 * kItems);
  CHECK(all.distinct == std::vector<std::int64_t>{kItems, kItems});
  // The ceilings rest on items, what is generated on draws.
  for (int i = 0; i < 2; ++i) {
    const auto k = static_cast<std::size_t>(i);
    CHECK(all.classifier[k].coherence.n == kItems);
    CHECK(all.classifier[k].coherence.hits == once.classifier[k].coherence.hits);
    CHECK(all.self[k].coherence.hits == once.self[k].coherence.hits);
    CHECK(all.conditional[k].coherence.n == 3 * kItems);
  }
  for (std::size_t row = 0; row < all.clusters.size(); ++row)
    CHECK(all.clusters[row] == static_cast<std::int64_t>(row) % kItems);
  // Halves of the real items, not of their copies: no nearer for being counted three times.
  for (std::size_t q = 0; q < 2; ++q) {
    CHECK(all.quality[q].distance.real == 3 * kItems);
    CHECK(*all.quality[q].distance.real_halves ==
          doctest::Approx(*once.quality[q].distance.real_halves).epsilon(0.05));
    CHECK(all.quality[q].distance.kernel.value == once.quality[q].distance.kernel.value);
  }
  CHECK(test::contains(to_table(all), "beyond the first pairing (60)"));
  CHECK_FALSE(test::contains(to_table(once), "beyond"));

  SUBCASE("what coherence lacks is said") {
    std::filesystem::remove(folder / "run" / "classifier.b.safetensors");
    const Evaluation one =
        evaluate(Model::open(folder / "run"), store, {.sampling = sample_settings(config)});
    CHECK(one.joint.class_share.empty());
    CHECK(one.conditional.size() == 1);
    CHECK(test::contains(to_table(one), "only one modality has a classifier"));
    CHECK_FALSE(test::contains(to_table(one), "all modalities agree"));
    std::filesystem::remove(folder / "run" / "classifier.a.safetensors");
    CHECK(test::contains(
        to_table(evaluate(Model::open(folder / "run"), store, {.sampling = sample_settings(config)})),
        "the run has no classifiers"));
  }
  SUBCASE("what is measured later joins what was measured in the same way") {
    options.metrics = parse_metrics("mi");
    const Evaluation mi = evaluate(model, store, options);
    const auto joined = nlohmann::json::parse(with_parts_of(to_json(mi), to_json(all)));
    CHECK(joined["conditional"].size() == 2);
    CHECK(joined["classifier"].size() == 2);
    CHECK(joined["information"][0]["n"] == 3 * kItems);
    CHECK(joined["metrics"] == std::vector<std::string>{"mi", "coherence", "quality"});
    CHECK(with_parts_of(to_json(mi), to_json(once)) == to_json(mi));  // another N
    CHECK(with_parts_of(to_json(mi), "broken") == to_json(mi));
    options.sampling.seed += 1;
    const Evaluation other = evaluate(model, store, options);
    CHECK(with_parts_of(to_json(other), to_json(all)) == to_json(other));
  }
}

}  // namespace mld
