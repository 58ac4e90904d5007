// Samples in batches are the samples at once; what is no condition of the model is refused.
#include "mld/run/generate.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "data/store/store.h"
#include "mld/mld.h"
#include "mld/train/train.h"
#include "tests/expect_error.h"
#include "tests/mld/vector_data.h"
#include "tests/mld/workshop.h"
#include "tests/temp_folder.h"

namespace mld {
namespace {

using test::contains;

struct Trained : test::Workshop {
  Trained() { train({.config = test::tiny_config(store), .out = folder / "run"}, {}); }
};

Values pictures(const std::filesystem::path& path, std::int64_t n) {
  const data::Store store = data::Store::open(path);
  Values values(static_cast<std::size_t>(n * 784));
  std::vector<std::int32_t> items(static_cast<std::size_t>(n));
  std::iota(items.begin(), items.end(), 0);
  store.split("test").gather(0, items, values);
  return values;
}

template <class F>
void refused(ErrorKind kind, const std::string& part, F&& f) {
  const std::string message = test::error_of(kind, f);
  CHECK_MESSAGE(contains(message, part), message);
}

}  // namespace

TEST_CASE("generate: batches handed out one by one are the samples at once") {
  const Trained w;
  const Model model = Model::open(w.folder / "run");
  const std::int64_t n = 11;
  const Values images = pictures(w.store, n);
  SampleSettings settings = sample_settings(model.config());
  const Samples whole = generate(model, n, {{"image", images}}, settings);
  const Conditions given{{"image", [&](std::int64_t first, std::int64_t count) {
                            return Values(images.begin() + first * 784,
                                          images.begin() + (first + count) * 784);
                          }}};
  for (const std::int64_t chunk : {1, 4, 11, 64}) {
    settings.chunk = chunk;
    Samples pieces;
    std::int64_t next = 0, most = 0, calls = 0, all_calls = 0;
    generate_each(
        model, n, given, {}, settings,
        [&](std::int64_t first, std::int64_t count, const Samples& samples) {
          CHECK(first == next);
          next += count;
          most = std::max(most, count);
          for (const auto& [name, values] : samples)
            pieces[name].insert(pieces[name].end(), values.begin(), values.end());
        },
        [&](std::int64_t done, std::int64_t total) {
          CHECK(done == ++calls);
          all_calls = total;
          return true;
        });
    CHECK(next == n);
    CHECK(most <= chunk);
    CHECK(calls == all_calls);
    CHECK(pieces.at("image") == images);
    pieces.erase("image");
    CHECK(pieces == whole);
  }

  Samples wanted;
  generate_each(model, n, given, {"sound"}, settings,
                [&](std::int64_t, std::int64_t, const Samples& samples) { wanted = samples; });
  CHECK(wanted.size() == 2);
  CHECK(wanted.at("sound") == whole.at("sound"));

  const Generator generator = Generator::open((w.folder / "run").string());
  Samples each;
  generator.sample_each(n, given, {.seed = settings.seed, .progress = {}},
                        [&](std::int64_t, std::int64_t, const Samples& samples) { each = samples; });
  CHECK(each.at("trajectory") == whole.at("trajectory"));
}

TEST_CASE("generate: what is no call of the model is refused before anything is drawn") {
  const Trained w;
  const Model model = Model::open(w.folder / "run");
  const SampleSettings settings = sample_settings(model.config());
  const auto check = [&](std::int64_t n, const std::vector<std::string>& given,
                         const std::vector<std::string>& wanted) {
    return [&model, &settings, n, given, wanted] { check_generate(model, n, given, wanted, settings); };
  };
  for (const std::int64_t n :
       {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1} << 31, std::numeric_limits<std::int64_t>::max(),
        std::numeric_limits<std::int64_t>::min()}) {
    refused(ErrorKind::usage, "samples asked for, expected 1 to", check(n, {}, {}));
    refused(ErrorKind::usage, "samples asked for, expected 1 to", [&] { generate(model, n, {}, settings); });
  }
  refused(ErrorKind::usage, "unknown modality 'imag'", check(1, {"imag"}, {}));
  refused(ErrorKind::usage, "unknown modality ''", check(1, {}, {""}));
  refused(ErrorKind::usage, "every modality is given", check(1, {"image", "sound", "trajectory"}, {}));
  refused(ErrorKind::usage, "'image' is wanted and given", check(1, {"image"}, {"sound", "image"}));

  std::filesystem::remove(w.folder / "run/score.safetensors");
  const Model half = Model::open(w.folder / "run");
  refused(ErrorKind::model, "the score network has not been trained yet",
          [&] { check_generate(half, 1, {}, {}, settings); });
  std::filesystem::remove(w.folder / "run/autoencoder.sound.safetensors");
  const Model less = Model::open(w.folder / "run");
  refused(ErrorKind::model, "autoencoder of 'sound'", [&] { check_generate(less, 1, {}, {}, settings); });
}

TEST_CASE("generate: values that are not finite are no samples") {
  const test::TempFolder folder;
  test::make_vectors(folder / "store");
  train({.config = test::vector_config(folder / "store"), .out = folder / "run"}, {});
  const Model model = Model::open(folder / "run");
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const float z : {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN()})
    for (int i = 0; i < model.modalities(); ++i) {
      const Tensor latents = Tensor::empty({2, model.layout().dims[static_cast<std::size_t>(i)]});
      std::ranges::fill(latents.span<float>(), z);
      refused(ErrorKind::diverged, "modality '" + model.modality(i).name + "'",
              [&] { model.decode_latent(i, latents); });
    }
}

TEST_CASE("Generator: values of another scale, and schedules that do not fit, are refused") {
  const Trained w;
  const Generator model = Generator::open((w.folder / "run").string());
  const Values images = pictures(w.store, 2);
  const auto given = [&](auto change) {
    Values changed = images;
    for (float& v : changed) v = change(v);
    return [&model, changed] { model.sample(2, {{"image", changed}}); };
  };
  refused(ErrorKind::usage, "modality 'image': values from 0 to 2", given([](float v) { return v * 255; }));
  refused(ErrorKind::usage, "values from -1 to ", given([](float v) { return 2 * v - 1; }));
  refused(ErrorKind::usage, "values from -0.5 to 0.", given([](float v) { return v - 0.5F; }));
  refused(ErrorKind::usage, "expected 0 to 1", given([](float v) { return v * 1e30F; }));
  refused(ErrorKind::usage, "not finite", given([](float v) { return v / 0.0F; }));
  CHECK_NOTHROW(given([](float v) { return v * 1.1F; })());  // as networks without a bound draw
  refused(ErrorKind::usage, "expected 0 to 1", [&] { model.encode("image", Values(784, 255.0F)); });
  refused(ErrorKind::usage, "0 values for 0 samples", [&] { model.encode("image", {}); });

  const auto drawn = [&](int steps, int jump, int resample) {
    return model.sample(1, {}, {.steps = steps, .jump = jump, .resample = resample, .progress = {}});
  };
  refused(ErrorKind::usage, "jumps of 30 levels do not fit 20 steps", [&] { drawn(20, 30, 0); });
  refused(ErrorKind::usage, "jumps of 13 levels do not fit 12 steps", [&] { drawn(0, 13, 1); });
  refused(ErrorKind::usage, "jumps of 3 levels do not fit 2 steps", [&] { drawn(2, 0, 2); });
  refused(ErrorKind::usage, "levels: expected 1 to 100000, found -1", [&] { drawn(-1, 1, 1); });
  CHECK(drawn(2, 0, 0) == drawn(2, 2, 1));
  refused(ErrorKind::usage, "has not learnt to do without modalities",
          [&] { model.sample(1, {}, {.guidance = 2, .progress = {}}); });
}

}  // namespace mld
