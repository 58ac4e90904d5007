// The seam between a method and everything around it: a method of the test's own goes through all of it.
#include "mld/methods/method.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "engine/io/files.h"
#include "mld/evaluate/evaluate.h"
#include "mld/report/report.h"
#include "mld/run/generate.h"
#include "tests/mld/methods/toy_method.h"
#include "tests/mld/run_place.h"

namespace mld {
namespace {

using mld::test::Place;

const MethodFactory kToy = [](const Config&, const data::Description& dataset, Device) {
  return std::make_unique<toy::ToyMethod>(dataset);
};

StageEnd train_toy(Place& p, const std::filesystem::path& out, const std::vector<std::string>& more = {}) {
  return train(
      {.config = mld::test::vector_config(p.store, more), .out = out, .resume = true, .method = kToy},
      p.hooks);
}

}  // namespace

TEST_CASE("method: a toy trains, and resumed in every stage it is the uninterrupted run to the last byte") {
  Place p;
  REQUIRE(train_toy(p, p.folder / "whole") == StageEnd::finished);
  int polls = 0, stops = 0;
  p.hooks.stop = [&] { return ++polls % 4 == 0; };
  while (train_toy(p, p.out) == StageEnd::stopped) ++stops;
  CHECK(stops >= 3);  // two classifiers and the toy
  p.hooks.stop = {};
  CHECK(mld::test::everything(p.out) == mld::test::everything(p.folder / "whole"));
  CHECK_FALSE(path_exists(p.out / "autoencoder.a.safetensors"));

  // More steps are made by the same code as any stage's.
  REQUIRE(train_toy(p, p.out, {"score.steps=9"}) == StageEnd::finished);
  CHECK(p.noted("score: continues from step 6 of 9 steps"));
}

TEST_CASE("method: a toy samples what fits the condition, from a run and from an exported file") {
  Place p;
  REQUIRE(train_toy(p, p.out) == StageEnd::finished);
  const Model model = Model::open(p.out, kCpu, kToy);
  model.save(p.folder / "toy.safetensors");
  const data::Store store = data::Store::open(p.store);
  const data::Split& test = store.split("test");
  const std::vector<std::int32_t> rows{3, 17, 8, 8, 21, 0, 5};  // more than a batch of the toy
  Samples given;
  given["a"].resize(rows.size() * 3);
  Values b(rows.size() * 4);
  test.gather(0, rows, given["a"]);
  test.gather(1, rows, b);
  for (const std::filesystem::path& from : {p.out, p.folder / "toy.safetensors"}) {
    const Model opened = Model::open(from, kCpu, kToy);
    const Samples made = generate(opened, std::ssize(rows), given, {.seed = 4});
    CHECK(made.at("b") == b);  // test items are training items here, and equal a have equal b
    const Samples joint = generate(opened, 40, {}, {.seed = 4});
    CHECK(joint == generate(model, 40, {}, {.seed = 4}));
    CHECK(joint != generate(model, 40, {}, {.seed = 5}));
  }
}

TEST_CASE("method: a toy is evaluated and reported as far as it can answer") {
  Place p;
  REQUIRE(train_toy(p, p.out, {"classifier_training.steps=150", "classifier_training.lr=0.02"}) ==
          StageEnd::finished);
  const Model model = Model::open(p.out, kCpu, kToy);
  const data::Store store = data::Store::open(p.store);
  const Evaluation e = evaluate(model, store, {.metrics = parse_metrics("all")});
  CHECK(e.network_calls == 1);
  REQUIRE(e.conditional.size() == 2);
  for (const CoherenceCell& cell : e.conditional) CHECK(cell.coherence.value == 1);
  CHECK(e.joint.all_equal.value == 1);
  CHECK_FALSE(e.quality.empty());
  for (const auto* left_out : {"robustness", "diversity", "memorisation", "mutual information"})
    CHECK_MESSAGE(
        std::ranges::any_of(e.notes, [&](const std::string& n) { return mld::test::contains(n, left_out); }),
        left_out);
  CHECK(e.robustness.empty());
  CHECK(e.diversity.empty());
  CHECK(e.memorisation.empty());
  CHECK(e.information.empty());
  const std::string error = mld::test::error_of(
      ErrorKind::usage, [&] { evaluate(model, store, {.metrics = parse_metrics("coherence,mi")}); });
  CHECK(mld::test::contains(error, "a toy has no scores"));

  const auto report = report::write_report({.run = p.out, .method = kToy});
  const std::string text = read_text(report);
  for (const auto* section : {"id=\"training\"", "id=\"samples\"", "score"})
    CHECK(mld::test::contains(text, section));
}

TEST_CASE("method: what the variants of latent diffusion can answer") {
  Place p;
  const auto answers = [&](const std::string& kind) {
    const Config config = mld::test::vector_config(p.store, {"model.kind=" + kind});
    const Answers can = make_method(config, data::Store::open(p.store).description(), kCpu)->answers();
    CHECK(can.no_information == method_answers(config).no_information);
    return can;
  };
  for (const auto* kind : {"mld", "inpaint", "uni"}) {
    CHECK(answers(kind).latents);
    CHECK(mld::test::contains(answers(kind).no_likelihood, "no density"));
  }
  for (const auto* kind : {"mvae", "mmvae", "mopoe", "mvtcae", "nexus"}) {
    CHECK_FALSE(answers(kind).latents);
    CHECK(answers(kind).no_likelihood.empty());
    CHECK(mld::test::contains(answers(kind).no_information, "VAE"));
  }
  CHECK(answers("mld").no_information.empty());
  CHECK(answers("uni").no_information.empty());
  CHECK_FALSE(answers("inpaint").no_information.empty());
  CHECK(answers("uni").inpainting_gap);
  CHECK_FALSE(answers("mld").inpainting_gap);
  CHECK_FALSE(answers("inpaint").inpainting_gap);
}

}  // namespace mld
