// The start of a run: what is checked before it, what a killed one left, where its data are.
#include <doctest/doctest.h>

#include <fstream>

#include "mld/run/run_data.h"
#include "tests/mld/run_place.h"

namespace mld {
namespace {

namespace fs = std::filesystem;
using test::contains, test::error_of, test::everything, test::make_vectors, test::Place, test::VectorData,
    test::write_array;

}  // namespace

TEST_CASE("start: what a killed start left is no obstacle; what is not ours stays") {
  Place p;
  for (const char* name : {".config.json.tmp", ".score.safetensors.tmp", ".lock", "reused.json"}) {
    CAPTURE(name);
    const fs::path out = p.folder / (std::string("left-") + name);
    fs::create_directories(out);
    std::ofstream(out / name) << "half";
    CHECK(p.run(out, {}, {.stages = StageChoice::autoencoders}) == StageEnd::finished);
    CHECK(fs::exists(out / ".config.json.tmp") == false);
  }
  for (const char* name :
       {"letter.txt", ".hidden", "config.json.tmp", "autoencoder.a.safetensors", "dataset.json"}) {
    CAPTURE(name);
    const fs::path out = p.folder / (std::string("foreign-") + name);
    fs::create_directories(out);
    std::ofstream(out / name) << "precious";
    error_of(ErrorKind::busy, [&] { p.run(out, {}); });
    CHECK(everything(out).ends_with("precious"));
  }
  const fs::path linked = p.folder / "linked";
  fs::create_directories(linked);
  std::ofstream(p.folder / "elsewhere") << "precious";
  fs::create_hard_link(p.folder / "elsewhere", linked / ".config.json.tmp");
  error_of(ErrorKind::busy, [&] { p.run(linked, {}); });
  CHECK(read_text(p.folder / "elsewhere") == "precious");
}

TEST_CASE("start: a reuse that was killed is completed by resume, with the same files") {
  Place p;
  const fs::path from = p.folder / "from";
  p.run(from, {"seed=3"});
  p.run(p.folder / "whole", {}, {.reuse = from});
  for (const int kept : {0, 1, 3}) {
    CAPTURE(kept);
    p.out = p.folder / ("part" + std::to_string(kept));
    fs::create_directories(p.out);
    const std::vector<std::string> files{"reused.json", "config.json", "dataset.json",
                                         "autoencoder.a.safetensors", "classifier.a.safetensors"};
    for (int i = 0; i < 2 + kept; ++i)
      fs::copy_file(p.folder / "whole" / files[static_cast<std::size_t>(i)],
                    p.out / files[static_cast<std::size_t>(i)]);
    CHECK(p.resume({}) == StageEnd::finished);
    for (const char* name : {"autoencoder.a.safetensors", "autoencoder.b.safetensors", "score.safetensors"})
      CHECK_MESSAGE(read_text(p.out / name) == read_text(p.folder / "whole" / name), name);
  }
  // Taking over from two runs, of which the first is not forgotten.
  p.out = p.folder / "two";
  p.run(p.folder / "only-a", {"seed=4"}, {.stages = StageChoice::autoencoders});
  fs::copy(p.folder / "only-a", p.folder / "only-b");
  fs::remove(p.folder / "only-a/autoencoder.b.safetensors");
  fs::remove(p.folder / "only-b/autoencoder.a.safetensors");
  const fs::path first = p.folder / "only-a";
  p.run(p.out, {}, {.stages = StageChoice::classifiers, .reuse = first});
  p.resume({}, {.reuse = p.folder / "only-b"});
  for (const char* name : {"autoencoder.a.safetensors", "autoencoder.b.safetensors"})
    CHECK(contains(read_text(p.out / "reused.json"), name));
  Model::open(p.out);
  // What is there already and is not theirs is not passed off as theirs.
  p.out = p.folder / "own";
  p.run(p.out, {}, {.stages = StageChoice::autoencoders});
  CHECK(contains(error_of(ErrorKind::busy, [&] { p.resume({}, {.reuse = from}); }), "leave --reuse out"));
}

TEST_CASE("start: whatever can be known is checked before there is a folder") {
  Place p;
  const fs::path out = p.folder / "new";
  const auto refused = [&](ErrorKind kind, const std::vector<std::string>& settings,
                           const std::string& text) {
    const std::string message = error_of(kind, [&] { p.run(out, settings); });
    CHECK_MESSAGE(contains(message, text), message);
    CHECK_FALSE(fs::exists(out));
  };
  refused(ErrorKind::usage, {"modalities.b.autoencoder=conv"}, "'conv'");
  refused(ErrorKind::usage, {"modalities.b.likelihood=categorical"}, "modality 'b'");
  refused(ErrorKind::usage, {"modalities.b.classifier=svhn"}, "'svhn'");
  refused(ErrorKind::usage, {"score.guidance=2"}, "score.marginals");
  refused(ErrorKind::usage, {"score.guidance=2", "score.marginals=0.1", "model.kind=uni"}, "model.kind mld");
  refused(ErrorKind::usage, {"score.encodings=2"}, "none of its modalities is augmented");
  refused(ErrorKind::usage, {"modalities.a.stage1.shift=1"}, "only pictures");
  refused(ErrorKind::usage, {"modalities.a.classifier_training.gain=0.1"}, "only pictures");
  const auto with = [&](const char* name, const VectorData& data) {
    p.store = p.folder / name;
    make_vectors(p.store, data);
  };
  with("once", {.without_b = [](std::int64_t row) { return row != 4; }});
  refused(ErrorKind::data, {}, "modality 'b': is in 1 of the 24 samples");
  with("none", {.classes = 0});
  refused(ErrorKind::usage, {"score.pairing=fresh"}, "the data have no labels");
  with("one", {.n = 1, .classes = 0});
  refused(ErrorKind::data, {}, "modality 'a': is in 1 of the 1 samples");
  with("late", {.without_b = [](std::int64_t row) { return row >= 2; }});
  refused(ErrorKind::data, {"score.latent_statistics=first_batch", "score.batch=2"}, "modality 'b': is in ");
  // An unwritable place, and a start that fails leaves no folder either.
  with("again", {});
  CHECK(contains(
      error_of(ErrorKind::model, [&] { p.run(out / "deep" / "er", {}, {.stages = StageChoice::score}); }),
      "train the autoencoders first"));
  CHECK_FALSE(fs::exists(out));
  fs::create_directories(out / "score.safetensors");
  write_file_atomically(out / "config.json", "{}");
  error_of(ErrorKind::io, [&] { p.run(out, {}); });
}

TEST_CASE("train: a modality whose labelled samples lack it gets no classifier, and the rest goes on") {
  for (const int kept : {1, 3, 5}) {
    Place p;
    p.store = p.folder / "hidden";
    const fs::path raw = p.folder / "raw";
    for (const char* split : {"train", "test"}) {
      std::vector<float> a, b;
      std::vector<std::int32_t> labels;
      for (std::int64_t i = 0; i < 24; ++i) {
        // What has a label lacks b.
        const bool lacks = i % 2 == 0 || i / 2 >= 4 + kept;
        for (int j = 0; j < 3; ++j) a.push_back(static_cast<float>(i % 4) + 0.1f * static_cast<float>(j));
        for (int j = 0; j < 4; ++j) b.push_back(lacks ? std::nanf("") : static_cast<float>(i % 3));
        labels.push_back(lacks ? static_cast<std::int32_t>(i / 2 % 2) : -1);
      }
      write_array(raw / split / "a.npy", DType::f32, {24, 3}, a.data(), a.size() * 4);
      write_array(raw / split / "b.npy", DType::f32, {24, 4}, b.data(), b.size() * 4);
      write_array(raw / split / "labels.npy", DType::i32, {24}, labels.data(), labels.size() * 4);
    }
    data::import_npy(raw, p.store, {});
    CHECK(p.run(p.out, {}) == StageEnd::finished);
    CHECK(p.noted("classifier/b: left out, none of its items in split 'train' has a label"));
    CHECK(fs::exists(p.out / "classifier.a.safetensors"));
    const Model model = Model::open(p.out);
    CHECK_FALSE(model.has_classifier(1));
  }
}

TEST_CASE("run: a store that was named relatively is found from elsewhere") {
  Place p;
  const fs::path before = fs::current_path();
  fs::current_path(p.folder.path());
  p.store = "store";
  p.out = "run";
  p.run(p.out, {}, {.stages = StageChoice::autoencoders});
  const Config config = read_run_config({p.out});
  CHECK(fs::path(config.data.store).is_absolute());
  fs::current_path(before);
  CHECK(data::Store::open(find_store(config.data.store, p.folder / "run")).num_modalities() == 2);
  // Runs of before.
  CHECK(find_store("store", p.folder / "run") == p.folder / "store");
  CHECK(find_store("store", (p.folder / "run").string() + "/") == p.folder / "store");
  CHECK(find_store((p.folder / "store").string(), "nowhere") == p.folder / "store");
  const std::string message = error_of(ErrorKind::data, [&] { find_store("gone", p.folder / "run"); });
  CHECK(contains(message, "neither here nor in " + p.folder.path().string()));
  CHECK(contains(message, "--data"));
}

}  // namespace mld
