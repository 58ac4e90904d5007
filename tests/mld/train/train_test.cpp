// Training, resuming, sampling and exporting as a whole, on a handful of drawn digits and on toy data.
#include "mld/train/train.h"

#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <numeric>

#include "data/importers/import.h"
#include "engine/io/lock_file.h"
#include "engine/ops/ops.h"
#include "engine/threads/threads.h"
#include "mld/evaluate/evaluate.h"
#include "mld/methods/latent_diffusion.h"
#include "mld/mld.h"
#include "mld/run/generate.h"
#include "mld/run/run_files.h"
#include "nn/checkpoint.h"
#include "nn/sequential.h"
#include "tests/mld/run_place.h"
#include "tests/mld/workshop.h"
#include "tests/nn/helpers.h"
#include "tests/threads_scope.h"
#if MLD_CUDA_EMULATED
#include "cuda_emulation.h"
#include "engine/cuda/runtime.h"
#endif

namespace mld {
namespace {

namespace fs = std::filesystem;
using test::tiny_config, test::Workshop;

const std::vector<std::string> kRunFiles{"autoencoder.image.safetensors",
                                         "autoencoder.sound.safetensors",
                                         "autoencoder.trajectory.safetensors",
                                         "classifier.image.safetensors",
                                         "classifier.sound.safetensors",
                                         "classifier.trajectory.safetensors",
                                         "score.safetensors",
                                         "metrics.jsonl",
                                         "config.json"};

void check_same_run(const fs::path& a, const fs::path& b) {
  for (const std::string& name : kRunFiles)
    CHECK_MESSAGE(test::read_bytes(a / name) == test::read_bytes(b / name), name);
}

}  // namespace

TEST_CASE("train: stopped in every stage and resumed, a run is the uninterrupted one to the last byte") {
  const Workshop w;
  const Config config = tiny_config(w.store);
  CHECK(train({.config = config, .out = w.folder / "whole"}, {}) == StageEnd::finished);

  int polls = 0, stops = 0;
  const TrainHooks hooks{.progress = {}, .note = {}, .stop = [&] { return ++polls % 4 == 0; }};
  while (train({.config = config, .out = w.folder / "parts", .resume = true}, hooks) == StageEnd::stopped)
    ++stops;
  CHECK(stops >= 7);  // at least once in each of the seven stages
  check_same_run(w.folder / "whole", w.folder / "parts");
}

namespace {

// Lines of metrics.jsonl: the same but for their losses, which are near. The first step of an
// autoencoder or a classifier sees the same weights and differs by its rounding alone. Later Adam makes
// up to a learning rate of the rounding of every gradient that is all but zero, such as that of a bias
// in front of a batch norm.
void check_near_metrics(const fs::path& a, const fs::path& b) {
  const auto lines = [](const fs::path& file) {
    std::vector<std::string> all;
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) all.push_back(line);
    return all;
  };
  const auto got = lines(a), want = lines(b);
  REQUIRE(got.size() == want.size());
  REQUIRE(!want.empty());
  const std::string key = "\"loss\":";
  for (std::size_t i = 0; i < want.size(); ++i) {
    CAPTURE(want[i]);
    const std::size_t x = got[i].find(key), y = want[i].find(key);
    REQUIRE(y != std::string::npos);
    CHECK(got[i].substr(0, x) == want[i].substr(0, y));
    CHECK(got[i].substr(got[i].find(',', x)) == want[i].substr(want[i].find(',', y)));
    const bool same_weights =
        test::contains(want[i], "\"step\":1,") && !test::contains(want[i], "\"stage\":\"score\"");
    CHECK(std::stod(got[i].substr(x + key.size())) ==
          doctest::Approx(std::stod(want[i].substr(y + key.size()))).epsilon(same_weights ? 1e-5 : 2e-2));
  }
}

// What a run's networks make of the first items of the test split, and what they draw, on two devices.
void check_near_models(const fs::path& run, const data::Store& store, Device device, double tolerance) {
  const Model here = Model::open(run), there = Model::open(run, device);
  constexpr std::int64_t kItems = 5;
  const std::vector<std::int32_t> items{0, 1, 2, 3, 4};
  const auto near = [&](const Tensor& got, const Tensor& want) {
    test::check_near(test::host(got), test::host(want), tolerance);
  };
  const Tensor z = Tensor::zeros({kItems, here.layout().total});
  for (int i = 0; i < here.modalities(); ++i) {
    const data::Modality& info = here.info(i);
    CAPTURE(info.name);
    Values values(static_cast<std::size_t>(kItems * info.shape.numel()));
    store.split("test").gather(store.description().modality(info.name), items, values);
    const Tensor x = to_network(info, kItems, values);
    const Tensor encoded = here.encode(i, x);
    near(there.encode(i, x), encoded);
    near(there.decode_latent(i, encoded), here.decode_latent(i, encoded));
    near(there.reconstruct(i, x), here.reconstruct(i, x));
    CHECK(there.classify(i, x) == here.classify(i, x));
    if (i == 0) {  // more than are worked on together, and the last ones not full
      constexpr std::int64_t kTimes = 52;
      Values repeated;
      for (std::int64_t k = 0; k < kTimes; ++k) repeated.insert(repeated.end(), values.begin(), values.end());
      const Tensor all = there.encode(i, to_network(info, kTimes * kItems, repeated));
      REQUIRE(all.shape()[0] == kTimes * kItems);
      for (const std::int64_t k : {std::int64_t{0}, kTimes - 1}) near(all.rows(k * kItems, kItems), encoded);
    }
    here.layout().set_slice(z, i, encoded);
  }
  SampleSettings settings = sample_settings(here.config());
  settings.chunk = 0;  // by the device; on a GPU whatever the number of samples
  CHECK(here.method().sampler(0, settings, 3000).batch == 1000);
  CHECK(there.method().sampler(0, settings, 3000).batch == kGpuChunk);
  settings.chunk = 4;  // two chunks, one of them not full
  // The walk hands the rounding of every call of the network on to the next ones.
  for (const Subset given : {Subset{0}, Subset{1}, Subset{6}})
    test::check_near(test::host(there.sample(given, z, items, settings)),
                     test::host(here.sample(given, z, items, settings)),
                     (MLD_CUDA_EMULATED ? 1 : 100) * tolerance);
}

// Rows of latents drawn for `ids`, in chunks of one size.
std::vector<float> drawn(const Model& model, const std::vector<std::int32_t>& ids) {
  SampleSettings settings = sample_settings(model.config());
  settings.chunk = 4;
  const Tensor z = model.sample(0, {}, ids, settings);
  return {z.span<float>().begin(), z.span<float>().end()};
}

}  // namespace

TEST_CASE("train on cuda: all stages, stopped and resumed to the last byte, and the cpu's but for rounding") {
  if (!test::has_cuda()) return;
  const Workshop w;
  const Config config =
      tiny_config(w.store, {"stage1.batch=8", "classifier_training.batch=8", "run.log_every=1",
                            "score.prediction=velocity", "score.fourier_features=2"});
  const fs::path cpu = w.folder / "cpu", whole = w.folder / "whole", parts = w.folder / "parts";
  CHECK(train({.config = config, .out = cpu}, {}) == StageEnd::finished);
  CHECK(train({.config = config, .out = whole, .device = kCuda}, {}) == StageEnd::finished);

  int polls = 0, stops = 0;
  const TrainHooks hooks{.progress = {}, .note = {}, .stop = [&] { return ++polls % 4 == 0; }};
  while (train({.config = config, .out = parts, .resume = true, .device = kCuda}, hooks) == StageEnd::stopped)
    ++stops;
  CHECK(stops >= 7);
  check_same_run(whole, parts);

  check_near_metrics(whole / "metrics.jsonl", cpu / "metrics.jsonl");
  const data::Store store = data::Store::open(w.store);
  check_near_models(whole, store, kCuda, 1e-4);
  check_near_models(cpu, store, kCuda, 1e-4);  // a file knows nothing of the device it was written on

  const Model model = Model::open(whole, kCuda);
  const std::vector<float> all = drawn(model, {0, 1, 2, 3, 4, 5});
  const std::vector<float> first = drawn(model, {0, 1});
  const std::vector<float> mixed = drawn(model, {5, 77, 2, 0, 3});
  const auto width = static_cast<std::ptrdiff_t>(model.layout().total);
  const auto same_row = [&](const std::vector<float>& found, int row, int id) {
    CHECK(
        std::equal(found.begin() + row * width, found.begin() + (row + 1) * width, all.begin() + id * width));
  };
  same_row(first, 0, 0);
  same_row(first, 1, 1);
  same_row(mixed, 0, 5);
  same_row(mixed, 2, 2);
  same_row(mixed, 3, 0);
  same_row(mixed, 4, 3);
}

TEST_CASE("train: the number of threads does not change a bit") {
  const Workshop w;
  const Config config = tiny_config(w.store);
  const int before = max_threads();
  for (int threads : {1, 2}) {
    set_threads(threads);
    train({.config = config, .out = w.folder / std::to_string(threads)}, {});
  }
  set_threads(before);
  check_same_run(w.folder / "1", w.folder / "2");
}

TEST_CASE(
    "sampling: neither the chunk, nor the threads, nor the neighbours change a sample; an export is the "
    "run") {
  const Workshop w;
  train({.config = tiny_config(w.store, {"score.prediction=velocity", "score.fourier_features=2"}),
         .out = w.folder / "run"},
        {});
  const Model model = Model::open(w.folder / "run");
  const data::Store store = data::Store::open(w.store);
  const std::int64_t n = 24;
  Values images(static_cast<std::size_t>(n * 784));
  std::vector<std::int32_t> items(24);
  for (int i = 0; i < 24; ++i) items[static_cast<std::size_t>(i)] = i;
  store.split("test").gather(0, items, images);

  SampleSettings settings = sample_settings(model.config());
  const Samples whole = generate(model, n, {{"image", images}}, settings);
  CHECK(whole.size() == 2);
  for (std::int64_t chunk : {1, 3, 64}) {
    settings.chunk = chunk;
    CHECK(generate(model, n, {{"image", images}}, settings) == whole);
  }
  const int before = max_threads();
  set_threads(before == 1 ? 2 : 1);
  CHECK(generate(model, n, {{"image", images}}, settings) == whole);
  set_threads(before);
  // The first five alone.
  const Values first_images(images.begin(), images.begin() + 5 * 784);
  const Samples first = generate(model, 5, {{"image", first_images}}, settings);
  for (const auto& [name, values] : first)
    CHECK(std::equal(values.begin(), values.end(), whole.at(name).begin()));

  model.save(w.folder / "model.safetensors");
  const Generator exported = Generator::open((w.folder / "model.safetensors").string());
  CHECK(exported.sample(n, {{"image", images}}, {.seed = settings.seed, .progress = {}}) == whole);
  CHECK(exported.modalities().size() == 3);
  // Another seed gives other samples; cancelling ends the call.
  CHECK(exported.sample(n, {{"image", images}}, {.seed = settings.seed + 1, .progress = {}}) != whole);
  CHECK_THROWS_AS(exported.sample(2, {}, {.progress = [](std::int64_t, std::int64_t) { return false; }}),
                  Cancelled);
  CHECK_THROWS_WITH_AS(exported.sample(2, {{"imag", images}}), doctest::Contains("image, sound, trajectory"),
                       Error);
  CHECK_THROWS_WITH_AS(exported.sample(2, {{"image", images}}), doctest::Contains("18816 values"), Error);
  images[7] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_AS(exported.sample(n, {{"image", images}}), Error);
  // encode and decode are inverse as far as the autoencoder is.
  const Values z = exported.encode("trajectory", whole.at("trajectory"));
  CHECK(z.size() == static_cast<std::size_t>(n * model.modality(2).latent));
  CHECK(exported.decode("trajectory", z).size() == static_cast<std::size_t>(n * 200));

  const Evaluation e = evaluate(model, store, {.sampling = sample_settings(model.config())});
  CHECK(e.samples == 24);
  CHECK(e.conditional.size() == 9);
  CHECK(e.joint.all_equal.n == 24);
  EvaluationOptions chunked{.sampling = sample_settings(model.config())};
  chunked.sampling.chunk = 5;
  Evaluation f = evaluate(model, store, chunked);
  f.seconds = e.seconds;
  CHECK(to_json(f) == to_json(e));
}

TEST_CASE("train: the variants train, resume and generate as the method does") {
  const Workshop w;
  const data::Store store = data::Store::open(w.store);
  train({.config = tiny_config(w.store), .out = w.folder / "mld"}, {});
  for (const std::string kind : {"inpaint", "uni"}) {
    CAPTURE(kind);
    const Config config = tiny_config(w.store, {"model.kind=" + kind});
    const fs::path whole = w.folder / kind, parts = w.folder / (kind + "-parts");
    train({.config = config, .out = whole, .reuse = w.folder / "mld"}, {});
    // Stopped after three steps of the score stage and continued.
    int polls = 0;
    TrainHooks hooks;
    hooks.stop = [&] { return ++polls > 3; };
    CHECK(train({.config = config, .out = parts, .reuse = w.folder / "mld"}, hooks) == StageEnd::stopped);
    train({.config = config, .out = parts, .resume = true}, {});
    CHECK(test::read_bytes(whole / "score.safetensors") == test::read_bytes(parts / "score.safetensors"));
    CHECK(test::read_bytes(whole / "score.safetensors") !=
          test::read_bytes(w.folder / "mld" / "score.safetensors"));

    const Model model = Model::open(whole);
    CHECK(model.config().model.kind == (kind == "uni" ? ModelKind::uni : ModelKind::inpaint));
    EvaluationOptions options{.sampling = sample_settings(model.config()),
                              .metrics = parse_metrics("coherence")};
    const Evaluation e = evaluate(model, store, options);
    CHECK(e.kind == kind);
    CHECK(e.conditional.size() == 9);
    options.sampling.chunk = 5;
    Evaluation f = evaluate(model, store, options);
    f.seconds = e.seconds;
    CHECK(to_json(f) == to_json(e));
    options.metrics = parse_metrics("mi");
    if (kind == "inpaint") {
      CHECK(test::contains(test::error_of(ErrorKind::usage, [&] { evaluate(model, store, options); }),
                           "conditional scores"));
      options.metrics = parse_metrics("all");
      const Evaluation all = evaluate(model, store, options);
      CHECK(all.information.empty());
      CHECK(all.robustness.size() == 14 * 3);
      CHECK(test::contains(to_table(all), "mutual information is left out"));
    } else {
      const Evaluation uni = evaluate(model, store, options);
      CHECK(uni.information.size() == 3);
      REQUIRE(uni.inpainting_gap.size() == 6 * 10);  // of three modalities one given or two, at ten times
      for (const InpaintingGap& gap : uni.inpainting_gap) CHECK(gap.nats >= 0);
      CHECK(uni.inpainting_gap[9].given == 1);
      CHECK(uni.inpainting_gap[9].t == 0.9);
      CHECK(uni.inpainting_gap[10].given == 2);
      CHECK(uni.inpainting_gap[10].t == 0.05);
    }
  }
}

TEST_CASE(
    "train: adaptive layer norm, guidance, fresh pairs and augmentation, resumed and on other threads") {
  const Workshop w;
  const data::Store store = data::Store::open(w.store);
  const Config config = tiny_config(
      w.store, {"score.network=adaln", "score.blocks=2", "score.dropout=0.2", "score.marginals=0.3",
                "score.guidance=2", "score.pairing=fresh", "modalities.image.stage1.shift=1",
                "modalities.image.stage1.gain=0.2", "modalities.image.stage1.offset=0.1",
                "modalities.image.classifier_training.shift=1", "score.encodings=3"});
  const fs::path whole = w.folder / "whole", parts = w.folder / "parts";
  train({.config = config, .out = whole}, {});
  int stops = 0, polls = 0;
  TrainHooks hooks;
  hooks.stop = [&] { return ++polls % 5 == 0; };
  {
    const test::Threads three(3);
    while (train({.config = config, .out = parts, .resume = true}, hooks) == StageEnd::stopped) ++stops;
  }
  CHECK(stops >= 7);
  CHECK(test::everything(parts) == test::everything(whole));

  const Model model = Model::open(whole);
  EvaluationOptions options{.sampling = sample_settings(model.config()),
                            .metrics = parse_metrics("coherence")};
  options.sampling.sampler.guidance = 1.5;
  const Evaluation e = evaluate(model, store, options);
  CHECK(e.conditional.size() == 9);
  CHECK(e.network_calls > options.sampling.sampler.steps);
  const Evaluation again = parse_evaluation(to_json(e), "evaluation.json");
  CHECK(again.sampler == e.sampler);
  CHECK(test::contains(to_table(e), "guidance 1.5"));
  options.sampling.chunk = 5;
  Evaluation f = evaluate(model, store, options);
  f.seconds = e.seconds;
  CHECK(to_json(f) == to_json(e));
  options.metrics = parse_metrics("mi");
  CHECK(
      test::contains(test::error_of(ErrorKind::usage, [&] { evaluate(model, store, options); }), "guidance"));

  const Generator generator = Generator::open(whole.string());
  const auto drawn = [&](std::optional<double> guidance) {
    return generator.sample(3, {}, {.seed = 1, .guidance = guidance, .progress = {}});
  };
  CHECK(drawn(1) == drawn({}));
  CHECK(drawn(1.5) != drawn({}));
}

#if MLD_CUDA_EMULATED
TEST_CASE("train: when memory runs out, the batch that is said to fit does") {
  const Workshop w;
  const auto request = [&](int batch, const std::string& out) {
    return TrainRequest{
        .config = tiny_config(w.store, {"stage1.batch=" + std::to_string(batch), "stage1.steps=2"}),
        .out = w.folder / out,
        .stages = StageChoice::autoencoders,
        .modality = "image",
        .device = kCuda};
  };
  train(request(4, "warm"), {});  // what the libraries take once
  active_pool(kCuda)->drop_cache();
  const cuda::DeviceInfo now = cuda::device_info(0);
  cuda::emulation::set_memory_limit(now.total_bytes - now.free_bytes + 26'000'000);
  const std::string message = test::error_of(ErrorKind::device, [&] { train(request(48, "too-large"), {}); });
  CAPTURE(message);
  const std::size_t place = message.find("use a smaller batch than 48; one of ");
  REQUIRE(place != std::string::npos);
  const int fits = std::stoi(message.substr(place + 36));
  CHECK(fits >= 4);
  CHECK(fits < 48);
  CHECK(train(request(fits, "fits"), {}) == StageEnd::finished);
  cuda::emulation::set_memory_limit(0);
}
#endif

TEST_CASE("train: folders that are taken, other configurations and missing stages are refused") {
  const Workshop w;
  const Config config = tiny_config(w.store);
  const fs::path out = w.folder / "run";
  CHECK_THROWS_WITH_AS(train({.config = config, .out = out, .stages = StageChoice::score}, {}),
                       doctest::Contains("autoencoder"), Error);
  train({.config = config, .out = out, .modality = "sound", .resume = true}, {});
  CHECK(fs::exists(out / "autoencoder.sound.safetensors"));
  CHECK_FALSE(fs::exists(out / "autoencoder.image.safetensors"));
  CHECK(test::error_of(ErrorKind::busy, [&] {
          train({.config = config, .out = out}, {});
        }).find("--resume") != std::string::npos);
  const Config other = tiny_config(w.store, {"score.width=64"});
  CHECK(test::contains(
      test::error_of(ErrorKind::busy, [&] { train({.config = other, .out = out, .resume = true}, {}); }),
      "score.width"));
  {
    const LockFile lock(out);
    test::error_of(ErrorKind::busy, [&] { train({.config = config, .out = out, .resume = true}, {}); });
  }
  fs::create_directories(w.folder / "full");
  std::ofstream(w.folder / "full/letter.txt") << "precious";
  test::error_of(ErrorKind::busy, [&] { train({.config = config, .out = w.folder / "full"}, {}); });
  CHECK(test::read_bytes(w.folder / "full/letter.txt") == "precious");
  test::error_of(ErrorKind::model, [&] { Model::open(w.folder / "nowhere"); });
  test::error_of(ErrorKind::model, [&] { Model::open(w.folder / "full"); });
}

TEST_CASE("train: --reuse takes stage 1 over, and only if it is the same") {
  const Workshop w;
  train({.config = tiny_config(w.store), .out = w.folder / "a"}, {});
  const Config wider = tiny_config(w.store, {"score.width=64"});
  train({.config = wider, .out = w.folder / "b", .reuse = w.folder / "a"}, {});
  for (const char* name : {"autoencoder.image.safetensors", "classifier.sound.safetensors"})
    CHECK(test::read_bytes(w.folder / "a" / name) == test::read_bytes(w.folder / "b" / name));
  CHECK(fs::exists(w.folder / "b/reused.json"));
  const Config other = tiny_config(w.store, {"stage1.lr=0.002"});
  test::error_of(ErrorKind::model,
                 [&] { train({.config = other, .out = w.folder / "c", .reuse = w.folder / "a"}, {}); });
}

TEST_CASE(
    "stage: non-finite losses change nothing; ten in a row end the training with the last good checkpoint") {
  const test::TempFolder folder;
  const auto run = [&](const std::string& name, std::int64_t first_bad, std::int64_t bad,
                       std::int64_t steps) {
    nn::Sequential net(Shape{2}, nn::Linear(2, 1));
    nn::ParameterStore store(net);
    const Tensor x = Tensor::full({4, 2}, 1.0), y = Tensor::full({4, 1}, 3.0);
    Stage s;
    s.name = name;
    s.checkpoint = folder / (name + ".safetensors");
    s.metrics = folder / (name + ".jsonl");
    s.train.steps = steps;
    s.train.lr = 0.1;
    s.run = {.log_every = 1, .checkpoint_every = 2};
    s.seed = 4;
    s.config = "{}";
    s.store = &store;
    s.before = [&](std::int64_t step) {
      x.data<float>()[0] = step >= first_bad && step < first_bad + bad ? std::nanf("") : 1.0f;
    };
    s.loss = [&](const StepState*) { return squared_error(net(x), y, 0.25); };
    run_stage(s, {});
    return test::host(store.value());
  };
  // Nine bad steps in the middle: the good ones do what they would have done alone.
  CHECK(run("nine", 5, 9, 20) == run("none", 100, 0, 11));
  const std::string message = test::error_of(ErrorKind::diverged, [&] { run("ten", 5, 10, 20); });
  CHECK(test::contains(message, "ten"));
  CHECK(test::contains(message, "step 15"));
  nn::Sequential net(Shape{2}, nn::Linear(2, 1));
  nn::ParameterStore store(net);
  const nn::StoredModel model{"", &store};
  const nn::FileNotes notes = nn::load_checkpoint(folder / "ten.safetensors", std::span(&model, 1));
  CHECK(notes.training->step == 3);  // the checkpoint after four steps
}

TEST_CASE("train: data with holes train and are evaluated on what is there") {
  const test::TempFolder folder;
  // Two modalities of a user: a vector and its double, each missing in some samples.
  const std::int64_t n = 60;
  const auto write = [&](const std::string& split, const std::string& name, int width, int hole,
                         float scale) {
    fs::create_directories(folder / ("raw/" + split));
    std::vector<float> values;
    for (std::int64_t i = 0; i < n; ++i)
      for (int j = 0; j < width; ++j)
        values.push_back(i % 5 == hole
                             ? std::nanf("")
                             : scale * static_cast<float>(i % 2) + 0.01f * static_cast<float>(j + i % 7));
    std::ofstream out(folder / ("raw/" + split + "/" + name + ".npy"), std::ios::binary);
    out << data::npy_header(data::npy_type(DType::f32), {n, width});
    out.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * 4));
  };
  for (const char* split : {"train", "test"}) {
    write(split, "a", 3, 1, 1.0f);
    write(split, "b", 4, 3, 2.0f);
    std::ofstream out(folder / (std::string("raw/") + split + "/labels.npy"), std::ios::binary);
    out << data::npy_header(data::npy_type(DType::i32), {n});
    for (std::int32_t i = 0; i < n; ++i) {
      const std::int32_t label = i % 2;
      out.write(reinterpret_cast<const char*>(&label), 4);
    }
  }
  data::import_npy(folder / "raw", folder / "store", {});
  ConfigSources sources;
  sources.settings = {"data.store=" + (folder / "store").string(),
                      "stage1.steps=20",
                      "classifier_training.steps=20",
                      "score.steps=20",
                      "score.width=32",
                      "score.time_dim=16",
                      "sampler.steps=10",
                      "sampler.jump=2",
                      "sampler.resample=1"};
  sources.describe = [](const std::string& store) { return data::Store::open(store).description(); };
  const Config config = resolve_config(sources);
  CHECK(train({.config = config, .out = folder / "run"}, {}) == StageEnd::finished);
  const Evaluation e = evaluate(Model::open(folder / "run"), data::Store::open(folder / "store"),
                                {.sampling = sample_settings(config)});
  CHECK(e.samples == n);
  REQUIRE(e.conditional.size() == 2);
  CHECK(e.conditional[0].coherence.n == 48);  // a sample without its condition does not count
  CHECK(e.classifier[0].coherence.n == 48);
  CHECK(e.joint.all_equal.n == n);
  for (std::int64_t row = 0; row < n; ++row) CHECK(e.clusters[static_cast<std::size_t>(row)] == row);
}

}  // namespace mld
