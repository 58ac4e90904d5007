#include "mld/evaluate/networks/vggish.h"

#include <doctest/doctest.h>

#include "mld/evaluate/networks/audio_embedding.h"
#include "tests/expect_error.h"
#include "tests/mld/evaluate/metrics_golden.h"
#include "tests/mld/recipe.h"
#include "tests/temp_folder.h"

namespace mld {

TEST_CASE("VGGish agrees with torchvggish's, layer by layer") {
  const Tensor patches = Tensor::empty({3, 96, 64, 1});
  const test::Recipe recipe("patch");
  for (std::uint32_t i = 0; i < 3 * 96 * 64; ++i)
    patches.data<float>()[i] = static_cast<float>(9 * recipe.uniform(i) - 4.6);
  for (const Device device : test::metric_devices()) {
    Vggish network;
    nn::ParameterStore store(network, {.device = device, .training = false});
    test::fill_by_recipe(store);
    CHECK(store.count() == 72141184);
    test::MetricsGolden golden;
    const Tensor embedding =
        network(patches.rows(0, 1).to(device), [&](const std::string& layer, const Tensor& output) {
          CAPTURE(layer);
          CHECK(golden.error("vggish/" + layer, output) < 1e-4);
        });
    CHECK(golden.compared() == golden.entries("vggish/"));
    CHECK(embedding.shape() == Shape({1, kVggishFeatures}));
    const std::string message = test::error_of(ErrorKind::internal, [&] {
      network(Tensor::zeros({1, 98, 64, 1}, DType::f32, device));
    });
    CHECK(test::contains(message, "[N,96,64,1]"));
    if (device != kCpu) continue;

    // In other company the embedding keeps its bits.
    const Tensor all = network(patches);
    for (std::int64_t i = 0; i < kVggishFeatures; ++i)
      REQUIRE(all.data<float>()[i] == embedding.data<float>()[i]);
  }
}

TEST_CASE("sounds to embeddings: the parts in their order, with weights from a file") {
  Vggish network;
  nn::ParameterStore store(network, {.training = false});
  test::fill_by_recipe(store);
  const test::TempFolder folder;
  test::save_by_recipe(folder / "vggish.safetensors", store, {{"network", "vggish"}});
  const AudioEmbedding embedding(folder / "vggish.safetensors");
  CHECK(embedding.weights_hash().size() == 8);
  const Tensor spectrograms = Tensor::from(test::recipe_values("spectrograms", {32, 128}), {1, 32, 128});
  const Tensor waves = spectrogram_waves(spectrograms, kMhdDecibels, 4, 9);
  const Tensor expected = network(log_mel_patches(waves));
  const Tensor of_waves = embedding.of_waves(waves);
  const Tensor of_spectrograms = embedding.of_spectrograms(spectrograms, kMhdDecibels, 4, 9);
  for (std::int64_t i = 0; i < kVggishFeatures; ++i) {
    REQUIRE(of_waves.data<float>()[i] == expected.data<float>()[i]);
    REQUIRE(of_spectrograms.data<float>()[i] == expected.data<float>()[i]);
  }
}

}  // namespace mld
