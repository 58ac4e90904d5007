// The VAEs as methods: trained, resumed, sampled, exported, evaluated, reported, as latent diffusion is.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/io/files.h"
#include "mld/evaluate/evaluate.h"
#include "mld/methods/vae_training.h"
#include "mld/modality/item_feed.h"
#include "mld/report/report.h"
#include "mld/run/generate.h"
#include "mld/study/sampler_bench.h"
#include "tests/devices.h"
#include "tests/mld/run_place.h"
#include "tests/mld/vector_data.h"
#include "tests/mld/workshop.h"
#include "tests/threads_scope.h"

namespace mld {
namespace {

namespace fs = std::filesystem;

Config vae_config(const fs::path& store, const std::string& kind, std::vector<std::string> more = {}) {
  std::vector<std::string> settings{"model.kind=" + kind, "vae.steps=6",        "vae.batch=16",
                                    "vae.latent=5",       "vae.nexus_latent=4", "vae.message=6",
                                    "vae.hidden=[7]",     "vae.ema=0.5",        "vae.warmup=0"};
  settings.insert(settings.end(), more.begin(), more.end());
  return test::tiny_config(store, settings);
}

std::vector<double> losses(const fs::path& run) {
  std::vector<double> all;
  std::ifstream in(RunFiles{run}.metrics());
  for (std::string line; std::getline(in, line);) {
    const auto record = nlohmann::json::parse(line);
    if (record.at("stage") == "vae") all.push_back(record.at("loss"));
  }
  return all;
}

}  // namespace

TEST_CASE("vae: every kind trains, resumes to the bit, and is sampled and evaluated as any method") {
  const test::Workshop w;
  const data::Store store = data::Store::open(w.store);
  const fs::path judges = w.folder / "judges";
  train({.config = vae_config(w.store, "mvae"), .out = judges, .stages = StageChoice::classifiers}, {});
  for (const std::string kind : {"mvae", "mmvae", "mopoe", "mvtcae", "nexus"}) {
    CAPTURE(kind);
    const Config config = vae_config(w.store, kind);
    const fs::path whole = w.folder / kind, parts = w.folder / (kind + "-parts");
    CHECK(train({.config = config, .out = whole, .reuse = judges}, {}) == StageEnd::finished);
    CHECK_FALSE(path_exists(whole / "autoencoder.image.safetensors"));
    int stops = 1, polls = 0;
    TrainHooks hooks;
    hooks.stop = [&] { return ++polls % 3 == 0; };
    {
      const test::Threads three(3);
      CHECK(train({.config = config, .out = parts, .reuse = judges}, hooks) == StageEnd::stopped);
      while (train({.config = config, .out = parts, .resume = true}, hooks) == StageEnd::stopped) ++stops;
    }
    CHECK(stops >= 2);
    CHECK(test::everything(parts) == test::everything(whole));

    const Model model = Model::open(whole);
    model.save(w.folder / (kind + ".safetensors"));
    const Model exported = Model::open(w.folder / (kind + ".safetensors"));
    const SampleSettings settings = sample_settings(model.config());
    const Samples joint = generate(model, 9, {}, settings);
    CHECK(joint.size() == 3);
    CHECK(joint == generate(exported, 9, {}, settings));
    const Samples rest = generate(model, 9, {{"image", joint.at("image")}}, settings);
    CHECK(rest.size() == 2);
    const Samples both =
        generate(model, 9, {{"image", joint.at("image")}, {"sound", joint.at("sound")}}, settings);
    CHECK(both.at("trajectory") != rest.at("trajectory"));
    // A draw depends on its own number and condition alone.
    const Values first_images(joint.at("image").begin(), joint.at("image").begin() + 4 * 784);
    const Samples fewer = generate(model, 4, {{"image", first_images}}, settings);
    for (const auto& [name, values] : fewer)
      CHECK(std::equal(values.begin(), values.end(), rest.at(name).begin()));
    SampleSettings chunked = settings;
    chunked.chunk = 2;
    CHECK(generate(model, 9, {{"image", joint.at("image")}}, chunked) == rest);
    chunked.seed = 77;
    CHECK(generate(model, 9, {{"image", joint.at("image")}}, chunked) != rest);

    const bool reported = kind == "mopoe" || kind == "nexus";
    const Evaluation e = evaluate(
        model, store,
        {.sampling = settings, .metrics = parse_metrics(reported ? "coherence,quality" : "coherence")});
    CHECK(e.kind == kind);
    CHECK(e.network_calls == 1);
    CHECK(e.conditional.size() == 9);
    // From each proper set its members, and from all of them all.
    CHECK(e.self.size() == 12);
    for (const auto& c : e.self) CHECK(contains(c.given, c.target));
    CHECK(std::ranges::count(e.self, full_set(3), &CoherenceCell::given) == 3);
    CHECK(e.weights == "ema");
    CHECK(e.schedule() == "no schedule");
    CHECK(test::contains(e.settings.at("model.kind"), kind));
    CHECK(e.settings.contains("vae.latent"));
    CHECK_FALSE(e.settings.contains("score.width"));
    CHECK(parse_evaluation(to_json(e), "evaluation.json").schedule() == e.schedule());
    if (!reported) continue;
    const auto of_all = [](const QualityCell& q) { return q.given == full_set(3); };
    CHECK(std::ranges::count_if(e.quality, of_all) == 3);
    CHECK(std::ranges::count_if(e.quality, [](const auto& q) { return contains(q.given, q.target); }) == 12);
    CHECK(test::contains(to_table(e), "What is given, generated again"));
    const std::string report = read_text(report::write_report({.run = whole}));
    CHECK(test::contains(report, kind == "nexus" ? "latent of 4" : "latent of 5"));
  }
  const Model model = Model::open(w.folder / "mvae");
  CHECK(test::contains(test::error_of(ErrorKind::usage,
                                      [&] {
                                        bench_samplers(model, store,
                                                       {.sampling = sample_settings(model.config())},
                                                       sampler_candidates({}));
                                      }),
                       "no sampler"));
}

TEST_CASE("vae on cuda: trained, stopped and resumed to the last byte, and the cpu's but for rounding") {
  if (!test::has_cuda()) return;
  const test::Workshop w;
  const data::Store store = data::Store::open(w.store);
  for (const std::string kind : {"mopoe", "nexus"}) {
    CAPTURE(kind);
    const Config config = vae_config(w.store, kind, {"vae.steps=9", "run.log_every=1", "vae.mixture=random"});
    const fs::path cpu = w.folder / (kind + "-cpu"), whole = w.folder / kind,
                   parts = w.folder / (kind + "-parts");
    CHECK(train({.config = config, .out = cpu, .stages = StageChoice::score}, {}) == StageEnd::finished);
    CHECK(train({.config = config, .out = whole, .stages = StageChoice::score, .device = kCuda}, {}) ==
          StageEnd::finished);
    int polls = 0;
    TrainHooks hooks;
    hooks.stop = [&] { return ++polls % 4 == 0; };
    while (
        train({.config = config, .out = parts, .stages = StageChoice::score, .resume = true, .device = kCuda},
              hooks) == StageEnd::stopped) {
    }
    CHECK(test::everything(parts) == test::everything(whole));
    const std::vector<double> got = losses(whole), want = losses(cpu);
    REQUIRE(got.size() == 9);
    REQUIRE(want.size() == 9);
    // Later Adam makes steps of what is rounding alone in gradients that are all but zero.
    for (std::size_t i = 0; i < want.size(); ++i)
      CHECK(got[i] == doctest::Approx(want[i]).epsilon(i == 0 ? 1e-5 : 2e-2));
    // The same networks draw the same on both.
    const Model here = Model::open(whole), there = Model::open(whole, kCuda);
    const Samples a = generate(here, 5, {}, sample_settings(here.config())),
                  b = generate(there, 5, {}, sample_settings(there.config()));
    for (const auto& [name, values] : a)
      test::check_near({b.at(name).begin(), b.at(name).end()}, {values.begin(), values.end()}, 1e-3);
  }
}

TEST_CASE("vae: training lowers the loss, and a one-modality posterior knows its item") {
  const test::Workshop w;
  for (const std::string kind : {"mopoe", "nexus"}) {
    CAPTURE(kind);
    const Config config =
        vae_config(w.store, kind,
                   {kind == "nexus" ? "vae.steps=300" : "vae.steps=120", "vae.lr=3e-3", "vae.ema=0",
                    "vae.beta=0.1", "vae.message=16", "vae.hidden=[32]", "vae.warmup_epochs=2"});
    const fs::path out = w.folder / kind;
    CHECK(train({.config = config, .out = out}, {}) == StageEnd::finished);
    const std::vector<double> of_steps = losses(out);
    REQUIRE(of_steps.size() > 10);
    CHECK(of_steps.back() < 0.7 * of_steps.front());
    // Given an image, the image drawn is nearer to it than one drawn jointly.
    const Model model = Model::open(out);
    const data::Store store = data::Store::open(w.store);
    std::vector<std::int32_t> items(24);
    for (std::size_t k = 0; k < items.size(); ++k) items[k] = static_cast<std::int32_t>(k);
    const Tensor x = gather_items(store.split("train"), 0, store.modality(0), items);
    const auto distance = [&](Subset given) {
      Tensor codes = Tensor::zeros({24, model.layout().total});
      model.layout().set_slice(codes, 0, model.encode(0, x));
      const Tensor y = model.decode(0, model.sample(given, codes, items, sample_settings(model.config())));
      double sum = 0;
      for (std::int64_t i = 0; i < x.numel(); ++i)
        sum += std::pow(static_cast<double>(y.data<float>()[i] - x.data<float>()[i]), 2);
      return sum;
    };
    CHECK(distance(1) < 0.9 * distance(0));
  }
}

TEST_CASE("vae: what cannot be trained is said before anything is") {
  const test::Workshop w;
  const auto refused = [&](ErrorKind error, const std::string& kind, std::vector<std::string> more,
                           const char* text) {
    const std::string message = test::error_of(error, [&] {
      train({.config = vae_config(w.store, kind, std::move(more)), .out = w.folder / "refused"}, {});
    });
    CHECK_MESSAGE(test::contains(message, text), message);
    CHECK_FALSE(path_exists(w.folder / "refused"));
  };
  refused(ErrorKind::usage, "mopoe", {"vae.batch=6"}, "7 components");
  refused(ErrorKind::usage, "mvae", {"modalities.trajectory.stage1.shift=1"}, "trajectory");
  CHECK(train({.config = vae_config(w.store, "mopoe", {"vae.batch=6", "vae.mixture=random"}),
               .out = w.folder / "random"},
              {}) == StageEnd::finished);
}

TEST_CASE("vae: a sample that lacks a modality is trained on by those that it has") {
  const test::TempFolder folder;
  const auto lacks = [](std::int64_t row) { return row % 3 == 1; };
  test::make_vectors(folder / "holes", {.classes = 0, .without_b = lacks});
  const data::Store store = data::Store::open(folder / "holes");
  const data::Split& split = store.split("train");
  for (const std::string kind : {"mvae", "mmvae", "mopoe", "mvtcae", "nexus"}) {
    CAPTURE(kind);
    const Config config =
        test::vector_config(folder / "holes", {"model.kind=" + kind, "vae.steps=4", "vae.batch=8"});
    const TrainingData data{.config = config, .store = store, .split = split, .columns = {0, 1}};
    const VaeSamples samples = vae_samples(data);
    REQUIRE(samples.rows.size() == 24);
    CHECK_FALSE(samples.complete);
    for (std::size_t k = 0; k < 24; ++k) CHECK(samples.present[k] == (lacks(samples.rows[k]) ? 1 : 3));
    CHECK(make_method(config, store.description(), kCpu)->steps_per_epoch({StageKind::vae, {}}, data) == 3);
    const fs::path whole = folder / kind, parts = folder / (kind + "-parts");
    CHECK(train({.config = config, .out = whole}, {}) == StageEnd::finished);
    CHECK(Model::open(whole).generates());
    CHECK(Model::open(whole).unchecked().empty());  // it rests on no classifier, and is not old for that
    int polls = 0;
    TrainHooks hooks;
    hooks.stop = [&] { return ++polls % 2 == 0; };
    while (train({.config = config, .out = parts, .resume = true}, hooks) == StageEnd::stopped) {
    }
    CHECK(test::everything(parts) == test::everything(whole));
    if (!test::has_cuda()) continue;
    const fs::path there = folder / (kind + "-cuda");
    CHECK(train({.config = config, .out = there, .device = kCuda}, {}) == StageEnd::finished);
    CHECK(losses(there).front() == doctest::Approx(losses(whole).front()).epsilon(1e-4));
  }
  // Never there beside another: nothing could be learnt of the two.
  test::make_vectors(folder / "never", {.without_b = [](std::int64_t row) { return row < 12; },
                                        .without_a = [](std::int64_t row) { return row >= 12; }});
  const std::string message = test::error_of(ErrorKind::data, [&] {
    train({.config = test::vector_config(folder / "never", {"model.kind=mvae"}), .out = folder / "refused"},
          {});
  });
  CHECK_MESSAGE(test::contains(message, "modality 'a': no sample has it together with another"), message);
}

}  // namespace mld
