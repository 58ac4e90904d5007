#include "mld/modality/trivial_augment.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "data/store/store_writer.h"
#include "engine/io/safetensors.h"
#include "mld/diffusion/noise.h"
#include "mld/modality/augment.h"
#include "tests/devices.h"
#include "tests/expect_error.h"
#include "tests/mld/golden_tensor.h"
#include "tests/mld/run_place.h"
#include "tests/nn/helpers.h"
#include "tests/threads_scope.h"

namespace mld {
namespace {

using mld::test::read_tensor;

// The same change of all pictures.
Tensor alike(std::int64_t pictures, const std::int32_t* change) {
  std::vector<std::int32_t> all;
  for (std::int64_t b = 0; b < pictures; ++b) all.insert(all.end(), change, change + 3);
  return Tensor::from(all, {pictures, 3});
}

Tensor changed(const Tensor& x, const Tensor& changes, const data::ValueRange& range = {}) {
  const Tensor out = Tensor::empty(x.shape(), x.dtype(), x.device());
  trivial_augment(x, out, range, changes.to(x.device()));
  return out;
}

constexpr DrawKey kKey{.seed = 4, .step = 2, .site = kSiteAugment};

Tensor augmented(const Tensor& x, const Augmentation& by, std::int64_t first = 0) {
  const Tensor out = Tensor::empty(x.shape(), x.dtype(), x.device());
  DrawKey key = kKey;
  key.first_row = first;
  augment(x, out, by, {}, key);
  return out;
}

Tensor pictures(std::int64_t count) {
  return Tensor::from(test::values(count * 8 * 9 * 3, 3, 0, 1), {count, 8, 9, 3}).to(DType::f32);
}

// Sum of (n - expected)^2 / expected.
double chi_squared(const std::vector<int>& counts, double expected) {
  double sum = 0;
  for (const int n : counts) sum += (n - expected) * (n - expected) / expected;
  return sum;
}

}  // namespace

TEST_CASE("trivial augment: every operation gives torchvision's bytes") {
  const SafetensorsFile file(MLD_MLD_GOLDEN_DIR "/trivial_augment_golden.safetensors");
  const Tensor given = read_tensor(file, "pictures"), changes = read_tensor(file, "changes"),
               results = read_tensor(file, "results");
  const std::int64_t size = given.numel(), count = given.shape()[0];
  const data::ValueRange range{-1, 3};
  const Tensor x = Tensor::empty(given.shape());
  for (std::int64_t i = 0; i < size; ++i)
    x.data<float>()[i] = range.from_unit(static_cast<float>(given.data<std::uint8_t>()[i]) / 255.0F);
  for (const Device device : test::test_devices())
    for (std::int64_t k = 0; k < changes.shape()[0]; ++k) {
      const std::int32_t* change = changes.data<std::int32_t>() + 3 * k;
      const Tensor out = changed(x.to(device), alike(count, change), range).to(kCpu);
      std::int64_t different = 0;
      for (std::int64_t i = 0; i < size; ++i) {
        const double byte = (static_cast<double>(out.data<float>()[i]) + 1) / 4 * 255;
        different += std::abs(byte - results.data<std::uint8_t>()[k * size + i]) > 1e-3;
      }
      CAPTURE(device);
      CHECK_MESSAGE(different == 0, "operation ", change[0], ", bin ", change[1], ", sign ", change[2]);
    }
}

TEST_CASE("trivial augment: operations, magnitudes and signs are uniform and independent") {
  constexpr std::int64_t kPictures = 43400;
  const Tensor changes = draw_trivial_changes(kPictures, kKey, kCpu);
  std::vector<int> operations(kTrivialOperations), bins(kTrivialBins), signs(2),
      pairs(kTrivialOperations * kTrivialBins);
  for (std::int64_t b = 0; b < kPictures; ++b) {
    const std::int32_t* change = changes.data<std::int32_t>() + 3 * b;
    ++operations.at(static_cast<std::size_t>(change[0]));
    ++bins.at(static_cast<std::size_t>(change[1]));
    ++signs.at(static_cast<std::size_t>(change[2]));
    ++pairs.at(static_cast<std::size_t>(change[0] * kTrivialBins + change[1]));
  }
  // Mean n - 1 and variance 2 (n - 1): within four deviations.
  for (const auto& counts : {operations, bins, signs, pairs}) {
    const auto n = static_cast<double>(counts.size());
    CHECK(std::abs(chi_squared(counts, kPictures / n) - (n - 1)) < 4 * std::sqrt(2 * (n - 1)));
  }
}

TEST_CASE(
    "trivial augment: a picture's change depends on its row and step, not on batch, threads or device") {
  const Augmentation by{.shift = 1, .gain = 0.2, .trivial = true};
  const Tensor x = pictures(60);
  const auto all = test::host(augmented(x, by));
  const auto part = test::host(augmented(x.rows(20, 30), by, 20));
  CHECK(part == std::vector<double>(all.begin() + 20 * 216, all.begin() + 50 * 216));
  {
    const test::Threads three(3);
    CHECK(test::host(augmented(x, by)) == all);
  }
  for (const Device device : test::queued_devices()) {
    const auto there = test::host(augmented(x.to(device), by));
    if (device == kSim) CHECK(there == all);
    test::check_near(there, all, 1e-6);
  }
}

TEST_CASE("trivial augment: comes first, and what is not asked for does nothing") {
  const Tensor x = pictures(40);
  const auto trivial = augmented(x, {.trivial = true}), moved = augmented(x, {.shift = 2});
  CHECK(test::host(augmented(trivial, {.shift = 2})) ==
        test::host(augmented(x, {.shift = 2, .trivial = true})));
  CHECK(test::host(trivial) != test::host(x));
  CHECK(test::host(trivial) != test::host(moved));
  CHECK(test::host(trivial) == test::host(changed(x, draw_trivial_changes(40, kKey, kCpu))));
  // What lies between two bytes or outside the range becomes a byte.
  const Tensor odd = Tensor::from(std::vector<double>{-0.3, 0.5019, 1.7}, {1, 1, 1, 3}).to(DType::f32);
  const std::int32_t identity[3] = {};
  const auto bytes = test::host(changed(odd, alike(1, identity)));
  test::check_near(bytes, {0, 128.0 / 255, 1}, 1e-6);
}

TEST_CASE("trivial augment: only pictures of three channels can be") {
  ModalityConfig config;
  config.name = "view";
  config.stage1.trivial_augment = true;
  data::Modality info;
  for (const auto& [kind, shape] : {std::pair{data::ModalityKind::image, Shape{8, 8, 1}},
                                    std::pair{data::ModalityKind::spectrogram, Shape{8, 8}},
                                    std::pair{data::ModalityKind::vector, Shape{3}}}) {
    info.kind = kind;
    info.shape = shape;
    const std::string message =
        test::error_of(ErrorKind::usage, [&] { augmentation(config, config.stage1, info); });
    CHECK(test::contains(message, "'view'"));
    CHECK(test::contains(message, "leave trivial_augment at false"));
    CHECK_FALSE(augmentation(config, config.classifier_training, info).changes());
  }
  info.kind = data::ModalityKind::image;
  info.shape = {8, 8, 3};
  CHECK(augmentation(config, config.stage1, info).changes());
  CHECK_FALSE(augmentation(config, config.stage1, info).moves());
}

TEST_CASE(
    "trivial augment: a stage trains with it, again to the same bits, and the score network on more "
    "encodings") {
  const test::TempFolder folder;
  data::Description description;
  description.name = "colours";
  for (const char* name : {"left", "right"}) {
    data::Modality m;
    m.name = name;
    m.kind = data::ModalityKind::image;
    m.dtype = DType::u8;
    m.shape = {8, 8, 3};
    description.modalities.push_back(m);
  }
  data::StoreWriter writer(folder / "store", description);
  std::vector<std::uint8_t> bytes;
  for (const double v : test::values(16 * 8 * 8 * 3, 7, 0, 255))
    bytes.push_back(static_cast<std::uint8_t>(v));
  for (const char* split : {"train", "test"}) {
    for (int m = 0; m < 2; ++m) writer.add_items(split, m, bytes);
    writer.set_aligned_samples(split, 16, std::vector<std::int32_t>(16, -1));
  }
  writer.commit();
  const auto trained = [&](const std::string& to, std::vector<std::string> settings) {
    settings.insert(settings.end(), {"run.log_every=1", "stage1.steps=2", "score.steps=2"});
    double first = 0;
    TrainHooks hooks;
    hooks.progress = [&](const StageProgress& p) {
      if (first == 0 && p.stage == "autoencoder/left") first = p.loss;
    };
    const std::filesystem::path out = folder / to;
    train({.config = test::vector_config(folder / "store", settings), .out = out}, hooks);
    return std::pair{first,
                     test::read_bytes(out / "metrics.jsonl") + test::read_bytes(out / "score.safetensors")};
  };
  const std::vector<std::string> on{"modalities.left.stage1.trivial_augment=true", "score.encodings=2"};
  const auto with = trained("with", on), again = trained("again", on), without = trained("without", {});
  CHECK(with.first != without.first);
  CHECK(with.second == again.second);
}

}  // namespace mld
