// MHD.
#include "mld/modality/networks/network_parts.h"

namespace mld::networks {

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

namespace {

const Activation kLeaky = nn::leaky_relu(0.01);

Sequential sound_convolutions(const Shape& shape) {
  const nn::ConvOptions plain{.bias = false};
  return Sequential(shape, Conv2d(1, 128, {1, 128}, 1, 0, plain), BatchNorm(128, {.act = kRelu}),
                    Conv2d(128, 128, {4, 1}, {2, 1}, {1, 0}, plain), BatchNorm(128, {.act = kRelu}),
                    Conv2d(128, 256, {4, 1}, {2, 1}, {1, 0}, plain), BatchNorm(256, {.act = kRelu}),
                    Flatten{});
}

}  // namespace

Autoencoder mhd_image(const Shape& shape, std::int64_t latent, std::int64_t codes) {
  const nn::ConvOptions swish{.act = kSilu, .bias = false};
  return {Sequential(shape, Conv2d(1, 32, 4, 2, 1, swish), Conv2d(32, 64, 4, 2, 1, swish), Flatten{},
                     Linear(3136, 128, {.act = kSilu}), Linear(128, 128, {.act = kSilu}), Linear(128, codes)),
          Sequential(Shape{latent}, Linear(latent, 128, {.act = kSilu}), Linear(128, 128, {.act = kSilu}),
                     Linear(128, 3136, {.act = kSilu}), Reshape{{7, 7, 64}},
                     ConvTranspose2d(64, 32, 4, 2, 1, swish),
                     ConvTranspose2d(32, 1, 4, 2, 1, {.act = kSigmoid, .bias = false}))};
}

Autoencoder mhd_trajectory(const Shape& shape, std::int64_t latent, std::int64_t codes) {
  const auto body = [](const Shape& in) {
    return Sequential(in, Linear(in[0], 512), BatchNorm(512, {.act = kLeaky}), Linear(512, 512),
                      BatchNorm(512, {.act = kLeaky}), Linear(512, 512), BatchNorm(512, {.act = kLeaky}));
  };
  Autoencoder net{body(shape), body(Shape{latent})};
  net.encoder.append(Linear(512, codes));
  net.decoder.append(Linear(512, shape[0], {.act = kSigmoid}));
  return net;
}

Autoencoder mhd_sound(const Shape& shape, std::int64_t latent, std::int64_t codes) {
  const nn::ConvOptions plain{.bias = false};
  Autoencoder net{
      sound_convolutions(shape),
      Sequential(Shape{latent}, Linear(latent, 2048), BatchNorm(2048, {.act = kRelu}), Reshape{{8, 1, 256}},
                 ConvTranspose2d(256, 128, {4, 1}, {2, 1}, {1, 0}, plain), BatchNorm(128, {.act = kRelu}),
                 ConvTranspose2d(128, 128, {4, 1}, {2, 1}, {1, 0}, plain), BatchNorm(128, {.act = kRelu}),
                 ConvTranspose2d(128, 1, {1, 128}, 1, 0, {.act = kSigmoid, .bias = false}))};
  net.encoder.append(Linear(2048, codes));
  return net;
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

}  // namespace mld::networks
