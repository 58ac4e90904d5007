// The probe of the latents: what it reads beside what can be read at all, from which items, and of what its
// numbers are a function.
#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "data/store/store_writer.h"
#include "engine/threads/threads.h"
#include "mld/evaluate/evaluate.h"
#include "mld/train/train.h"
#include "tests/expect_error.h"
#include "tests/mld/methods/toy_method.h"
#include "tests/mld/pairs.h"
#include "tests/temp_folder.h"

namespace mld {
namespace {

using mld::test::contains, mld::test::error_of;

// A method whose latents are the values, which only trains to be a run.
struct ValuesAreLatents : toy::ToyMethod {
  using toy::ToyMethod::ToyMethod;
  Answers answers() const override { return {.latents = true, .no_information = "a toy has no scores"}; }
};
const MethodFactory kLatents = [](const Config&, const data::Description& dataset, Device) {
  return std::make_unique<ValuesAreLatents>(dataset);
};
const MethodFactory kNoLatents = [](const Config&, const data::Description& dataset, Device) {
  return std::make_unique<toy::ToyMethod>(dataset);
};

constexpr std::int32_t kClasses = 2, kDim = 6;
constexpr double kDistance = 3;  // of the two means

// a: a normal distribution for each of two classes; b: noise. Every 25th sample has no label, every 10th of
// the test split no b.
void write_gaussians(const std::filesystem::path& folder, std::int32_t train, std::int32_t test,
                     bool train_labels) {
  data::Description description;
  description.name = "gaussians";
  description.classes = kClasses;
  for (const char* name : {"a", "b"}) {
    data::Modality m;
    m.name = name;
    m.shape = {kDim};
    m.range = {-9, 9};
    description.modalities.push_back(m);
  }
  data::StoreWriter writer(folder, description);
  for (const auto& [split, count] : {std::pair{"train", train}, {"test", test}}) {
    const bool held_out = split == std::string_view("test");
    std::vector<float> values[2];
    std::vector<std::int32_t> of_items[2], labels, index;
    for (std::int32_t i = 0; i < count; ++i) {
      const bool known = i % 25 != 24 && (train_labels || held_out);
      labels.push_back(known ? i % kClasses : -1);
      for (int m = 0; m < 2; ++m) {
        const bool hole = m == 1 && i % 10 == 9 && held_out;
        index.push_back(hole ? -1 : static_cast<std::int32_t>(of_items[m].size()));
        if (hole) continue;
        of_items[m].push_back(labels.back());
        for (std::int32_t j = 0; j < kDim; ++j) {
          const double mean = m == 0 && j == 0 ? kDistance * (i % kClasses - 0.5) : 0;
          const auto row = static_cast<std::uint32_t>(i), block = static_cast<std::uint32_t>(j);
          values[m].push_back(
              static_cast<float>(mean) +
              normal4(draw(static_cast<std::uint64_t>(2 * count + m), 0, 0, row, block)).v[0]);
        }
      }
    }
    for (int m = 0; m < 2; ++m) {
      writer.add_items(split, m, values[m]);
      writer.set_item_labels(split, m, of_items[m]);
    }
    writer.set_samples(split, index, labels);
  }
  writer.commit();
}

struct Gaussians {
  mld::test::TempFolder folder;
  Gaussians(std::int32_t train_items, std::int32_t test_items, bool train_labels = true) {
    write_gaussians(folder / "store", train_items, test_items, train_labels);
    const Config config = mld::test::pairs_config(
        folder / "store", {"score.steps=1", "modalities.a.classifier=none", "modalities.b.classifier=none"});
    REQUIRE(train({.config = config, .out = folder / "run", .method = kLatents}, {}) == StageEnd::finished);
  }
  Evaluation measure(EvaluationOptions options = {}, const MethodFactory& method = kLatents) const {
    options.metrics = parse_metrics("probe");
    return evaluate(Model::open(folder / "run", kCpu, method), data::Store::open(folder / "store"), options);
  }
};

}  // namespace

TEST_CASE("probe: reads what can be read, and of noise nothing") {
  const Gaussians g(2000, 1000);
  const Evaluation e = g.measure();
  REQUIRE(e.probe.size() == 4);
  const double bayes = 0.5 * std::erfc(-kDistance / 2 / std::sqrt(2.0));  // Phi of half the distance
  for (std::size_t k = 0; k < 4; ++k) {
    CAPTURE(k);
    const ProbeCell& cell = e.probe[k];
    CHECK(cell.target == static_cast<int>(k / 2));
    CHECK(cell.split == (k % 2 == 0 ? "test" : "train"));
    CHECK(cell.right.n == (cell.target == 0 ? 960 : 880));
    CHECK(cell.right.low < cell.right.value);
    CHECK(cell.right.value < cell.right.high);
  }
  CHECK(std::abs(e.probe[0].right.value - bayes) < 0.03);
  CHECK(std::abs(e.probe[1].right.value - bayes) < 0.05);
  CHECK(std::abs(e.probe[2].right.value - 0.5) < 4 * std::sqrt(0.25 / 880));
  CHECK(contains(to_table(e), "probe of a"));
  // The same without samples, and of fewer rows; the training items are then fewer, too.
  const Evaluation few = g.measure({.samples = 100, .generate = false});
  CHECK(few.probe.size() == 4);
  CHECK(few.probe[1].right.n == few.probe[0].right.n);
  // Of the split that it was trained on there is one number.
  const Evaluation train = g.measure({.split = "train", .generate = false});
  REQUIRE(train.probe.size() == 2);
  CHECK(train.probe[0].split == "train");
  CHECK(train.probe[0].right.n == 1920);
  CHECK(contains(to_table(train), "probe of a"));
}

TEST_CASE("probe: the same to the bit with any number of threads, whatever samples are drawn with") {
  const Gaussians g(300, 100);
  const auto text = [&](int threads, std::uint64_t seed) {
    set_threads(threads);
    Evaluation e = g.measure({.sampling = {.seed = seed}, .generate = false});
    set_threads(0);
    e.seconds = 0;
    return to_json(e);
  };
  const std::string one = text(1, 0);
  CHECK(text(3, 5) == one);
  CHECK(nlohmann::json::parse(one)["probe"].size() == 4);
  CHECK(to_json(parse_evaluation(one, "a")) == one);
}

TEST_CASE("probe: what there is no evidence for is left out with a note, what a method cannot have refused") {
  const Gaussians g(60, 30, false);
  const Evaluation e = g.measure();
  CHECK(e.probe.empty());
  CHECK(contains(to_table(e), "probe of a is left out: no training item that has it is labelled"));
  CHECK(contains(error_of(ErrorKind::usage, [&] { g.measure({}, kNoLatents); }),
                 "metrics: probe, this kind of model has no latents"));
  mld::test::TempFolder folder;
  mld::test::Pairs{.labelled = false, .dim = kDim, .range = {-9, 9}}.write(folder / "other");
  const Model model = Model::open(g.folder / "run", kCpu, kLatents);
  const Evaluation unlabelled = evaluate(model, data::Store::open(folder / "other"),
                                         {.metrics = parse_metrics("probe"), .generate = false});
  CHECK(unlabelled.probe.empty());
  CHECK(contains(to_table(unlabelled), "probe is left out: no sample has a label"));
}

}  // namespace mld
