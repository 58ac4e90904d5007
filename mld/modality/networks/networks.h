// The autoencoders and classifiers of the benchmarks, layer by layer as the paper's code has them, and
// generic ones for users' own data (docs/method.md section 16). Inputs are channels-last samples: images
// [H,W,C], spectrograms [frames,mel,1], series [1,length,C], vectors [C].
#pragma once

#include <optional>

#include "engine/core/tape.h"
#include "mld/config/config.h"
#include "mld/modality/networks/scaling.h"
#include "nn/sequential.h"

namespace mld {

// As a network takes a batch: numbers i32 [B,n] one-hot where its input is [n,K], all else as it is.
Var network_input(const nn::Sequential& network, const Var& x);

// Encoder x -> z [B,latent] and decoder z -> x^ of one modality (docs/method.md section 2). Both work in the
// units of `scaling`, absent where these are the data's; encode and decode take and give the data's. Discrete data are
// numbers i32 [B,n]; the decoder gives probabilities [B,n,K] of them, decode() the most likely.
struct Autoencoder {
  nn::Sequential encoder, decoder;
  std::optional<Scaling> scaling = {};
  bool discrete = false;

  Var encode_scaled(const Var& u, const nn::Context& context = {}) const {
    return encoder(network_input(encoder, u), context);
  }
  Var encode(const Var& x) const { return encode_scaled(scaled(scaling, x)); }
  Var decode(const Var& z) const;
  void visit(nn::Visitor& v) {
    v("encoder", encoder);
    v("decoder", decoder);
    v("scaling", scaling);
  }
};

// Classifier for coherence. Takes the data's units. `features` ends where the Frechet modality distance reads
// (docs/method.md section 18.2).
struct Classifier {
  nn::Sequential features, head;
  std::optional<Scaling> scaling = {};

  Var inner(const Var& x, const nn::Context& context = {}) const {
    return features(network_input(features, scaled(scaling, x)), context);
  }
  Var operator()(const Var& x, const nn::Context& context = {}) const {
    return head(inner(x, context), context);
  }
  void visit(nn::Visitor& v) {
    v("features", features);
    v("head", head);
    v("scaling", scaling);
  }
};

// `shape`: as the networks see a sample. Throws ErrorKind::usage if the network does not take that shape or has no
// layers to size; mlp takes any shape, conv maps, series those of height 1 and vectors, whose sides can be halved
// layers.depth times. `heads`: how many numbers the encoder gives for each latent one, one head behind the other: of a
// VAE 2, means and log variances.
Autoencoder make_autoencoder(AutoencoderKind kind, const Shape& shape, std::int64_t latent,
                             const LayersConfig& layers = {}, int heads = 1);
// `scores`: how many the last layer has. Not for `none` and `phrases`.
Classifier make_classifier(ClassifierKind kind, const Shape& shape, std::int64_t scores);

// For discrete data, mlp, tokens or cub_caption: numbers [positions] in, probabilities [positions, categories] out.
Autoencoder make_categorical_autoencoder(AutoencoderKind kind, std::int64_t positions,
                                         std::int64_t categories, std::int64_t latent,
                                         const LayersConfig& layers = {}, int heads = 1);
Classifier make_categorical_classifier(std::int64_t positions, std::int64_t categories, std::int64_t scores);

}  // namespace mld
