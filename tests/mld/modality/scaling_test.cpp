// The units that networks work in: measured, applied, trained with, resumed, exported.
#include "mld/modality/networks/scaling.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>

#include "data/formats/npy.h"
#include "data/importers/import.h"
#include "data/store/store_writer.h"
#include "engine/io/safetensors.h"
#include "engine/threads/threads.h"
#include "mld/modality/autoencoders.h"
#include "mld/run/generate.h"
#include "mld/run/run_files.h"
#include "mld/train/train.h"
#include "tests/mld/workshop.h"
#include "tests/nn/helpers.h"

namespace mld {
namespace {

namespace fs = std::filesystem;
using data::ModalityKind;
using test::TempFolder;

constexpr std::int64_t kItems = 40;

data::Modality modality(const std::string& name, ModalityKind kind, Shape shape,
                        data::ValueRange range = {}) {
  data::Modality m;
  m.name = name;
  m.kind = kind;
  m.shape = shape;
  m.range = range;
  if (data::is_discrete(kind)) {
    m.dtype = DType::i32;
    m.categories = 3;
  }
  return m;
}

// A store of the modalities, all of floats, with two classes.
void write_store(const fs::path& folder, const std::vector<data::Modality>& modalities,
                 const std::vector<std::vector<float>>& values) {
  data::Description d;
  d.name = "scaling";
  d.classes = 2;
  d.modalities = modalities;
  data::StoreWriter writer(folder, d);
  std::vector<std::int32_t> labels;
  for (std::size_t m = 0; m < values.size(); ++m)
    writer.add_items("train", static_cast<int>(m), std::span(values[m]));
  const auto items = static_cast<std::int64_t>(values[0].size()) / modalities[0].shape.numel();
  for (std::int32_t i = 0; i < items; ++i) labels.push_back(i % 2);
  writer.set_aligned_samples("train", items, labels);
  writer.commit();
}

std::vector<float> floats(std::int64_t n, std::uint64_t seed, const std::function<double(double)>& f) {
  std::vector<float> out;
  for (const double v : test::values(n, seed)) out.push_back(static_cast<float>(f(v)));
  return out;
}

// The configuration that the data get without a preset, of a few steps.
Config own_config(const fs::path& store, std::vector<std::string> more = {}) {
  ConfigSources sources;
  sources.settings = {"data.store=" + store.string(),
                      "stage1.steps=6",
                      "stage1.batch=8",
                      "classifier_training.steps=6",
                      "classifier_training.batch=8",
                      "score.steps=4",
                      "score.batch=8",
                      "score.width=32",
                      "score.time_dim=16",
                      "run.log_every=1",
                      "run.checkpoint_every=0",
                      "sampler.steps=4",
                      "sampler.jump=2"};
  sources.settings.insert(sources.settings.end(), more.begin(), more.end());
  sources.describe = [](const std::string& path) { return data::Store::open(path).description(); };
  return resolve_config(sources);
}

std::vector<double> losses(const fs::path& run) {
  std::vector<double> all;
  std::ifstream in(RunFiles{run}.metrics());
  for (std::string line; std::getline(in, line);) all.push_back(nlohmann::json::parse(line).at("loss"));
  return all;
}

void check_same_losses(const fs::path& run, const fs::path& base, double tolerance) {
  const std::vector<double> got = losses(run), want = losses(base);
  REQUIRE(want.size() == 16);
  REQUIRE(got.size() == want.size());
  for (std::size_t i = 0; i < want.size(); ++i) {
    CAPTURE(i);
    CHECK(got[i] == doctest::Approx(want[i]).epsilon(tolerance));
  }
}

// A measured scaling and the store that its buffers live in.
struct Measured {
  std::optional<Scaling> scaling;
  nn::ParameterStore store;
  Measured(std::int64_t size, const data::Split& split, Device device = kCpu, std::int64_t item_size = 0)
      : scaling(Scaling(size)), store(*scaling, {.device = device, .training = false}) {
    store.initialize(0);
    measure(scaling, split, 0, item_size > 0 ? item_size : size);
  }
  std::vector<double> offset() const { return test::host(scaling->offset.value()); }
  std::vector<double> scale() const { return test::host(scaling->scale.value()); }
};

}  // namespace

TEST_CASE("scaling: mean and deviation of each coordinate, constants, rare values, one column") {
  const TempFolder folder;
  // Coordinates: alternating, far from zero, constant, zero, and the same in all items but one of 400.
  std::vector<float> values;
  for (int i = 0; i < 400; ++i) {
    const float sign = i % 2 == 0 ? 1.0F : -1.0F;
    values.insert(values.end(), {3e-4F * sign, 1e6F + sign, 0.1F, 0.0F, i == 7 ? 5.0F : 1.0F});
  }
  write_store(folder / "store", {modality("v", ModalityKind::vector, {5})}, {values});
  const data::Store store = data::Store::open(folder / "store");
  for (const Device device : test::test_devices()) {
    const Measured m(5, store.split("train"), device);
    test::check_near(m.offset(), {0, 1e6, static_cast<double>(0.1F), 0, 1.01}, 1e-7);
    const double rare = 4 * (1 - 1 / 400.0) / 10;  // a tenth of the largest deviation, not 0.2
    test::check_near(m.scale(), {static_cast<double>(3e-4F), 1, 0, 0, rare}, 1e-6);
    const Tensor x = Tensor::from(values, {400, 5}, device), u = m.scaling->to_network(x);
    const std::vector<double> seen = test::host(u), back = test::host(m.scaling->to_data(u));
    for (std::size_t i = 0; i < values.size(); ++i) {
      CHECK(std::abs(seen[i]) <= 10.001);
      CHECK(std::abs(back[i] - static_cast<double>(values[i])) <=
            2e-7 * std::abs(static_cast<double>(values[i])));
    }
    // What was never there cannot be told from the constant; it stays finite and comes back as the constant.
    const Tensor odd = Tensor::from(std::vector<float>{0, 1e6F, 9, -7, 1}, {1, 5}, device);
    const std::vector<double> constant = test::host(m.scaling->to_data(m.scaling->to_network(odd)));
    CHECK(constant[2] == static_cast<double>(0.1F));
    CHECK(constant[3] == 0);
  }
  write_store(folder / "one", {modality("v", ModalityKind::vector, {1})}, {{2, 4, 4, 6}});
  const Measured one(1, data::Store::open(folder / "one").split("train"));
  CHECK(one.offset() == std::vector<double>{4});
  test::check_near(one.scale(), {std::sqrt(2.0)}, 1e-7);
}

TEST_CASE("scaling: of series each channel over all times") {
  const TempFolder folder;
  // Two items of three times: channels -1 and 1 in turns about 10, and 0, 3, 6, ..., 15.
  write_store(folder / "store", {modality("s", ModalityKind::series, {3, 2})},
              {{9, 0, 11, 3, 9, 6, 11, 9, 9, 12, 11, 15}});
  const Measured m(2, data::Store::open(folder / "store").split("train"), kCpu, 6);
  test::check_near(m.offset(), {10, 7.5}, 1e-7);
  test::check_near(m.scale(), {1, std::sqrt((2.25 + 20.25 + 56.25) / 3)}, 1e-6);
  const std::vector<double> u = test::host(
      m.scaling->to_network(Tensor::from(std::vector<float>{11, 7.5F, 9, 7.5F, 10, 7.5F}, {1, 1, 3, 2})));
  test::check_near(u, {1, 0, -1, 0, 0, 0}, 1e-6);
}

TEST_CASE("scaling: the ends of what a float holds") {
  const TempFolder folder;
  for (const double size : {1e-36, 1e-30, 1.0, 1e30, 3e38}) {
    CAPTURE(size);
    const fs::path path = folder / std::to_string(std::log10(size));
    const std::vector<float> values = floats(60, 3, [&](double v) { return v * size; });
    write_store(path, {modality("v", ModalityKind::vector, {2})}, {values});
    const Measured m(2, data::Store::open(path).split("train"));
    const Tensor u = m.scaling->to_network(Tensor::from(values, {30, 2}));
    double squares = 0;
    for (const double v : test::host(u)) squares += v * v;
    CHECK(squares == doctest::Approx(60).epsilon(1e-4));
    const std::vector<double> back = test::host(m.scaling->to_data(u));
    for (std::size_t i = 0; i < back.size(); ++i)
      CHECK(std::abs(back[i] - static_cast<double>(values[i])) <= 1e-6 * size);
  }
}

TEST_CASE("scaling: holes do not count, and neither threads nor chunks change a bit") {
  const TempFolder folder;
  fs::create_directories(folder / "in/train");
  std::vector<float> a = floats(3000 * 2, 5, [](double v) { return 1e4 + v; }), b(3000, 1.0F);
  std::vector<float> there;
  for (std::size_t i = 0; i < 3000; ++i)
    for (std::size_t j = 0; j < 2; ++j) {
      if (i % 3 == 1)
        a[2 * i + j] = std::nanf("");
      else
        there.push_back(a[2 * i + j]);
    }
  const auto save = [&](const char* name, const std::vector<float>& values, const Shape& shape) {
    std::ofstream out(folder / "in/train" / name, std::ios::binary);
    out << data::npy_header(data::npy_type(DType::f32), shape);
    out.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * 4));
  };
  save("a.npy", a, {3000, 2});
  save("b.npy", b, {3000, 1});
  data::import_npy(folder / "in", folder / "store", {});
  write_store(folder / "whole", {modality("a", ModalityKind::vector, {2})}, {there});
  const data::Store store = data::Store::open(folder / "store"), whole = data::Store::open(folder / "whole");
  const int before = max_threads();
  set_threads(1);
  const Measured alone(2, store.split("train"));
  set_threads(before);
  const Measured several(2, store.split("train")), without(2, whole.split("train"));
  CHECK(alone.offset() == several.offset());
  CHECK(alone.scale() == several.scale());
  CHECK(alone.offset() == without.offset());
  CHECK(alone.scale() == without.scale());
}

TEST_CASE("scaling: the units of vectors do not change what is learnt") {
  const TempFolder folder;
  struct Twin {
    const char* name;
    double scale, shift;
  };
  // Multiples of 1/16, so that a million more leaves the differences as they are.
  const auto grid = [](double v) { return std::round(16 * v) / 16; };
  const auto run_of = [&](const Twin& twin) {
    const fs::path store = folder / (std::string(twin.name) + "-store"), run = folder / twin.name;
    const auto values = [&](std::int64_t n, std::uint64_t seed) {
      return floats(n, seed, [&](double v) { return grid(v) * twin.scale + twin.shift; });
    };
    write_store(store,
                {modality("column", ModalityKind::vector, {1}), modality("wide", ModalityKind::vector, {3})},
                {values(kItems, 1), values(kItems * 3, 2)});
    CHECK(train({.config = own_config(store), .out = run}, {}) == StageEnd::finished);
    return run;
  };
  // Six steps each of two autoencoders and classifiers, one line of metrics each; four of the score network.
  const fs::path base = run_of({"base", 1, 0});
  const std::vector<double> want = losses(base);
  REQUIRE(want.size() == 28);
  CHECK(want[0] == doctest::Approx(1).epsilon(0.7));  // one coordinate of unit variance
  for (const Twin& twin : {Twin{"small", 1e-6, 0}, Twin{"large", 1e6, 0}, Twin{"far", 1, 1e6},
                           Twin{"tiny", 2e-4, 0}, Twin{"percent", 240, -3}}) {
    CAPTURE(twin.name);
    const std::vector<double> got = losses(run_of(twin));
    REQUIRE(got.size() == want.size());
    // A mean far from 0 is rounded to a float, here by up to a thirtieth of the deviation.
    const bool far = std::abs(twin.shift) > 1e4 * twin.scale;
    for (std::size_t i = 0; i < want.size(); ++i)
      CHECK(got[i] == doctest::Approx(want[i]).epsilon(far ? 0.05 : 2e-3));
    if (far) continue;
    // What is drawn has the data's units.
    const Model one = Model::open(base), other = Model::open(folder / twin.name);
    const Samples a = generate(one, 16, {}, sample_settings(one.config())),
                  b = generate(other, 16, {}, sample_settings(other.config()));
    for (const char* name : {"column", "wide"})
      for (std::size_t i = 0; i < a.at(name).size(); ++i)
        CHECK((static_cast<double>(b.at(name)[i]) - twin.shift) / twin.scale ==
              doctest::Approx(static_cast<double>(a.at(name)[i])).epsilon(0.05));
  }
}

TEST_CASE("scaling: maps with another range than [0,1] are mapped from it") {
  const TempFolder folder;
  const auto run_of = [&](const std::string& name, data::ValueRange range, ModalityKind kind, Shape shape,
                          std::vector<std::string> more = {}) {
    const fs::path store = folder / (name + "-store"), run = folder / name;
    const std::vector<float> values = floats(kItems * shape.numel(), 4, [&](double v) {
      return static_cast<double>(range.from_unit(static_cast<float>(v / 2 + 0.5)));
    });
    write_store(store, {modality("m", kind, shape, range)}, {values});
    CHECK(train({.config = own_config(store, std::move(more)), .out = run}, {}) == StageEnd::finished);
    return run;
  };
  struct Kind {
    ModalityKind kind;
    Shape shape;
  };
  for (const Kind& k : {Kind{ModalityKind::image, {8, 8, 1}}, Kind{ModalityKind::image, {7, 5, 3}},
                        Kind{ModalityKind::spectrogram, {4, 12}}}) {
    const std::string name = cat(data::kind_name(k.kind), k.shape[0]);
    CAPTURE(name);
    const fs::path base = run_of(name, {0, 1}, k.kind, k.shape);
    for (const data::ValueRange range : {data::ValueRange{-1, 1}, {0, 240}, {-5000, -4000}})
      check_same_losses(run_of(cat(name, range.max), range, k.kind, k.shape), base, 2e-3);
    const Model model = Model::open(folder / cat(name, 240)), plain = Model::open(base);
    const Tensor x = Tensor::full({1, k.shape[0], k.shape[1], k.shape.rank() == 3 ? k.shape[2] : 1}, 0.25);
    const Tensor y = Tensor::full(x.shape(), 60);
    const std::vector<double> want = test::host(plain.reconstruct(0, x)),
                              got = test::host(model.reconstruct(0, y));
    for (std::size_t i = 0; i < want.size(); ++i) CHECK(std::abs(got[i] / 240 - want[i]) < 2e-2);
    // As before, if the configuration says so or does not know better.
    const fs::path raw = run_of(name + "raw", {0, 240}, k.kind, k.shape, {"modalities.m.units=declared"});
    CHECK(losses(raw)[0] > 100 * losses(base)[0]);
    CHECK(!Model::open(raw).config().data.store.empty());
  }
}

TEST_CASE("scaling: part of the checkpoint, resumed and exported to the bit") {
  const TempFolder folder;
  write_store(
      folder / "store",
      {modality("v", ModalityKind::vector, {3}), modality("m", ModalityKind::image, {8, 8, 1}, {-1, 1}),
       modality("s", ModalityKind::series, {21, 2})},
      {floats(kItems * 3, 1, [](double v) { return 1e-5 * v + 2e-5; }),
       floats(kItems * 64, 2, [](double v) { return v; }),
       floats(kItems * 42, 3, [](double v) { return 1e4 + v; })});
  const Config config = own_config(folder / "store", {"stage1.ema=0.9", "modalities.s.layers.blocks=1"});
  CHECK(config.modalities[2].autoencoder == AutoencoderKind::series);
  CHECK(train({.config = config, .out = folder / "whole"}, {}) == StageEnd::finished);
  int polls = 0, stops = 0;
  const TrainHooks hooks{.progress = {}, .note = {}, .stop = [&] { return ++polls % 3 == 1; }};
  while (train({.config = config, .out = folder / "parts", .resume = true}, hooks) == StageEnd::stopped)
    ++stops;
  CHECK(stops >= 5);  // the first time before the first step
  for (const char* file :
       {"autoencoder.v.safetensors", "autoencoder.m.safetensors", "autoencoder.s.safetensors",
        "classifier.v.safetensors", "classifier.m.safetensors", "classifier.s.safetensors",
        "score.safetensors", "metrics.jsonl"})
    CHECK_MESSAGE(test::read_bytes(folder / "whole" / file) == test::read_bytes(folder / "parts" / file),
                  file);

  const Model model = Model::open(folder / "whole");
  model.save(folder / "model.safetensors");
  const Model exported = Model::open(folder / "model.safetensors");
  for (int i = 0; i < 3; ++i) {
    const SafetensorsFile file(
        RunFiles{folder / "whole"}.checkpoint({StageKind::autoencoder, model.modality(i).name}));
    const auto found = std::ranges::find(file.tensors(), "buffer/scaling.scale", &TensorInfo::name);
    REQUIRE(found != file.tensors().end());
    CHECK(found->shape == Shape{std::array{3, 1, 2}.at(static_cast<std::size_t>(i))});
    const Tensor x = i == 0   ? Tensor::full({2, 3}, 2.3e-5)
                     : i == 1 ? Tensor::full({2, 8, 8, 1}, 0.5)
                              : Tensor::full({2, 1, 21, 2}, 1e4);
    CHECK(test::host(exported.reconstruct(i, x)) == test::host(model.reconstruct(i, x)));
    CHECK(test::host(exported.encode(i, x)) == test::host(model.encode(i, x)));
    CHECK(exported.classify(i, x) == model.classify(i, x));
    CHECK(test::host(exported.features(i, x)) == test::host(model.features(i, x)));
  }
}

TEST_CASE(
    "scaling: a run from before, whose configuration has no units, opens, resumes and draws as it did") {
  const test::Workshop w;
  const fs::path vectors = w.folder / "vectors";
  write_store(vectors, {modality("v", ModalityKind::vector, {3})},
              {floats(kItems * 3, 1, [](double v) { return 100 * v; })});
  const Config config = own_config(vectors, {"modalities.v.units=declared"});
  CHECK(train({.config = config, .out = w.folder / "run"}, {}) == StageEnd::finished);
  fs::copy(w.folder / "run", w.folder / "before");
  const RunFiles before{w.folder / "before"};
  std::string text = test::read_bytes(before.config());
  const std::string key = "\"units\": \"declared\",";
  REQUIRE(text.find(key) != std::string::npos);
  std::ofstream(before.config()) << text.replace(text.find(key), key.size(), "");
  const Model now = Model::open(w.folder / "run"), then = Model::open(before.folder);
  CHECK(then.modality(0).units == Units::declared);
  CHECK(generate(then, 5, {}, sample_settings(then.config())) ==
        generate(now, 5, {}, sample_settings(now.config())));
  CHECK(train({.config = read_run_config(before), .out = before.folder, .resume = true}, {}) ==
        StageEnd::finished);
  const SafetensorsFile file(before.checkpoint({StageKind::autoencoder, "v"}));
  for (const TensorInfo& t : file.tensors()) CHECK(t.name.find("scaling") == std::string::npos);
}

TEST_CASE("scaling: units that a kind or a network cannot have are refused") {
  const data::Modality vector = modality("v", ModalityKind::vector, {200}),
                       image = modality("i", ModalityKind::image, {28, 28, 1}, {-1, 1}),
                       sound = modality("s", ModalityKind::spectrogram, {32, 128}),
                       words = modality("w", ModalityKind::tokens, {4}),
                       colour = modality("c", ModalityKind::categorical, {1});
  const auto config = [](Units units, AutoencoderKind net, Likelihood likelihood = Likelihood::normal) {
    ModalityConfig m;
    m.name = "x";
    m.units = units;
    m.autoencoder = net;
    m.likelihood = likelihood;
    m.classifier = ClassifierKind::mlp;
    return m;
  };
  data::Description labels;
  labels.classes = 3;
  const auto refused = [&](const ModalityConfig& m, const data::Modality& info) {
    const std::string message = test::error_of(ErrorKind::usage, [&] { make_autoencoder(m, info); });
    CHECK(test::contains(message, "modality 'x'"));
    CHECK(test::contains(message, "modalities.x.units"));
    test::error_of(ErrorKind::usage, [&] { make_classifier(m, info, labels); });
  };
  refused(config(Units::standard, AutoencoderKind::mlp), image);
  refused(config(Units::standard, AutoencoderKind::conv), sound);
  refused(config(Units::standard, AutoencoderKind::mlp, Likelihood::categorical), words);
  refused(config(Units::unit, AutoencoderKind::mlp, Likelihood::categorical), words);
  refused(config(Units::unit, AutoencoderKind::mlp, Likelihood::categorical), colour);
  refused(config(Units::standard, AutoencoderKind::mhd_trajectory), vector);
  CHECK(make_autoencoder(config(Units::standard, AutoencoderKind::mlp), vector).scaling);
  CHECK(make_autoencoder(config(Units::unit, AutoencoderKind::mlp), vector).scaling);
  CHECK(make_autoencoder(config(Units::unit, AutoencoderKind::mnist_mlp), image).scaling);
  CHECK(make_autoencoder(config(Units::unit, AutoencoderKind::conv), sound).scaling);
  CHECK(!make_autoencoder(config(Units::declared, AutoencoderKind::conv), image).scaling);
  CHECK(!make_classifier(config(Units::declared, AutoencoderKind::conv), image, labels).scaling);
}

}  // namespace mld
