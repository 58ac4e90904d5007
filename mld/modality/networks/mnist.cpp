// The benchmarks made of MNIST: MNIST-SVHN and PolyMNIST, whose modalities all have the same networks.
#include "mld/modality/networks/network_parts.h"

namespace mld::networks {

using nn::Conv2d;
using nn::ConvTranspose2d;
using nn::Dropout;
using nn::Flatten;
using nn::kRelu;
using nn::kSigmoid;
using nn::Linear;
using nn::MaxPool2d;
using nn::Reshape;
using nn::Sequential;

namespace {

// Order of the paper's code: convolution, channel dropout (second block), pooling, ReLU. ReLU and maximum
// commute, so the ReLU is fused into the convolution; dropout scales by a positive factor or to zero and
// commutes with both.
Sequential digit_convolutions(const Shape& shape) {
  return Sequential(shape, Conv2d(shape[2], 10, 5, 1, 0, {.act = kRelu}), MaxPool2d(2),
                    Conv2d(10, 20, 5, 1, 0, {.act = kRelu}), Dropout(0.5, true), MaxPool2d(2), Flatten{});
}

}  // namespace

Autoencoder mnist_mlp(const Shape& shape, std::int64_t latent, std::int64_t codes) {
  return {Sequential(shape, Flatten{}, Linear(784, 400, {.act = kRelu}), Linear(400, codes)),
          Sequential(Shape{latent}, Linear(latent, 400, {.act = kRelu}), Linear(400, 784, {.act = kSigmoid}),
                     Reshape{shape})};
}

Autoencoder svhn_conv(const Shape& shape, std::int64_t latent, std::int64_t codes) {
  return {Sequential(shape, Conv2d(3, 32, 4, 2, 1, {.act = kRelu}), Conv2d(32, 64, 4, 2, 1, {.act = kRelu}),
                     Conv2d(64, 128, 4, 2, 1, {.act = kRelu}), Conv2d(128, codes, 4, 1, 0), Flatten{}),
          Sequential(Shape{latent}, Reshape{{1, 1, latent}},
                     ConvTranspose2d(latent, 128, 4, 1, 0, {.act = kRelu}),
                     ConvTranspose2d(128, 64, 4, 2, 1, {.act = kRelu}),
                     ConvTranspose2d(64, 32, 4, 2, 1, {.act = kRelu}),
                     ConvTranspose2d(32, 3, 4, 2, 1, {.act = kSigmoid}))};
}

Classifier digit_classifier(const Shape& shape, std::int64_t classes) {
  Sequential features = digit_convolutions(shape);
  const std::int64_t size = features.output().numel();
  return {std::move(features),
          Sequential(Shape{size}, Linear(size, 50, {.act = kRelu}), Dropout(0.5), Linear(50, classes))};
}

Autoencoder polymnist(const Shape& shape, std::int64_t latent, std::int64_t codes) {
  return {Sequential(shape, Conv2d(3, 32, 3, 2, 1, {.act = kRelu}), Conv2d(32, 64, 3, 2, 1, {.act = kRelu}),
                     Conv2d(64, 128, 3, 2, 1, {.act = kRelu}), Flatten{},
                     Linear(2048, latent, {.act = kRelu}), Linear(latent, codes)),
          Sequential(Shape{latent}, Linear(latent, 2048, {.act = kRelu}), Reshape{{4, 4, 128}},
                     ConvTranspose2d(128, 64, 3, 2, 1, {.act = kRelu}),
                     ConvTranspose2d(64, 32, 3, 2, 1, {.act = kRelu, .output_padding = 1}),
                     ConvTranspose2d(32, 3, 3, 2, 1, {.output_padding = 1}))};
}

// ReLU and dropout commute, as above.
Classifier polymnist_classifier(const Shape& shape, std::int64_t classes) {
  return {Sequential(shape, Conv2d(3, 10, 4, 2, 1, {.act = kRelu}), Dropout(0.5, true),
                     Conv2d(10, 20, 4, 2, 1, {.act = kRelu}), Dropout(0.5, true), Flatten{},
                     Linear(980, 128, {.act = kRelu})),
          Sequential(Shape{128}, Dropout(0.5), Linear(128, classes))};
}

}  // namespace mld::networks
