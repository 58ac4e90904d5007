#include "mld/modality/networks.h"

#include <utility>

namespace mld {
namespace {

using nn::BatchNorm;
using nn::Conv2d;
using nn::ConvTranspose2d;
using nn::Dropout;
using nn::Flatten;
using nn::kRelu;
using nn::kSigmoid;
using nn::kSilu;
using nn::Linear;
using nn::MaxPool2d;
using nn::Reshape;
using nn::Sequential;

const Shape kMnist{28, 28, 1}, kSvhn{32, 32, 3}, kSound{32, 128, 1}, kTrajectory{200};
const Activation kLeaky = nn::leaky_relu(0.01);

// --- autoencoders: docs/method.md section 16.1 -------------------------------------------------------------

Autoencoder mnist_mlp(const Shape& shape, std::int64_t latent) {
  return {Sequential(shape, Flatten{}, Linear(784, 400, {.act = kRelu}), Linear(400, latent)),
          Sequential(Shape{latent}, Linear(latent, 400, {.act = kRelu}), Linear(400, 784, {.act = kSigmoid}),
                     Reshape{shape})};
}

Autoencoder svhn_conv(const Shape& shape, std::int64_t latent) {
  return {Sequential(shape, Conv2d(3, 32, 4, 2, 1, {.act = kRelu}), Conv2d(32, 64, 4, 2, 1, {.act = kRelu}),
                     Conv2d(64, 128, 4, 2, 1, {.act = kRelu}), Conv2d(128, latent, 4, 1, 0), Flatten{}),
          Sequential(Shape{latent}, Reshape{{1, 1, latent}},
                     ConvTranspose2d(latent, 128, 4, 1, 0, {.act = kRelu}),
                     ConvTranspose2d(128, 64, 4, 2, 1, {.act = kRelu}),
                     ConvTranspose2d(64, 32, 4, 2, 1, {.act = kRelu}),
                     ConvTranspose2d(32, 3, 4, 2, 1, {.act = kSigmoid}))};
}

Autoencoder mhd_image(const Shape& shape, std::int64_t latent) {
  const nn::ConvOptions swish{.act = kSilu, .bias = false};
  return {
      Sequential(shape, Conv2d(1, 32, 4, 2, 1, swish), Conv2d(32, 64, 4, 2, 1, swish), Flatten{},
                 Linear(3136, 128, {.act = kSilu}), Linear(128, 128, {.act = kSilu}), Linear(128, latent)),
      Sequential(Shape{latent}, Linear(latent, 128, {.act = kSilu}), Linear(128, 128, {.act = kSilu}),
                 Linear(128, 3136, {.act = kSilu}), Reshape{{7, 7, 64}},
                 ConvTranspose2d(64, 32, 4, 2, 1, swish),
                 ConvTranspose2d(32, 1, 4, 2, 1, {.act = kSigmoid, .bias = false}))};
}

Autoencoder mhd_trajectory(const Shape& shape, std::int64_t latent) {
  const auto body = [](const Shape& in) {
    return Sequential(in, Linear(in[0], 512), BatchNorm(512, {.act = kLeaky}), Linear(512, 512),
                      BatchNorm(512, {.act = kLeaky}), Linear(512, 512), BatchNorm(512, {.act = kLeaky}));
  };
  Autoencoder net{body(shape), body(Shape{latent})};
  net.encoder.append(Linear(512, latent));
  net.decoder.append(Linear(512, shape[0], {.act = kSigmoid}));
  return net;
}

Sequential sound_convolutions(const Shape& shape) {
  const nn::ConvOptions plain{.bias = false};
  return Sequential(shape, Conv2d(1, 128, {1, 128}, 1, 0, plain), BatchNorm(128, {.act = kRelu}),
                    Conv2d(128, 128, {4, 1}, {2, 1}, {1, 0}, plain), BatchNorm(128, {.act = kRelu}),
                    Conv2d(128, 256, {4, 1}, {2, 1}, {1, 0}, plain), BatchNorm(256, {.act = kRelu}),
                    Flatten{});
}

Autoencoder mhd_sound(const Shape& shape, std::int64_t latent) {
  const nn::ConvOptions plain{.bias = false};
  Autoencoder net{
      sound_convolutions(shape),
      Sequential(Shape{latent}, Linear(latent, 2048), BatchNorm(2048, {.act = kRelu}), Reshape{{8, 1, 256}},
                 ConvTranspose2d(256, 128, {4, 1}, {2, 1}, {1, 0}, plain), BatchNorm(128, {.act = kRelu}),
                 ConvTranspose2d(128, 128, {4, 1}, {2, 1}, {1, 0}, plain), BatchNorm(128, {.act = kRelu}),
                 ConvTranspose2d(128, 1, {1, 128}, 1, 0, {.act = kSigmoid, .bias = false}))};
  net.encoder.append(Linear(2048, latent));
  return net;
}

// --- autoencoders for users' own data ----------------------------------------------------------------------

// Values are expected in [0,1] or standardised; the output is unbounded.
Autoencoder mlp(const Shape& shape, std::int64_t latent) {
  const std::int64_t size = shape.numel(), width = 512;
  return {Sequential(shape, Flatten{}, Linear(size, width, {.act = kSilu}),
                     Linear(width, width, {.act = kSilu}), Linear(width, latent)),
          Sequential(Shape{latent}, Linear(latent, width, {.act = kSilu}),
                     Linear(width, width, {.act = kSilu}), Linear(width, size), Reshape{shape})};
}

Autoencoder conv(const Shape& shape, std::int64_t latent) {
  const std::int64_t h = shape[0] / 4, w = shape[1] / 4, flat = h * w * 64;
  return {Sequential(shape, Conv2d(shape[2], 32, 4, 2, 1, {.act = kSilu}),
                     Conv2d(32, 64, 4, 2, 1, {.act = kSilu}), Flatten{}, Linear(flat, 256, {.act = kSilu}),
                     Linear(256, latent)),
          Sequential(Shape{latent}, Linear(latent, 256, {.act = kSilu}), Linear(256, flat, {.act = kSilu}),
                     Reshape{{h, w, 64}}, ConvTranspose2d(64, 32, 4, 2, 1, {.act = kSilu}),
                     ConvTranspose2d(32, shape[2], 4, 2, 1))};
}

// --- classifiers: docs/method.md section 16.2 --------------------------------------------------------------

// Order of the paper's code: convolution, channel dropout (second block), pooling, ReLU. ReLU and maximum
// commute, so the ReLU is fused into the convolution; dropout scales by a positive factor or to zero and
// commutes with both.
Sequential digit_convolutions(const Shape& shape) {
  return Sequential(shape, Conv2d(shape[2], 10, 5, 1, 0, {.act = kRelu}), MaxPool2d(2),
                    Conv2d(10, 20, 5, 1, 0, {.act = kRelu}), Dropout(0.5, true), MaxPool2d(2), Flatten{});
}

Classifier digit_classifier(const Shape& shape, std::int64_t classes) {
  Sequential features = digit_convolutions(shape);
  const std::int64_t size = features.output().numel();
  return {std::move(features),
          Sequential(Shape{size}, Linear(size, 50, {.act = kRelu}), Dropout(0.5), Linear(50, classes))};
}

Classifier mhd_image_classifier(const Shape& shape, std::int64_t classes) {
  return {Sequential(shape, Conv2d(1, 16, 5, 1, 0, {.act = kRelu}), Dropout(0.2, true), MaxPool2d(2),
                     Conv2d(16, 32, 5, 1, 0, {.act = kRelu}), Dropout(0.2, true), MaxPool2d(2), Flatten{},
                     Linear(512, 128)),
          Sequential(Shape{128}, Dropout(0.2), Linear(128, 64), Dropout(0.2), Linear(64, classes))};
}

Classifier mhd_trajectory_classifier(const Shape& shape, std::int64_t classes) {
  return {Sequential(shape, Linear(200, 512), BatchNorm(512, {.act = kLeaky}), Linear(512, 512),
                     BatchNorm(512, {.act = kLeaky}), Linear(512, 128), BatchNorm(128, {.act = kLeaky})),
          Sequential(Shape{128}, Linear(128, classes))};
}

Classifier mhd_sound_classifier(const Shape& shape, std::int64_t classes) {
  Sequential features = sound_convolutions(shape);
  features.append(Linear(2048, 128));
  features.append(BatchNorm(128, {.act = kLeaky}));
  return {std::move(features),
          Sequential(Shape{128}, Linear(128, 64), BatchNorm(64, {.act = kLeaky}), Linear(64, classes))};
}

Classifier mlp_classifier(const Shape& shape, std::int64_t classes) {
  const std::int64_t size = shape.numel();
  return {Sequential(shape, Flatten{}, Linear(size, 256, {.act = kRelu}), Dropout(0.2),
                     Linear(256, 128, {.act = kRelu})),
          Sequential(Shape{128}, Dropout(0.2), Linear(128, classes))};
}

Classifier conv_classifier(const Shape& shape, std::int64_t classes) {
  const std::int64_t flat = shape[0] / 4 * (shape[1] / 4) * 32;
  return {Sequential(shape, Conv2d(shape[2], 16, 4, 2, 1, {.act = kRelu}), Dropout(0.2, true),
                     Conv2d(16, 32, 4, 2, 1, {.act = kRelu}), Dropout(0.2, true), Flatten{},
                     Linear(flat, 128, {.act = kRelu})),
          Sequential(Shape{128}, Dropout(0.2), Linear(128, classes))};
}

// --- which network takes which sample ----------------------------------------------------------------------

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
  Autoencoder net = mlp(Shape{positions, categories}, latent);
  net.decoder.append(nn::Softmax{});
  return net;
}

Classifier make_categorical_classifier(std::int64_t positions, std::int64_t categories,
                                       std::int64_t classes) {
  return mlp_classifier(Shape{positions, categories}, classes);
}

Shape network_shape(const Shape& stored) {
  return stored.rank() == 2 ? Shape{stored[0], stored[1], 1} : stored;
}

Autoencoder make_autoencoder(AutoencoderKind kind, const Shape& stored, std::int64_t latent) {
  const Shape shape = network_shape(stored);
  switch (kind) {
    case AutoencoderKind::mlp:
      return mlp(shape, latent);
    case AutoencoderKind::conv:
      check_quarters("conv", shape);
      return conv(shape, latent);
    case AutoencoderKind::mnist_mlp:
      check_shape("mnist_mlp", shape, kMnist);
      return mnist_mlp(shape, latent);
    case AutoencoderKind::svhn_conv:
      check_shape("svhn_conv", shape, kSvhn);
      return svhn_conv(shape, latent);
    case AutoencoderKind::mhd_image:
      check_shape("mhd_image", shape, kMnist);
      return mhd_image(shape, latent);
    case AutoencoderKind::mhd_sound:
      check_shape("mhd_sound", shape, kSound);
      return mhd_sound(shape, latent);
    case AutoencoderKind::mhd_trajectory:
      check_shape("mhd_trajectory", shape, kTrajectory);
      return mhd_trajectory(shape, latent);
  }
  fail(ErrorKind::internal, "networks: unknown autoencoder");
}

Classifier make_classifier(ClassifierKind kind, const Shape& stored, std::int64_t classes) {
  const Shape shape = network_shape(stored);
  switch (kind) {
    case ClassifierKind::none:
      break;
    case ClassifierKind::mlp:
      return mlp_classifier(shape, classes);
    case ClassifierKind::conv:
      check_quarters("conv", shape);
      return conv_classifier(shape, classes);
    case ClassifierKind::mnist:
      check_shape("mnist", shape, kMnist);
      return digit_classifier(shape, classes);
    case ClassifierKind::svhn:
      check_shape("svhn", shape, kSvhn);
      return digit_classifier(shape, classes);
    case ClassifierKind::mhd_image:
      check_shape("mhd_image", shape, kMnist);
      return mhd_image_classifier(shape, classes);
    case ClassifierKind::mhd_sound:
      check_shape("mhd_sound", shape, kSound);
      return mhd_sound_classifier(shape, classes);
    case ClassifierKind::mhd_trajectory:
      check_shape("mhd_trajectory", shape, kTrajectory);
      return mhd_trajectory_classifier(shape, classes);
  }
  fail(ErrorKind::internal, "networks: no such classifier");
}

}  // namespace mld
