// For users' own data.
#include <algorithm>
#include <vector>

#include "mld/modality/networks/network_parts.h"

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

constexpr std::int64_t kMlpWidth = 512, kChannels = 32, kMostDoublings = 3, kHidden = 256, kEmbedded = 64;

// What halves a map, and what keeps its sides; series are maps of height 1.
struct Kernels {
  nn::Size2 halving, halving_stride, halving_padding, keeping, keeping_padding;
};
constexpr Kernels kMaps{4, 2, 1, 3, 1}, kSeries{{1, 4}, {1, 2}, {0, 1}, {1, 3}, {0, 1}};

// relu(x + f(x)), He et al. (2016)
void append_residual_block(Sequential& net, const Kernels& k) {
  const nn::ConvOptions plain{.bias = false};
  const std::int64_t channels = net.output()[2];
  const auto keeping = [&] { return Conv2d(channels, channels, k.keeping, 1, k.keeping_padding, plain); };
  net.append(Residual(Sequential(net.output(), keeping(), BatchNorm(channels, {.act = kRelu}), keeping(),
                                 BatchNorm(channels)),
                      Sequential(net.output())));
  net.append(nn::Activate{kRelu});
}

// Behind the layers of `encoder`, which end in a map, and of `decoder`, which end in a vector.
void append_levels(Sequential& encoder, Sequential& decoder, std::int64_t latent, std::int64_t codes,
                   const LayersConfig& layers, const Kernels& k) {
  std::vector<Shape> maps{encoder.output()};
  const std::int64_t width = layers.width > 0 ? layers.width : kChannels;
  for (std::int64_t level = 0; level < layers.depth; ++level) {
    const std::int64_t channels = width << std::min(level, kMostDoublings);
    encoder.append(
        Conv2d(maps.back()[2], channels, k.halving, k.halving_stride, k.halving_padding, {.act = kSilu}));
    for (std::int64_t block = 0; block < layers.blocks; ++block) append_residual_block(encoder, k);
    maps.push_back(encoder.output());
  }
  const Shape innermost = maps.back();
  encoder.append(Flatten{});
  encoder.append(Linear(innermost.numel(), kHidden, {.act = kSilu}));
  encoder.append(Linear(kHidden, codes));

  decoder.append(Linear(latent, kHidden, {.act = kSilu}));
  decoder.append(Linear(kHidden, innermost.numel(), {.act = kSilu}));
  decoder.append(Reshape{innermost});
  for (auto level = maps.size() - 1; level > 0; --level) {
    for (std::int64_t block = 0; block < layers.blocks; ++block) append_residual_block(decoder, k);
    const Shape &from = maps[level], &to = maps[level - 1];
    const auto odd = [&](int axis, std::int64_t stride) { return to[axis] - stride * from[axis]; };
    decoder.append(ConvTranspose2d(
        from[2], to[2], k.halving, k.halving_stride, k.halving_padding,
        {.act = level > 1 ? kSilu : Activation{},
         .output_padding = {odd(0, k.halving_stride.height), odd(1, k.halving_stride.width)}}));
  }
}

Classifier residual_levels(Sequential features, const Kernels& k, std::int64_t classes) {
  for (const std::int64_t channels : {32, 64, 128}) {
    features.append(Conv2d(features.output()[2], channels, k.keeping, k.halving_stride, k.keeping_padding,
                           {.bias = false}));
    features.append(BatchNorm(channels, {.act = kRelu}));
    append_residual_block(features, k);
  }
  features.append(AvgPool2d({features.output()[0], features.output()[1]}, 1));
  features.append(Flatten{});
  return {std::move(features), Sequential(Shape{128}, Dropout(0.2), Linear(128, classes))};
}

// A series, or a vector as a series of one channel.
Sequential as_series(const Shape& shape) {
  Sequential net(shape);
  if (shape.rank() == 1) net.append(Reshape{{1, shape[0], 1}});
  return net;
}

// Layers of one width behind those of `encoder`, which end in a vector, and from latents to a sample of this shape.
Autoencoder dense(Sequential encoder, const Shape& sample, std::int64_t latent, std::int64_t codes,
                  const LayersConfig& layers) {
  const std::int64_t width = layers.width > 0 ? layers.width : kMlpWidth;
  const auto append_hidden = [&](Sequential& net) {
    for (std::int64_t layer = 0; layer < layers.depth; ++layer)
      net.append(Linear(net.output().numel(), width, {.act = kSilu}));
  };
  Autoencoder net{std::move(encoder), Sequential(Shape{latent})};
  append_hidden(net.encoder);
  net.encoder.append(Linear(width, codes));
  append_hidden(net.decoder);
  net.decoder.append(Linear(width, sample.numel()));
  net.decoder.append(Reshape{sample});
  return net;
}

}  // namespace

Autoencoder mlp(const Shape& shape, std::int64_t latent, std::int64_t codes, const LayersConfig& layers) {
  return dense(Sequential(shape, Flatten{}), shape, latent, codes, layers);
}

// One table of vectors and one last layer for all positions: they do not grow with the length.
Autoencoder tokens(const Shape& one_hot, std::int64_t latent, std::int64_t codes,
                   const LayersConfig& layers) {
  const std::int64_t positions = one_hot[0], categories = one_hot[1];
  Autoencoder net = dense(Sequential(Shape{positions}, nn::Embedding(categories, kEmbedded), Flatten{}),
                          Shape{positions, kEmbedded}, latent, codes, layers);
  net.decoder.append(Linear(kEmbedded, categories));
  return net;
}

Autoencoder conv(const Shape& shape, std::int64_t latent, std::int64_t codes, const LayersConfig& layers) {
  Autoencoder net{Sequential(shape), Sequential(Shape{latent})};
  append_levels(net.encoder, net.decoder, latent, codes, layers, kMaps);
  return net;
}

Autoencoder series(const Shape& shape, std::int64_t latent, std::int64_t codes, const LayersConfig& layers) {
  Autoencoder net{as_series(shape), Sequential(Shape{latent})};
  append_levels(net.encoder, net.decoder, latent, codes, layers, kSeries);
  if (shape.rank() == 1) net.decoder.append(Reshape{shape});
  return net;
}

Classifier mlp_classifier(const Shape& shape, std::int64_t classes) {
  const std::int64_t size = shape.numel();
  return {Sequential(shape, Flatten{}, Linear(size, 256, {.act = kRelu}), Dropout(0.2),
                     Linear(256, 128, {.act = kRelu})),
          Sequential(Shape{128}, Dropout(0.2), Linear(128, classes))};
}

Classifier conv_classifier(const Shape& shape, std::int64_t classes) {
  Sequential features(shape, Conv2d(shape[2], 16, 4, 2, 1, {.act = kRelu}), Dropout(0.2, true),
                      Conv2d(16, 32, 4, 2, 1, {.act = kRelu}), Dropout(0.2, true), Flatten{});
  features.append(Linear(features.output().numel(), 128, {.act = kRelu}));
  return {std::move(features), Sequential(Shape{128}, Dropout(0.2), Linear(128, classes))};
}

Classifier residual_classifier(const Shape& shape, std::int64_t classes) {
  return residual_levels(Sequential(shape), kMaps, classes);
}

Classifier series_classifier(const Shape& shape, std::int64_t classes) {
  return residual_levels(as_series(shape), kSeries, classes);
}

}  // namespace mld::networks
