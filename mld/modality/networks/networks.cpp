#include "mld/modality/networks/networks.h"

#include <algorithm>
#include <utility>

#include "engine/ops/ops.h"
#include "mld/modality/networks/network_parts.h"

namespace mld {
namespace {

const Shape kMnist{28, 28, 1}, kSvhn{32, 32, 3}, kPolyMnist{28, 28, 3}, kSound{32, 128, 1}, kTrajectory{200},
    kCub{64, 64, 3};
constexpr std::int64_t kCaption = 32;  // tokens

void check_shape(const char* network, const Shape& found, const Shape& expected) {
  MLD_CHECK_AS(ErrorKind::usage, found == expected, "network '", network, "' takes samples of shape ",
               expected, ", not ", found);
}

void check_map(const char* network, const Shape& s) {
  MLD_CHECK_AS(ErrorKind::usage, s.rank() == 3, "network '", network,
               "' takes pictures and spectrograms, not ", s, "; choose 'mlp'");
}

void check_series(const Shape& s) {
  MLD_CHECK_AS(ErrorKind::usage, s.rank() == 1 || (s.rank() == 3 && s[0] == 1),
               "network 'series' takes series and vectors, not ", s, "; choose 'mlp' or 'conv'");
}

// `side`: the shortest one that is halved.
void check_halvings(std::int64_t side, std::int64_t times, const Shape& shape, const char* remedy) {
  MLD_CHECK_AS(ErrorKind::usage, side >> times >= 1, "samples of shape ", shape, " cannot be halved ", times,
               " times; ", remedy);
}
constexpr const char* kLessDeep = "set modalities.NAME.layers.depth to less, or choose another network";

void check_no_blocks(const LayersConfig& layers) {
  MLD_CHECK_AS(ErrorKind::usage, layers.blocks == 0,
               "networks of dense layers have no residual blocks; set modalities.NAME.layers.blocks=0");
}

void check_layers(AutoencoderKind kind, const LayersConfig& layers) {
  const bool has_layers = kind == AutoencoderKind::mlp || kind == AutoencoderKind::conv ||
                          kind == AutoencoderKind::series || kind == AutoencoderKind::tokens;
  MLD_CHECK_AS(ErrorKind::usage, has_layers || layers == LayersConfig{}, "network '", name_of(kind),
               "' has the layers of its paper; leave modalities.NAME.layers.* as they are or choose 'mlp', "
               "'conv', 'series' or 'tokens'");
}

}  // namespace

Autoencoder make_categorical_autoencoder(AutoencoderKind kind, std::int64_t positions,
                                         std::int64_t categories, std::int64_t latent,
                                         const LayersConfig& layers, int heads) {
  check_layers(kind, layers);
  const Shape one_hot{positions, categories};
  const std::int64_t codes = heads * latent;
  const auto make = [&] {
    switch (kind) {
      case AutoencoderKind::mlp:
        return networks::mlp(one_hot, latent, codes, layers);
      case AutoencoderKind::tokens:
        return networks::tokens(one_hot, latent, codes, layers);
      case AutoencoderKind::cub_caption:
        MLD_CHECK_AS(ErrorKind::usage, positions == kCaption, "network 'cub_caption' takes texts of ",
                     kCaption, " tokens, not ", positions, "; choose 'tokens'");
        return networks::cub_caption(one_hot, latent, codes);
      default:
        fail(ErrorKind::usage, "network '", name_of(kind),
             "' takes no discrete data; choose 'tokens', 'mlp' or 'cub_caption'");
    }
  };
  check_no_blocks(layers);
  Autoencoder net = make();
  net.decoder.append(nn::Softmax{});
  net.discrete = true;
  return net;
}

Var network_input(const nn::Sequential& network, const Var& x) {
  const Shape& in = network.input();
  return x.dtype() == DType::i32 && in.rank() == 2 ? Var(one_hot(x.value, in[1])) : x;
}

Var Autoencoder::decode(const Var& z) const {
  const Var u = decoder(z);
  return discrete ? Var(argmax(u.value)) : unscaled(scaling, u);
}

Classifier make_categorical_classifier(std::int64_t positions, std::int64_t categories, std::int64_t scores) {
  return networks::mlp_classifier(Shape{positions, categories}, scores);
}

Autoencoder make_autoencoder(AutoencoderKind kind, const Shape& shape, std::int64_t latent,
                             const LayersConfig& layers, int heads) {
  check_layers(kind, layers);
  const std::int64_t codes = heads * latent;
  switch (kind) {
    case AutoencoderKind::mlp:
      check_no_blocks(layers);
      return networks::mlp(shape, latent, codes, layers);
    case AutoencoderKind::conv:
      check_map("conv", shape);
      check_halvings(std::min(shape[0], shape[1]), layers.depth, shape, kLessDeep);
      return networks::conv(shape, latent, codes, layers);
    case AutoencoderKind::series:
      check_series(shape);
      check_halvings(shape.rank() == 1 ? shape[0] : shape[1], layers.depth, shape, kLessDeep);
      return networks::series(shape, latent, codes, layers);
    case AutoencoderKind::mnist_mlp:
      check_shape("mnist_mlp", shape, kMnist);
      return networks::mnist_mlp(shape, latent, codes);
    case AutoencoderKind::svhn_conv:
      check_shape("svhn_conv", shape, kSvhn);
      return networks::svhn_conv(shape, latent, codes);
    case AutoencoderKind::mhd_image:
      check_shape("mhd_image", shape, kMnist);
      return networks::mhd_image(shape, latent, codes);
    case AutoencoderKind::mhd_sound:
      check_shape("mhd_sound", shape, kSound);
      return networks::mhd_sound(shape, latent, codes);
    case AutoencoderKind::mhd_trajectory:
      check_shape("mhd_trajectory", shape, kTrajectory);
      return networks::mhd_trajectory(shape, latent, codes);
    case AutoencoderKind::polymnist:
      check_shape("polymnist", shape, kPolyMnist);
      return networks::polymnist(shape, latent, codes);
    case AutoencoderKind::cub_image:
      check_shape("cub_image", shape, kCub);
      return networks::cub_image(shape, latent, codes);
    case AutoencoderKind::cub_caption:
    case AutoencoderKind::tokens:
      fail(ErrorKind::usage, "network '", name_of(kind), "' takes tokens, not samples of shape ", shape,
           "; choose 'mlp'");
  }
  fail(ErrorKind::internal, "networks: unknown autoencoder");
}

Classifier make_classifier(ClassifierKind kind, const Shape& shape, std::int64_t scores) {
  switch (kind) {
    case ClassifierKind::none:
    case ClassifierKind::phrases:
      break;
    case ClassifierKind::mlp:
      return networks::mlp_classifier(shape, scores);
    case ClassifierKind::conv:
      check_map("conv", shape);
      check_halvings(std::min(shape[0], shape[1]), 2, shape, "choose 'residual' or 'mlp'");
      return networks::conv_classifier(shape, scores);
    case ClassifierKind::residual:
      check_map("residual", shape);
      return networks::residual_classifier(shape, scores);
    case ClassifierKind::series:
      check_series(shape);
      return networks::series_classifier(shape, scores);
    case ClassifierKind::mnist:
      check_shape("mnist", shape, kMnist);
      return networks::digit_classifier(shape, scores);
    case ClassifierKind::svhn:
      check_shape("svhn", shape, kSvhn);
      return networks::digit_classifier(shape, scores);
    case ClassifierKind::mhd_image:
      check_shape("mhd_image", shape, kMnist);
      return networks::mhd_image_classifier(shape, scores);
    case ClassifierKind::mhd_sound:
      check_shape("mhd_sound", shape, kSound);
      return networks::mhd_sound_classifier(shape, scores);
    case ClassifierKind::mhd_trajectory:
      check_shape("mhd_trajectory", shape, kTrajectory);
      return networks::mhd_trajectory_classifier(shape, scores);
    case ClassifierKind::polymnist:
      check_shape("polymnist", shape, kPolyMnist);
      return networks::polymnist_classifier(shape, scores);
  }
  fail(ErrorKind::internal, "networks: no such classifier");
}

}  // namespace mld
