// For users' own data.
#include "mld/modality/network_parts.h"

namespace mld::networks {

using nn::Conv2d;
using nn::ConvTranspose2d;
using nn::Dropout;
using nn::Flatten;
using nn::kRelu;
using nn::kSilu;
using nn::Linear;
using nn::Reshape;
using nn::Sequential;

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

}  // namespace mld::networks
