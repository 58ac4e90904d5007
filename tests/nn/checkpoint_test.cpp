#include "nn/checkpoint.h"

#include <doctest/doctest.h>

#include <array>
#include <fstream>
#include <limits>

#include "nn/sequential.h"
#include "tests/nn/helpers.h"

namespace mld::nn {
namespace {

using test::contains, test::error_of, test::TempFolder;

Sequential small_net(std::int64_t width = 5) {
  return Sequential({2, 2, 3}, Conv2d(3, 4, 2, 1, 1), BatchNorm(4), Flatten{}, Linear(36, width));
}

struct Model {
  Sequential net;
  ParameterStore store;

  explicit Model(Sequential n, StoreOptions options = {}, std::uint64_t seed = 1)
      : net(std::move(n)), store(net, options) {
    store.initialize(seed);
    std::uint64_t s = seed * 100;
    for (const Tensor& arena : {store.ema(), store.adam_m(), store.adam_v(), store.buffer()})
      if (arena.defined()) fill(arena, ++s);
  }
  std::array<StoredModel, 1> stored(const std::string& prefix = "") { return {{{prefix, &store}}}; }

 private:
  // Values everywhere but in the padding.
  void fill(const Tensor& arena, std::uint64_t seed) const {
    const auto part = [&](const auto& entries) {
      for (const auto& entry : entries)
        arena.view(entry.first, entry.data->shape)
            .copy_from(test::random(entry.data->shape, ++seed, arena.dtype(), arena.device()));
    };
    arena.raw() == store.buffer().raw() ? part(store.buffers()) : part(store.parameters());
  }
};

StepState some_state() {
  StepState s;
  s.seed = 0xfedcba9876543210;
  s.step = 41;
  s.updates = 39;
  s.bad_steps = 2;
  return s;
}

FileNotes notes() {
  return {.config = "{ \"lr\": 1e-3 /* verbatim */ }\n", .training = some_state(), .extra = {}};
}

TEST_CASE("a checkpoint brings everything back") {
  const TempFolder folder;
  const auto file = folder / "a.safetensors";
  for (Device device : test::test_devices()) {
    Model saved(small_net(), {.device = device, .ema = true}),
        loaded(small_net(), {.device = device, .ema = true}, 2);
    FileNotes written = notes();
    written.extra["stage"] = "score";
    save_checkpoint(file, saved.stored(), written);
    const FileNotes read = load_checkpoint(file, loaded.stored());
    for (auto arena : {&ParameterStore::value, &ParameterStore::ema, &ParameterStore::adam_m,
                       &ParameterStore::adam_v, &ParameterStore::buffer})
      CHECK(test::host((loaded.store.*arena)()) == test::host((saved.store.*arena)()));
    CHECK(read.config == written.config);
    CHECK(read.extra == written.extra);
    CHECK(read.training->seed == 0xfedcba9876543210);
    CHECK(read.training->step == 41);
    CHECK(read.training->updates == 39);
    CHECK(read.training->bad_steps == 2);
  }
}

TEST_CASE("tensors have the documented names and PyTorch's shapes") {
  const TempFolder folder;
  const auto file = folder / "a.safetensors";
  Model model(small_net(), {.ema = true});
  save_checkpoint(file, model.stored("net."), notes());
  const SafetensorsFile f(file);
  CHECK(f.tensors().size() == 4 * 6 + 2);
  for (const char* role : {"model", "ema", "adam.m", "adam.v"}) {
    REQUIRE(f.find(std::string(role) + "/net.0.weight"));
    CHECK(f.find(std::string(role) + "/net.0.weight")->shape == Shape{4, 3, 2, 2});
  }
  CHECK(f.find("model/net.3.weight")->shape == Shape{5, 36});
  CHECK(f.find("buffer/net.1.running_var")->shape == Shape{4});
  CHECK(f.metadata("format_version") == "1");
  CHECK(f.metadata("config") == notes().config);
}

TEST_CASE("weights for inference: the EMA if there is one, from checkpoints and from exported files") {
  const TempFolder folder;
  Model with(small_net(), {.ema = true}), without(small_net());
  save_checkpoint(folder / "with", with.stored(), notes());
  save_weights(folder / "export", with.stored(), {.config = "c", .training = {}, .extra = {}});
  save_checkpoint(folder / "without", without.stored(), notes());

  const auto load = [&](const char* name) {
    Model user(small_net(), {.training = false}, 3);
    load_weights(folder / name, user.stored());
    CHECK(test::host(user.net.layers().empty() ? Tensor{} : user.store.buffer()).size() == 128);
    return test::host(user.store.value());
  };
  CHECK(load("with") == test::host(with.store.ema()));
  CHECK(load("export") == test::host(with.store.ema()));
  CHECK(load("without") == test::host(without.store.value()));

  // A training that starts from them starts afresh.
  Model again(small_net(), {.ema = true}, 4);
  load_weights(folder / "export", again.stored());
  CHECK(test::host(again.store.ema()) == test::host(again.store.value()));
  CHECK(test::host(again.store.adam_v()) == std::vector<double>(test::host(again.store.value()).size(), 0.0));
  CHECK(contains(error_of(ErrorKind::model, [&] { load_checkpoint(folder / "export", again.stored()); }),
                 "no state of a training"));
}

TEST_CASE("several models share a file") {
  const TempFolder folder;
  const auto file = folder / "a.safetensors";
  Model a(small_net(), {}, 1), b(small_net(7), {.ema = true}, 2), c(small_net(), {}, 3),
      d(small_net(7), {}, 4);
  save_weights(file, std::array<StoredModel, 2>{{{"a.", &a.store}, {"b.", &b.store}}},
               {.config = "", .training = {}, .extra = {}});
  load_weights(file, d.stored("b."));  // alone
  CHECK(test::host(d.store.value()) == test::host(b.store.ema()));
  load_weights(file, c.stored("a."));
  CHECK(test::host(c.store.value()) == test::host(a.store.value()));
  CHECK(
      contains(error_of(ErrorKind::model, [&] { load_weights(file, c.stored("c.")); }), "model/c.0.weight"));
}

TEST_CASE("all that does not fit is listed in one error") {
  const TempFolder folder;
  const auto file = folder / "misfit.safetensors";
  Model saved(small_net());
  save_checkpoint(file, saved.stored(), notes());
  Sequential other({2, 2, 3}, Conv2d(3, 4, 2, 1, 1, {.act = {}, .bias = false}), BatchNorm(4), Flatten{},
                   Linear(36, 6), Linear(6, 2));
  Model loaded(std::move(other));
  const auto before = test::host(loaded.store.value());
  const std::string message = error_of(ErrorKind::model, [&] { load_checkpoint(file, loaded.stored()); });
  INFO(message);
  for (const char* part : {"misfit.safetensors", "model/4.weight", "adam.m/4.bias", "model/0.bias",
                           "adam.v/0.bias", "model/3.weight", "[5,36]", "[6,36]"})
    CHECK(contains(message, part));
  CHECK(test::host(loaded.store.value()) == before);

  Model with_ema(small_net(), {.ema = true});
  CHECK(contains(error_of(ErrorKind::model, [&] { load_checkpoint(file, with_ema.stored()); }),
                 "ema/0.weight"));
  Model twice(small_net(), {.dtype = DType::f64});
  CHECK(contains(error_of(ErrorKind::model, [&] { load_checkpoint(file, twice.stored()); }), "not f64"));
}

TEST_CASE("a tensor that is not finite is not saved, and the previous file stays") {
  const TempFolder folder;
  const auto file = folder / "a.safetensors";
  Model model(small_net());
  save_checkpoint(file, model.stored(), notes());
  const auto& entry = model.store.parameters()[1];
  REQUIRE(entry.name == "0.bias");
  for (double bad : {std::numeric_limits<double>::quiet_NaN(), -std::numeric_limits<double>::infinity()}) {
    model.store.adam_v().data<float>()[entry.first + 2] = static_cast<float>(bad);
    const auto message =
        error_of(ErrorKind::diverged, [&] { save_checkpoint(file, model.stored(), notes()); });
    CHECK(contains(message, "adam.v/0.bias"));
  }
  Model back(small_net(), {}, 9);
  load_checkpoint(file, back.stored());
  CHECK(test::host(back.store.value()) == test::host(model.store.value()));
}

TEST_CASE("damaged and foreign files are refused, and unfilled models are not saved") {
  const TempFolder folder;
  const auto file = folder / "a.safetensors";
  Model model(small_net());
  save_checkpoint(file, model.stored(), notes());
  const auto size = std::filesystem::file_size(file);
  {
    std::fstream f(file, std::ios::in | std::ios::out | std::ios::binary);
    f.seekp(static_cast<std::streamoff>(size) - 5);
    f.put('\x7f');
  }
  CHECK(
      contains(error_of(ErrorKind::model, [&] { load_checkpoint(file, model.stored()); }), "a.safetensors"));

  const auto metadata = [&](const char* key, const char* value) {
    Metadata m{{"format_version", "1"}, {"config", ""}, {"training", "{}"}};
    m[key] = value;
    save_safetensors(file, {}, m);
    return error_of(ErrorKind::model, [&] { load_checkpoint(file, model.stored()); });
  };
  CHECK(contains(metadata("format_version", "2"), "version '2'"));
  CHECK(contains(metadata("format_version", "1x"), "version '1x'"));
  CHECK(contains(metadata("training", "{\"seed\":-1}"), "damaged"));
  CHECK(contains(metadata("training", "seed"), "damaged"));

  Sequential net = small_net();
  ParameterStore store(net);
  CHECK(contains(error_of(ErrorKind::internal,
                          [&] {
                            save_checkpoint(file, std::array<StoredModel, 1>{{{"", &store}}}, notes());
                          }),
                 "neither initialised nor loaded"));
}

}  // namespace
}  // namespace mld::nn
