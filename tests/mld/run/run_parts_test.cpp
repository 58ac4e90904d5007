// The files of a run belong together.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/mld/run_place.h"

namespace mld {
namespace {

namespace fs = std::filesystem;
using test::contains, test::error_of, test::everything, test::make_vectors, test::More, test::Place,
    test::record, test::strip, test::vector_config;

}  // namespace

TEST_CASE("parts: a file of another run among a run's own is refused, both named") {
  Place p;
  p.run(p.out, {});
  const fs::path other = p.folder / "other";
  p.run(other, {"seed=1"});
  Model::open(p.out).save(p.folder / "export.safetensors");
  for (const char* name :
       {"autoencoder.a.safetensors", "autoencoder.b.safetensors", "classifier.b.safetensors"}) {
    CAPTURE(name);
    const fs::path mixed = p.folder / (std::string("mixed-") + name);
    fs::copy(p.out, mixed);
    fs::copy_file(other / name, mixed / name, fs::copy_options::overwrite_existing);
    const std::string message = error_of(ErrorKind::model, [&] { Model::open(mixed); });
    CHECK(contains(message, name));
    CHECK(contains(message, "config.json"));
    CHECK(contains(message, "seed: 1, not 0"));
    p.out = mixed;
    for (const bool anew : {false, true})  // whatever the score network
      CHECK(contains(error_of(ErrorKind::model, [&] { p.resume({}, {.retrain_score = anew}); }),
                     "seed: 1, not 0"));
  }
  p.store = p.folder / "data2";
  make_vectors(p.store, {.shift = 1});
  p.run(p.folder / "run2", {});
  fs::copy(p.folder / "other", p.folder / "described");
  fs::copy_file(p.folder / "run2/dataset.json", p.folder / "described/dataset.json",
                fs::copy_options::overwrite_existing);
  CHECK(contains(error_of(ErrorKind::model, [&] { Model::open(p.folder / "described"); }), "dataset.json"));
  CHECK(Model::open(p.folder / "export.safetensors").unchecked().empty());
}

TEST_CASE(
    "parts: what is older than the records opens, exports and resumes, and says once what was not checked") {
  Place p;
  p.run(p.out, {});
  for (const char* name : {"score", "autoencoder.a", "autoencoder.b", "classifier.a", "classifier.b"})
    strip(p.out / (std::string(name) + ".safetensors"), {"parts", "data"});
  const Model model = Model::open(p.out);
  CHECK(model.unchecked().size() == 1);
  model.save(p.folder / "export.safetensors");
  CHECK(Model::open(p.folder / "export.safetensors").unchecked().size() == 1);
  CHECK(p.resume({}) == StageEnd::finished);
  CHECK(p.notes_with("was not checked") == 1);
  p.resume({"score.steps=8"});  // from here on it is known
  CHECK(Model::open(p.out).unchecked().empty());
}

TEST_CASE("parts: a configuration that is not that of the networks is refused by whoever opens the run") {
  Place p;
  p.run(p.out, {});
  const auto refused = [&](const std::string& config, const char* text) {
    CAPTURE(text);
    write_file_atomically(p.out / "config.json", config);
    CHECK(contains(error_of(ErrorKind::model, [&] { Model::open(p.out); }), text));
  };
  const auto configured = [&](const std::vector<std::string>& settings) {
    return to_json(vector_config(p.store, settings));
  };
  const std::string own = read_text(p.out / "config.json");
  refused(configured({"seed=1"}), "seed: 0, not 1");
  refused(configured({"score.lr=0.5"}), "score.lr");
  refused(configured({"score.steps=7"}), "score.steps: 6, not 7");
  refused(configured({"stage1.steps=5"}), "modalities.a.stage1.steps: 4, not 5");
  refused(configured({"modalities.b.classifier_training.lr=0.5"}), "modalities.b.classifier_training.lr");
  refused(configured({"modalities.b.weight=3"}), "modalities.b.weight");
  refused(configured({"modalities.b.fresh=false"}), "modalities.b.fresh");
  refused(configured({"modalities.b.layers.width=9"}), "modalities.b.layers.width");
  Config turned = vector_config(p.store, {});
  std::swap(turned.modalities[0], turned.modalities[1]);
  refused(to_json(turned), "a, b, not b, a");
  // How samples are drawn and where the data are is for whoever continues to say.
  write_file_atomically(p.out / "config.json",
                        configured({"sampler.steps=3", "run.log_every=1", "threads=1"}));
  Model::open(p.out);
  write_file_atomically(p.out / "config.json", own);
  Model::open(p.out);
  // Parts taken over from a run of another seed are no mistake, unless nothing says that they were.
  p.run(p.folder / "next", {"seed=5"}, {.reuse = p.out});
  Model::open(p.folder / "next");
  fs::remove(p.folder / "next/reused.json");
  CHECK(contains(error_of(ErrorKind::model, [&] { Model::open(p.folder / "next"); }), "seed: 0, not 5"));
}

TEST_CASE("parts: the configuration is compared before networks are built, of whatever stages there are") {
  for (const StageChoice stages : {StageChoice::autoencoders, StageChoice::classifiers, StageChoice::all}) {
    CAPTURE(static_cast<int>(stages));
    Place p;
    p.run(p.out, {}, {.stages = stages});
    const bool encodes = stages != StageChoice::classifiers, classifies = stages != StageChoice::autoencoders;
    const auto refused = [&](bool of_these, const std::string& setting, const std::string& text) {
      if (!of_these) return;
      CAPTURE(setting);
      write_file_atomically(p.out / "config.json", to_json(vector_config(p.store, {setting})));
      CHECK(contains(error_of(ErrorKind::model, [&] { Model::open(p.out); }), text));
      for (const bool anew : {false, true})
        CHECK(contains(
            error_of(ErrorKind::model,
                     [&] { p.resume({setting}, {.stages = StageChoice::all, .retrain_score = anew}); }),
            text));
      if (setting.ends_with("=none")) return;  // a classifier that is not wanted is not taken over
      const fs::path next = p.folder / "next";
      CHECK(contains(error_of(ErrorKind::model, [&] { p.run(next, {setting}, {.reuse = p.out}); }), text));
      CHECK_FALSE(fs::exists(next));
    };
    refused(true, "seed=3", "seed: 0, not 3");
    refused(encodes, "modalities.a.latent=3", "modalities.a.latent: 2, not 3");
    refused(encodes, "modalities.b.units=declared", "modalities.b.units: \"standard\", not \"declared\"");
    refused(encodes, "stage1.lr=0.5", "modalities.a.stage1.lr");
    refused(classifies, "modalities.a.classifier=none", "modalities.a.classifier: \"mlp\", not \"none\"");
    refused(classifies, "classifier_training.lr=0.5", "modalities.a.classifier_training.lr");
    if (stages != StageChoice::all) continue;
    write_file_atomically(p.out / "config.json", to_json(vector_config(p.store, {"score.width=512"})));
    CHECK(contains(error_of(ErrorKind::model, [&] { Model::open(p.out); }), "score.width: 16, not 512"));
  }
}

TEST_CASE("parts: a budget that a program of before wrote down and did not use is put right") {
  Place p;
  p.run(p.out, {});
  const std::string own = read_text(p.out / "config.json");
  const std::vector<std::string> falsified{"score.steps=40", "stage1.steps=30"};
  const auto falsify = [&](std::initializer_list<const char*> parts) {
    for (const char* name : parts)
      strip(p.out / (std::string(name) + ".safetensors"), {"parts", "steps_per_epoch"});
    write_file_atomically(p.out / "config.json", to_json(vector_config(p.store, falsified)));
  };
  falsify({"score", "autoencoder.a", "autoencoder.b", "classifier.a", "classifier.b"});
  const Model model = Model::open(p.out);
  CHECK(model.config().score.steps == 6);
  CHECK(model.config().modalities[1].stage1.steps == 4);
  REQUIRE(model.unchecked().size() == 4);
  CHECK(contains(model.unchecked()[0], "which counts: 4 steps, not 30 steps"));
  // Whoever goes on is told what to write, and then all is well.
  const std::string before = everything(p.out);
  CHECK(contains(error_of(ErrorKind::usage, [&] { p.resume(falsified); }),
                 "(continues from step 4 of 30 steps)"));
  CHECK(everything(p.out) == before);
  p.resume({});
  CHECK(read_text(p.out / "config.json") == own);
  // More steps of one stage leave the others openable.
  falsify({"score", "autoencoder.a", "autoencoder.b", "classifier.a", "classifier.b"});
  p.resume({"score.steps=9", "stage1.steps=30"}, {.stages = StageChoice::score});
  CHECK(record(p.out, "score").parts.size() == 4);
  CHECK(Model::open(p.out).config().modalities[0].stage1.steps == 4);
}

TEST_CASE("parts: a file in the place of another is told, and nothing changes") {
  Place p;
  p.run(p.out, {});
  write_file_atomically(p.out / "evaluation.json", "{}");
  Model::open(p.out).save(p.folder / "export.safetensors");
  fs::copy(p.out, p.folder / "whole");
  struct Variant {
    fs::path from;
    std::string to, says;
  };
  for (const Variant& v :
       {Variant{p.folder / "export.safetensors", "score", "holds an exported model, not score"},
        Variant{p.folder / "export.safetensors", "autoencoder.a", "an exported model, not autoencoder/a"},
        Variant{p.out / "autoencoder.a.safetensors", "score", "holds autoencoder/a, not score"},
        Variant{p.out / "autoencoder.b.safetensors", "autoencoder.a", "autoencoder/b, not autoencoder/a"},
        Variant{p.out / "classifier.b.safetensors", "classifier.a", "classifier/b, not classifier/a"},
        Variant{p.out / "classifier.a.safetensors", "autoencoder.a", "classifier/a, not autoencoder/a"}})
    for (const bool with_score : {true, false}) {
      CAPTURE(v.says);
      const fs::path mixed = p.folder / "mixed";
      fs::remove_all(mixed);
      fs::copy(p.folder / "whole", mixed);
      if (!with_score) fs::remove(mixed / "score.safetensors");
      fs::copy_file(v.from, mixed / (v.to + ".safetensors"), fs::copy_options::overwrite_existing);
      Place q;
      q.store = p.store;
      q.out = mixed;
      const std::string before = everything(mixed);
      CHECK(contains(error_of(ErrorKind::model, [&] { Model::open(mixed); }), v.says));
      for (const char* steps : {"score.steps=6", "score.steps=12"})
        CHECK(contains(error_of(ErrorKind::model, [&] { q.resume({steps}); }), v.says));
      CHECK(everything(mixed) == before);
      if (v.to == "score") continue;
      CHECK(contains(error_of(ErrorKind::model, [&] { p.run(p.folder / "next", {}, {.reuse = mixed}); }),
                     v.says));
    }
  // Weights alone can be used but not trained on; a damaged score network is no obstacle to a new one.
  p.out = p.folder / "whole";
  strip(p.out / "score.safetensors", {"training"});
  const std::string before = everything(p.out);
  CHECK(
      contains(error_of(ErrorKind::model, [&] { p.resume({"score.steps=12"}); }), "no state of a training"));
  strip(p.out / "score.safetensors", {"config"});
  CHECK(contains(error_of(ErrorKind::model, [&] { Model::open(p.out); }),
                 "score.safetensors: the configuration in its metadata is damaged"));
  write_file_atomically(p.out / "score.safetensors", "short");
  p.resume({}, {.retrain_score = true});
  CHECK(record(p.out, "score").content == record(p.folder / "run", "score").content);
  fs::remove(p.out / "autoencoder.a.safetensors");
  CHECK(contains(error_of(ErrorKind::model, [&] { Model::open(p.out); }),
                 "autoencoder.a.safetensors: is missing"));
  fs::remove(p.out / "score.safetensors");
  const std::string without = everything(p.out);
  CHECK(contains(error_of(ErrorKind::model, [&] { p.resume({}, {.stages = StageChoice::score}); }),
                 "train the autoencoders first"));
  CHECK(everything(p.out) == without);
}

TEST_CASE("parts: a run whose files are not of one run is none to take over from") {
  Place p;
  p.run(p.out, {}, {.stages = StageChoice::autoencoders});
  p.run(p.folder / "other", {"modalities.a.latent=3"}, {.stages = StageChoice::autoencoders});
  fs::copy_file(p.folder / "other/config.json", p.out / "config.json", fs::copy_options::overwrite_existing);
  const fs::path next = p.folder / "next";
  for (const char* latent : {"modalities.a.latent=2", "modalities.a.latent=3"})
    CHECK(contains(error_of(ErrorKind::model, [&] { p.run(next, {latent}, {.reuse = p.out}); }),
                   "autoencoder.a.safetensors: was trained with other settings"));
  CHECK(contains(error_of(ErrorKind::model,
                          [&] { p.run(next, {"modalities.a.latent=5"}, {.reuse = p.folder / "other"}); }),
                 "modalities.a.latent: 3, not 5"));
  for (const char* name : {"autoencoder.a.safetensors", "autoencoder.b.safetensors"})
    fs::remove(p.folder / "other" / name);
  CHECK(contains(error_of(ErrorKind::model, [&] { p.run(next, {}, {.reuse = p.folder / "other"}); }),
                 "neither an autoencoder nor a classifier"));
  CHECK_FALSE(fs::exists(next));
}

TEST_CASE("parts: what is not a temporary of ours is found before anything changes") {
  for (const char* name : {".score.safetensors.tmp", ".config.json.tmp", ".metrics.jsonl.tmp"}) {
    CAPTURE(name);
    Place p;
    p.run(p.out, {});
    write_file_atomically(p.out / "evaluation.json", "{}");
    write_file_atomically(p.folder / "precious", "precious");
    fs::create_hard_link(p.folder / "precious", p.out / name);
    const std::string before = everything(p.out);
    CHECK(contains(error_of(ErrorKind::io, [&] { p.resume({"score.steps=9"}); }), name));
    CHECK(everything(p.out) == before);
    CHECK(read_text(p.folder / "precious") == "precious");
  }
}

TEST_CASE("parts: classifiers that are trained after the score network become its own") {
  Place p;
  p.run(p.out, {}, {.stages = StageChoice::autoencoders});
  p.resume({}, {.stages = StageChoice::score});
  CHECK(record(p.out, "score").parts.size() == 2);
  p.resume({}, {.stages = StageChoice::classifiers});
  CHECK(record(p.out, "score").parts.size() == 4);
  Model::open(p.out);
  p.stop_after(2, {"classifier_training.steps=9"}, {.stages = StageChoice::classifiers});
  CHECK_FALSE(record(p.out, "score").parts.contains("classifier.a"));
  p.resume({"classifier_training.steps=9"}, {.stages = StageChoice::classifiers});
  CHECK(record(p.out, "score").parts.size() == 4);
  Model::open(p.out);
  p.run(p.folder / "fresh", {"classifier_training.steps=9"});
  CHECK(read_text(p.out / "config.json") == read_text(p.folder / "fresh/config.json"));
  CHECK(record(p.out, "score").content == record(p.folder / "fresh", "score").content);
}

}  // namespace mld
