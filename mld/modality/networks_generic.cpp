// For users' own data.
#include "mld/modality/network_parts.h"

namespace mld::networks {

using nn::AvgPool2d;
using nn::BatchNorm;
using nn::Conv2d;
using nn::ConvTranspose2d;
using nn::Dropout;
using nn::Flatten;
using nn::kRelu;
using nn::kSilu;
using nn::Linear;
using nn::Reshape;
using nn::Residual;
using nn::Sequential;

namespace {

// relu(x + f(x)), He et al. (2016)
void append_residual_block(Sequential& net, std::int64_t channels) {
  const nn::ConvOptions plain{.bias = false};
  net.append(Residual(Sequential(net.output(), Conv2d(channels, channels, 3, 1, 1, plain),
                                 BatchNorm(channels, {.act = kRelu}),
                                 Conv2d(channels, channels, 3, 1, 1, plain), BatchNorm(channels)),
                      Sequential(net.output())));
  net.append(nn::Activate{kRelu});
}

}  // namespace

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

Classifier residual_classifier(const Shape& shape, std::int64_t classes) {
  Sequential features(shape);
  for (const std::int64_t channels : {32, 64, 128}) {
    features.append(Conv2d(features.output()[2], channels, 3, 2, 1, {.bias = false}));
    features.append(BatchNorm(channels, {.act = kRelu}));
    append_residual_block(features, channels);
  }
  features.append(AvgPool2d({features.output()[0], features.output()[1]}, 1));
  features.append(Flatten{});
  return {std::move(features), Sequential(Shape{128}, Dropout(0.2), Linear(128, classes))};
}

}  // namespace mld::networks
