#include "mld/modality/networks.h"

#include <utility>

#include "mld/modality/network_parts.h"

namespace mld {
namespace {

const Shape kMnist{28, 28, 1}, kSvhn{32, 32, 3}, kPolyMnist{28, 28, 3}, kSound{32, 128, 1}, kTrajectory{200};

void check_shape(const char* network, const Shape& found, const Shape& expected) {
  MLD_CHECK_AS(ErrorKind::usage, found == expected, "network '", network, "' takes samples of shape ",
               expected, ", not ", found);
}

void check_quarters(const char* network, const Shape& s) {
  MLD_CHECK_AS(ErrorKind::usage, s.rank() == 3 && s[0] % 4 == 0 && s[1] % 4 == 0, "network '", network,
               "' takes maps with sides divisible by 4, not ", s, "; choose 'mlp'");
}

}  // namespace

Autoencoder make_categorical_autoencoder(std::int64_t positions, std::int64_t categories,
                                         std::int64_t latent) {
  Autoencoder net = networks::mlp(Shape{positions, categories}, latent);
  net.decoder.append(nn::Softmax{});
  return net;
}

Classifier make_categorical_classifier(std::int64_t positions, std::int64_t categories,
                                       std::int64_t classes) {
  return networks::mlp_classifier(Shape{positions, categories}, classes);
}

Shape network_shape(const Shape& stored) {
  return stored.rank() == 2 ? Shape{stored[0], stored[1], 1} : stored;
}

Autoencoder make_autoencoder(AutoencoderKind kind, const Shape& stored, std::int64_t latent) {
  const Shape shape = network_shape(stored);
  switch (kind) {
    case AutoencoderKind::mlp:
      return networks::mlp(shape, latent);
    case AutoencoderKind::conv:
      check_quarters("conv", shape);
      return networks::conv(shape, latent);
    case AutoencoderKind::mnist_mlp:
      check_shape("mnist_mlp", shape, kMnist);
      return networks::mnist_mlp(shape, latent);
    case AutoencoderKind::svhn_conv:
      check_shape("svhn_conv", shape, kSvhn);
      return networks::svhn_conv(shape, latent);
    case AutoencoderKind::mhd_image:
      check_shape("mhd_image", shape, kMnist);
      return networks::mhd_image(shape, latent);
    case AutoencoderKind::mhd_sound:
      check_shape("mhd_sound", shape, kSound);
      return networks::mhd_sound(shape, latent);
    case AutoencoderKind::mhd_trajectory:
      check_shape("mhd_trajectory", shape, kTrajectory);
      return networks::mhd_trajectory(shape, latent);
    case AutoencoderKind::polymnist:
      check_shape("polymnist", shape, kPolyMnist);
      return networks::polymnist(shape, latent);
  }
  fail(ErrorKind::internal, "networks: unknown autoencoder");
}

Classifier make_classifier(ClassifierKind kind, const Shape& stored, std::int64_t classes) {
  const Shape shape = network_shape(stored);
  switch (kind) {
    case ClassifierKind::none:
      break;
    case ClassifierKind::mlp:
      return networks::mlp_classifier(shape, classes);
    case ClassifierKind::conv:
      check_quarters("conv", shape);
      return networks::conv_classifier(shape, classes);
    case ClassifierKind::residual:
      MLD_CHECK_AS(ErrorKind::usage, shape.rank() == 3, "network 'residual' takes maps, not ", shape,
                   "; choose 'mlp'");
      return networks::residual_classifier(shape, classes);
    case ClassifierKind::mnist:
      check_shape("mnist", shape, kMnist);
      return networks::digit_classifier(shape, classes);
    case ClassifierKind::svhn:
      check_shape("svhn", shape, kSvhn);
      return networks::digit_classifier(shape, classes);
    case ClassifierKind::mhd_image:
      check_shape("mhd_image", shape, kMnist);
      return networks::mhd_image_classifier(shape, classes);
    case ClassifierKind::mhd_sound:
      check_shape("mhd_sound", shape, kSound);
      return networks::mhd_sound_classifier(shape, classes);
    case ClassifierKind::mhd_trajectory:
      check_shape("mhd_trajectory", shape, kTrajectory);
      return networks::mhd_trajectory_classifier(shape, classes);
    case ClassifierKind::polymnist:
      check_shape("polymnist", shape, kPolyMnist);
      return networks::polymnist_classifier(shape, classes);
  }
  fail(ErrorKind::internal, "networks: no such classifier");
}

}  // namespace mld
