// PolyMNIST, whose modalities all have the same networks.
#include "mld/modality/network_parts.h"

namespace mld::networks {

using nn::Conv2d;
using nn::ConvTranspose2d;
using nn::Dropout;
using nn::Flatten;
using nn::kRelu;
using nn::Linear;
using nn::Reshape;
using nn::Sequential;

Autoencoder polymnist(const Shape& shape, std::int64_t latent) {
  return {Sequential(shape, Conv2d(3, 32, 3, 2, 1, {.act = kRelu}), Conv2d(32, 64, 3, 2, 1, {.act = kRelu}),
                     Conv2d(64, 128, 3, 2, 1, {.act = kRelu}), Flatten{},
                     Linear(2048, latent, {.act = kRelu}), Linear(latent, latent)),
          Sequential(Shape{latent}, Linear(latent, 2048, {.act = kRelu}), Reshape{{4, 4, 128}},
                     ConvTranspose2d(128, 64, 3, 2, 1, {.act = kRelu}),
                     ConvTranspose2d(64, 32, 3, 2, 1, {.act = kRelu, .output_padding = 1}),
                     ConvTranspose2d(32, 3, 3, 2, 1, {.output_padding = 1}))};
}

// ReLU and dropout commute, as in the digit classifiers of MNIST-SVHN.
Classifier polymnist_classifier(const Shape& shape, std::int64_t classes) {
  return {Sequential(shape, Conv2d(3, 10, 4, 2, 1, {.act = kRelu}), Dropout(0.5, true),
                     Conv2d(10, 20, 4, 2, 1, {.act = kRelu}), Dropout(0.5, true), Flatten{},
                     Linear(980, 128, {.act = kRelu})),
          Sequential(Shape{128}, Dropout(0.5), Linear(128, classes))};
}

}  // namespace mld::networks
