// Parameter counts against docs/method.md section 16.
#include "mld/modality/networks.h"

#include <doctest/doctest.h>

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
                       Row{mld::AutoencoderKind::mhd_sound, {32, 128}, 128, 476288, 481792},
                       Row{mld::AutoencoderKind::polymnist, {28, 28, 3}, 160, 446848, 422851}}) {
    mld::Autoencoder net = mld::make_autoencoder(r.kind, r.shape, r.latent);
    CHECK(mld::nn::count_parameters(net.encoder) == r.encoder);
    CHECK(mld::nn::count_parameters(net.decoder) == r.decoder);
    CHECK(net.encoder.output() == mld::Shape{r.latent});
    CHECK(net.decoder.output() == mld::network_shape(r.shape));
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
                       Row{mld::ClassifierKind::mhd_sound, {32, 128}, 485578, 128},
                       Row{mld::ClassifierKind::polymnist, {28, 28, 3}, 130568, 128}}) {
    mld::Classifier net = mld::make_classifier(r.kind, r.shape, 10);
    CHECK(mld::nn::count_parameters(net) == r.count);
    CHECK(net.features.output() == mld::Shape{r.features});
    CHECK(net.head.output() == mld::Shape{10});
  }
}

TEST_CASE("networks: generic ones fit users' shapes, errors name what they take") {
  CHECK(mld::make_autoencoder(mld::AutoencoderKind::mlp, {7}, 3).decoder.output() == mld::Shape{7});
  CHECK(mld::make_autoencoder(mld::AutoencoderKind::conv, {16, 24, 3}, 5).decoder.output() ==
        mld::Shape{16, 24, 3});
  CHECK_THROWS_WITH_AS(mld::make_autoencoder(mld::AutoencoderKind::conv, {15, 24, 3}, 5),
                       doctest::Contains("divisible by 4"), mld::Error);
  CHECK_THROWS_WITH_AS(mld::make_classifier(mld::ClassifierKind::residual, {7}, 10),
                       doctest::Contains("choose 'mlp'"), mld::Error);
  CHECK_THROWS_WITH_AS(mld::make_classifier(mld::ClassifierKind::svhn, {28, 28, 1}, 10),
                       doctest::Contains("[32,32,3]"), mld::Error);
}
