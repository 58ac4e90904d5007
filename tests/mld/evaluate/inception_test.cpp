#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "engine/threads/threads.h"
#include "mld/evaluate/networks/inception.h"
#include "tests/expect_error.h"
#include "tests/mld/evaluate/metrics_golden.h"
#include "tests/mld/recipe.h"
#include "tests/temp_folder.h"

namespace mld {
namespace {

constexpr double kTolerance = 1e-4;  // of a layer's root mean square; what is measured is below 1e-5

// As images() of golden/make_metrics.py: coarse blocks with fine noise, some values outside [0,1].
Tensor images(const std::string& name, const Shape& shape) {
  const test::Recipe coarse(name + ".coarse"), fine(name + ".fine");
  const std::int64_t h = shape[1], w = shape[2], c = shape[3];
  const Tensor x = Tensor::empty(shape);
  std::int64_t i = 0;
  for (std::int64_t n = 0; n < shape[0]; ++n)
    for (std::int64_t row = 0; row < h; ++row)
      for (std::int64_t column = 0; column < w; ++column)
        for (std::int64_t k = 0; k < c; ++k, ++i) {
          const std::int64_t block = ((n * 5 + row * 5 / h) * 7 + column * 7 / w) * c + k;
          x.data<float>()[i] = static_cast<float>(coarse.uniform(static_cast<std::uint32_t>(block)) +
                                                  0.5 * fine.uniform(static_cast<std::uint32_t>(i)) - 0.25);
        }
  return x;
}

}  // namespace

TEST_CASE("Inception's input agrees with PyTorch's bilinear resize, enlarging, reducing and of gray images") {
  for (const Device device : test::metric_devices()) {
    test::MetricsGolden golden;
    for (const auto& [name, shape] : {std::pair{"small", Shape{1, 20, 31, 3}},
                                      {"large", Shape{1, 401, 350, 3}},
                                      {"gray", Shape{2, 28, 28, 1}}}) {
      const std::string entry = cat("resize/", name);
      CAPTURE(entry);
      const Tensor x = inception_input(images(name, shape).to(device));
      CHECK(x.shape() == Shape({shape[0], 299, 299, 3}));
      CHECK(golden.error(entry, x) < kTolerance);
    }
    CHECK(golden.compared() == golden.entries("resize/"));
  }
  const std::string message = test::error_of(ErrorKind::internal, [] {
    inception_input(Tensor::zeros({1, 28, 28, 2}));
  });
  CHECK(test::contains(message, "[1,28,28,2]"));
}

TEST_CASE("Inception agrees with pytorch-fid's, layer by layer") {
  for (const Device device : test::metric_devices()) {
    Inception network;
    nn::ParameterStore store(network, {.device = device, .training = false});
    test::fill_by_recipe(store);
    test::MetricsGolden golden;
    const Tensor photo = images("photo", {1, 40, 28, 3});
    const Tensor features =
        network(inception_input(photo.to(device)), [&](const std::string& layer, const Tensor& output) {
          CAPTURE(layer);
          CHECK(golden.error("inception/" + layer, output) < kTolerance);
        });
    CHECK(golden.compared() == golden.entries("inception/"));
    CHECK(features.shape() == Shape({1, kInceptionFeatures}));
    if (device != kCpu) continue;

    // Read from a file, in other company and with another number of threads, the features keep their bits.
    const test::TempFolder folder;
    test::save_by_recipe(folder / "inception.safetensors", store, {{"network", "inception"}});
    const InceptionFeatures from_file(folder / "inception.safetensors");
    CHECK(from_file.weights_hash().size() == 8);
    const Tensor pair = Tensor::empty({2, 40, 28, 3});
    pair.rows(0, 1).copy_from(images("other", {1, 40, 28, 3}));
    pair.rows(1, 1).copy_from(photo);
    const int threads = max_threads();
    set_threads(1);
    const Tensor both = from_file(pair);
    set_threads(threads);
    for (std::int64_t i = 0; i < kInceptionFeatures; ++i)
      REQUIRE(both.data<float>()[kInceptionFeatures + i] == features.data<float>()[i]);
  }
}

TEST_CASE("Inception has torchvision's parameters without the classifier, and refuses other sizes") {
  Inception network;
  CHECK(nn::count_parameters(network) == 21785568);  // torchvision's 25112264 less the heads
  nn::ParameterStore store(network, {.training = false});
  test::fill_by_recipe(store);
  const std::string message = test::error_of(ErrorKind::internal, [&] {
    network(Tensor::zeros({1, 64, 64, 3}));
  });
  CHECK(test::contains(message, "[N,299,299,3]"));
}

}  // namespace mld
