// CUB.
#include <algorithm>
#include <utility>

#include "mld/modality/networks/network_parts.h"

namespace mld::networks {

using nn::Activate;
using nn::AvgPool2d;
using nn::BatchNorm;
using nn::Conv2d;
using nn::ConvTranspose2d;
using nn::Dropout;
using nn::Flatten;
using nn::kRelu;
using nn::Linear;
using nn::Reshape;
using nn::Residual;
using nn::Sequential;
using nn::Upsample;

namespace {

const Activation kLeaky = nn::leaky_relu(0.2);

// S(x) + 0.1 C1(lrelu(C0(lrelu(x)))), where S is the identity or a convolution that changes the channels
void append_block(Sequential& net, std::int64_t to) {
  const std::int64_t from = net.output()[2], least = std::min(from, to);
  Sequential shortcut(net.output());
  if (from != to) shortcut.append(Conv2d(from, to, 1, 1, 0, {.bias = false}));
  net.append(Residual(Sequential(net.output(), Activate{kLeaky},
                                 Conv2d(from, least, 3, 1, 1, {.act = kLeaky}), Conv2d(least, to, 3, 1, 1)),
                      std::move(shortcut), 0.1));
}

// What changes the length of a caption's map, [1,length,channels], by 2, with another number of channels.
constexpr nn::Size2 kKernel{1, 4}, kStride{1, 2}, kPadding{0, 1};

// 2 S(x) + 0.3 F(x); Convolution: Conv2d to halve, ConvTranspose2d to double.
template <class Convolution>
void append_caption_block(Sequential& net, std::int64_t to) {
  const std::int64_t from = net.output()[2];
  net.append(Residual(
      Sequential(net.output(), BatchNorm(from, {.act = kRelu}), Convolution(from, from, 1), Dropout(0.5),
                 BatchNorm(from, {.act = kRelu}), Convolution(from, to, kKernel, kStride, kPadding),
                 Dropout(0.5)),
      Sequential(net.output(), Convolution(from, to, kKernel, kStride, kPadding), BatchNorm(to)), 0.3, 2));
}

}  // namespace

Autoencoder cub_image(const Shape& shape, std::int64_t latent, std::int64_t codes) {
  Sequential encoder(shape, Conv2d(3, 64, 3, 1, 1));
  append_block(encoder, 64);
  for (const std::int64_t channels : {128, 256}) {
    encoder.append(AvgPool2d(3, 2, 1));
    append_block(encoder, channels);
  }
  const Shape innermost = encoder.output();
  encoder.append(Activate{kLeaky});
  encoder.append(Flatten{});
  encoder.append(Linear(innermost.numel(), codes));

  Sequential decoder(Shape{latent}, Linear(latent, innermost.numel()), Reshape{innermost});
  for (const std::int64_t channels : {128, 64}) {
    append_block(decoder, channels);
    decoder.append(Upsample{2});
  }
  append_block(decoder, 64);
  decoder.append(Activate{kLeaky});
  decoder.append(Conv2d(64, 3, 3, 1, 1));
  return {std::move(encoder), std::move(decoder)};
}

Autoencoder cub_caption(const Shape& shape, std::int64_t latent, std::int64_t codes) {
  const std::int64_t positions = shape[0], categories = shape[1];
  Sequential encoder(shape, Reshape{{1, positions, categories}},
                     Conv2d(categories, 32, kKernel, kStride, kPadding));
  for (const std::int64_t channels : {64, 96, 128, 160}) append_caption_block<Conv2d>(encoder, channels);
  const Shape innermost = encoder.output();
  encoder.append(Activate{kRelu});
  encoder.append(Flatten{});
  encoder.append(Linear(innermost.numel(), codes));

  Sequential decoder(Shape{latent}, Linear(latent, innermost.numel()), Reshape{innermost});
  for (const std::int64_t channels : {128, 96, 64, 32})
    append_caption_block<ConvTranspose2d>(decoder, channels);
  decoder.append(ConvTranspose2d(32, categories, kKernel, kStride, kPadding));
  decoder.append(Reshape{shape});
  return {std::move(encoder), std::move(decoder)};
}

}  // namespace mld::networks
