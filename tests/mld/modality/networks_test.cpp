// Parameter counts against docs/method.md section 16.
#include "mld/modality/networks/networks.h"

#include <doctest/doctest.h>

#include <array>
#include <limits>
#include <utility>

#include "engine/base/error.h"
#include "nn/parameter.h"

TEST_CASE("networks: parameter counts of the benchmark autoencoders") {
  struct Row {
    mld::AutoencoderKind kind;
    mld::Shape shape;
    std::int64_t latent, encoder, decoder;
  };
  for (const Row& r : {Row{mld::AutoencoderKind::mnist_mlp, {28, 28, 1}, 16, 320416, 321184},
                       Row{mld::AutoencoderKind::svhn_conv, {32, 32, 3}, 64, 296736, 296675},
                       Row{mld::AutoencoderKind::mhd_image, {28, 28, 1}, 64, 459584, 462656},
                       Row{mld::AutoencoderKind::mhd_trajectory, {200}, 16, 639504, 639688},
                       Row{mld::AutoencoderKind::mhd_sound, {32, 128, 1}, 128, 476288, 481792},
                       Row{mld::AutoencoderKind::polymnist, {28, 28, 3}, 160, 446848, 422851},
                       Row{mld::AutoencoderKind::cub_image, {64, 64, 3}, 64, 4864512, 4929731},
                       Row{mld::AutoencoderKind::cub_image, {64, 64, 3}, 32, 2767328, 2832579}}) {
    mld::Autoencoder net = mld::make_autoencoder(r.kind, r.shape, r.latent);
    CHECK(mld::nn::count_parameters(net.encoder) == r.encoder);
    CHECK(mld::nn::count_parameters(net.decoder) == r.decoder);
    CHECK(net.encoder.output() == mld::Shape{r.latent});
    CHECK(net.decoder.output() == r.shape);
  }
}

TEST_CASE("networks: parameter counts of the caption autoencoder") {
  for (const auto& [latent, encoder, decoder] :
       {std::array<std::int64_t, 3>{32, 570496, 596886}, std::array<std::int64_t, 3>{64, 575648, 602006}}) {
    mld::Autoencoder net =
        mld::make_categorical_autoencoder(mld::AutoencoderKind::cub_caption, 32, 1590, latent);
    CHECK(mld::nn::count_parameters(net.encoder) == encoder);
    CHECK(mld::nn::count_parameters(net.decoder) == decoder);
    CHECK(net.encoder.output() == mld::Shape{latent});
    CHECK(net.decoder.output() == mld::Shape{32, 1590});
  }
}

TEST_CASE("networks: tokens has one table and one last layer, however long the texts are") {
  constexpr std::int64_t kLatent = 8, kVocabulary = 50, kEmbedded = 64, kWidth = 512;
  std::int64_t ends[2];
  for (const std::int64_t length : {1, 7}) {
    mld::Autoencoder net =
        mld::make_categorical_autoencoder(mld::AutoencoderKind::tokens, length, kVocabulary, kLatent);
    CHECK(net.encoder.input() == mld::Shape{length});
    CHECK(net.decoder.output() == mld::Shape({length, kVocabulary}));
    const std::int64_t inner = (kEmbedded * length + 1) * kWidth + (kWidth + 1) * kWidth +
                               (kWidth + 1) * kLatent + (kLatent + 1) * kWidth + (kWidth + 1) * kWidth +
                               (kWidth + 1) * kEmbedded * length;
    ends[length > 1] =
        mld::nn::count_parameters(net.encoder) + mld::nn::count_parameters(net.decoder) - inner;
  }
  CHECK(ends[0] == kVocabulary * kEmbedded + (kEmbedded + 1) * kVocabulary);
  CHECK(ends[1] == ends[0]);
}

TEST_CASE("networks: numbers are decoded as the most likely, and a NaN as none") {
  for (const auto kind : {mld::AutoencoderKind::tokens, mld::AutoencoderKind::mlp}) {
    mld::Autoencoder net = mld::make_categorical_autoencoder(kind, 3, 5, 2);
    mld::nn::ParameterStore store(net, {.training = false});
    store.initialize(1);
    const mld::Tensor x = mld::Tensor::from(std::vector<std::int32_t>{0, 4, 2, 1, 1, 3}, {2, 3});
    const mld::Var z = net.encode(x);
    CHECK(z.shape() == mld::Shape({2, 2}));
    const mld::Tensor shares = net.decoder(z).value, made = net.decode(z).value;
    CHECK(made.shape() == mld::Shape({2, 3}));
    for (std::int64_t k = 0; k < 6; ++k) {
      double sum = 0;
      for (std::int64_t c = 0; c < 5; ++c) {
        sum += shares.data<float>()[5 * k + c];
        CHECK(shares.data<float>()[5 * k + c] <= shares.data<float>()[5 * k + made.data<std::int32_t>()[k]]);
      }
      CHECK(sum == doctest::Approx(1));
    }
    const mld::Tensor nothing = mld::Tensor::full({1, 2}, std::numeric_limits<double>::quiet_NaN());
    CHECK(net.decode(nothing).value.data<std::int32_t>()[0] == -1);
  }
}

TEST_CASE("networks: parameter counts of the classifiers, and the size of their features") {
  struct Row {
    mld::ClassifierKind kind;
    mld::Shape shape;
    std::int64_t count, features;
  };
  for (const Row& r : {Row{mld::ClassifierKind::mnist, {28, 28, 1}, 21840, 320},
                       Row{mld::ClassifierKind::svhn, {32, 32, 3}, 31340, 500},
                       Row{mld::ClassifierKind::residual, {32, 32, 3}, 482730, 128},
                       Row{mld::ClassifierKind::residual, {3, 5, 1}, 482154, 128},
                       Row{mld::ClassifierKind::mhd_image, {28, 28, 1}, 87818, 128},
                       Row{mld::ClassifierKind::mhd_trajectory, {200}, 434826, 128},
                       Row{mld::ClassifierKind::mhd_sound, {32, 128, 1}, 485578, 128},
                       Row{mld::ClassifierKind::polymnist, {28, 28, 3}, 130568, 128}}) {
    mld::Classifier net = mld::make_classifier(r.kind, r.shape, 10);
    CHECK(mld::nn::count_parameters(net) == r.count);
    CHECK(net.features.output() == mld::Shape{r.features});
    CHECK(net.head.output() == mld::Shape{10});
  }
}

namespace {

using mld::AutoencoderKind;
using mld::ClassifierKind;

// Parameters of a network of the generic layers, counted by hand as docs/method.md section 16.3 lists them.
std::int64_t conv(std::int64_t from, std::int64_t to, std::int64_t kernel) { return from * to * kernel + to; }
std::int64_t linear(std::int64_t from, std::int64_t to) { return from * to + to; }
std::int64_t block(std::int64_t channels, std::int64_t kernel) {
  return 2 * channels * channels * kernel + 4 * channels;
}

}  // namespace

TEST_CASE("networks: generic ones take any size, and their layers are as configured") {
  struct Row {
    AutoencoderKind kind;
    mld::Shape shape;
    mld::LayersConfig layers;
    std::int64_t encoder;
  };
  const std::int64_t ends = linear(256, 5);
  for (const Row& r : {
           Row{AutoencoderKind::mlp, {7}, {}, linear(7, 512) + linear(512, 512) + linear(512, 5)},
           Row{AutoencoderKind::mlp,
               {4, 2, 1},
               {.width = 20, .depth = 3},
               linear(8, 20) + 2 * linear(20, 20) + linear(20, 5)},
           Row{AutoencoderKind::conv,
               {16, 24, 3},
               {},
               conv(3, 32, 16) + conv(32, 64, 16) + linear(4 * 6 * 64, 256) + ends},
           // 15 -> 7 -> 3 -> 1 and 25 -> 12 -> 6 -> 3: odd sides come back.
           Row{AutoencoderKind::conv,
               {15, 25, 1},
               {.width = 4, .depth = 3, .blocks = 2},
               conv(1, 4, 16) + conv(4, 8, 16) + conv(8, 16, 16) +
                   2 * (block(4, 9) + block(8, 9) + block(16, 9)) + linear(3 * 16, 256) + ends},
           // Channels double three times and no more.
           Row{AutoencoderKind::conv,
               {32, 32, 1},
               {.width = 2, .depth = 5},
               conv(1, 2, 16) + conv(2, 4, 16) + conv(4, 8, 16) + conv(8, 16, 16) + conv(16, 16, 16) +
                   linear(16, 256) + ends},
           Row{AutoencoderKind::series,
               {1, 37, 3},
               {.width = 6, .blocks = 1},
               conv(3, 6, 4) + block(6, 3) + conv(6, 12, 4) + block(12, 3) + linear(9 * 12, 256) + ends},
           Row{AutoencoderKind::series,
               {10},
               {.width = 6},
               conv(1, 6, 4) + conv(6, 12, 4) + linear(2 * 12, 256) + ends},
       }) {
    CAPTURE(mld::name_of(r.kind));
    CAPTURE(r.shape);
    mld::Autoencoder net = mld::make_autoencoder(r.kind, r.shape, 5, r.layers);
    CHECK(mld::nn::count_parameters(net.encoder) == r.encoder);
    CHECK(net.encoder.output() == mld::Shape{5});
    CHECK(net.decoder.output() == r.shape);
  }
  CHECK(mld::make_classifier(ClassifierKind::conv, {15, 25, 1}, 4).head.output() == mld::Shape{4});
  for (const mld::Shape& shape : {mld::Shape{1, 37, 3}, mld::Shape{10}}) {
    mld::Classifier net = mld::make_classifier(ClassifierKind::series, shape, 4);
    CHECK(net.head.output() == mld::Shape{4});
    const std::int64_t channels = shape.rank() == 1 ? 1 : 3;
    std::int64_t count = linear(128, 4);
    for (const auto& [from, to] : {std::pair{channels, 32}, {32, 64}, {64, 128}})
      count += from * to * 3 + 2 * to + block(to, 3);
    CHECK(mld::nn::count_parameters(net) == count);
  }
}

TEST_CASE("networks: errors name what a network takes") {
  const auto refused = [](const char* what, auto&& make) {
    CHECK_THROWS_WITH_AS(make(), doctest::Contains(what), mld::Error);
  };
  refused("cannot be halved 4 times; set modalities.NAME.layers.depth", [] {
    mld::make_autoencoder(AutoencoderKind::conv, {15, 24, 3}, 5, {.depth = 4});
  });
  refused("cannot be halved 2 times", [] { mld::make_autoencoder(AutoencoderKind::series, {3}, 5); });
  refused("takes pictures and spectrograms, not [7]",
          [] { mld::make_autoencoder(AutoencoderKind::conv, {7}, 5); });
  refused("takes series and vectors", [] { mld::make_autoencoder(AutoencoderKind::series, {8, 8, 1}, 5); });
  refused("layers of its paper", [] {
    mld::make_autoencoder(AutoencoderKind::svhn_conv, {32, 32, 3}, 5, {.blocks = 1});
  });
  refused("no residual blocks", [] { mld::make_autoencoder(AutoencoderKind::mlp, {7}, 5, {.blocks = 1}); });
  refused("choose 'mlp'", [] { mld::make_classifier(ClassifierKind::residual, {7}, 10); });
  refused("choose 'residual'", [] { mld::make_classifier(ClassifierKind::conv, {3, 9, 1}, 10); });
  refused("[32,32,3]", [] { mld::make_classifier(ClassifierKind::svhn, {28, 28, 1}, 10); });
}
