// The networks behind networks.h, one file for each benchmark (docs/method.md section 16 has their layers) and one
// of those that fit any data. They take the shape that networks see and do not check it; `codes` is how many numbers the encoder ends with. Internal to this room.
#pragma once

#include "mld/modality/networks/networks.h"

namespace mld::networks {

// generic.cpp. Autoencoders expect values in [0,1] or standardised; their outputs are unbounded. Of discrete data, whose
// shape is given as [positions, categories], the last layer, Softmax, is left out; tokens takes numbers [positions].
Autoencoder mlp(const Shape& shape, std::int64_t latent, std::int64_t codes, const LayersConfig& layers);
Autoencoder conv(const Shape& shape, std::int64_t latent, std::int64_t codes, const LayersConfig& layers);
Autoencoder tokens(const Shape& one_hot, std::int64_t latent, std::int64_t codes, const LayersConfig& layers);
Autoencoder series(const Shape& shape, std::int64_t latent, std::int64_t codes, const LayersConfig& layers);
Classifier mlp_classifier(const Shape& shape, std::int64_t classes);
Classifier conv_classifier(const Shape& shape, std::int64_t classes);
Classifier residual_classifier(const Shape& shape, std::int64_t classes);
Classifier series_classifier(const Shape& shape, std::int64_t classes);

// mnist.cpp
Autoencoder mnist_mlp(const Shape& shape, std::int64_t latent, std::int64_t codes);
Autoencoder svhn_conv(const Shape& shape, std::int64_t latent, std::int64_t codes);
Classifier digit_classifier(const Shape& shape, std::int64_t classes);
Autoencoder polymnist(const Shape& shape, std::int64_t latent, std::int64_t codes);
Classifier polymnist_classifier(const Shape& shape, std::int64_t classes);

// mhd.cpp
Autoencoder mhd_image(const Shape& shape, std::int64_t latent, std::int64_t codes);
Autoencoder mhd_trajectory(const Shape& shape, std::int64_t latent, std::int64_t codes);
Autoencoder mhd_sound(const Shape& shape, std::int64_t latent, std::int64_t codes);
Classifier mhd_image_classifier(const Shape& shape, std::int64_t classes);
Classifier mhd_trajectory_classifier(const Shape& shape, std::int64_t classes);
Classifier mhd_sound_classifier(const Shape& shape, std::int64_t classes);

// cub.cpp. Captions are one-hot [positions, categories]; the last layer, Softmax, is left out.
Autoencoder cub_image(const Shape& shape, std::int64_t latent, std::int64_t codes);
Autoencoder cub_caption(const Shape& shape, std::int64_t latent, std::int64_t codes);

}  // namespace mld::networks
