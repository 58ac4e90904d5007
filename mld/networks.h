// The autoencoders and classifiers of the benchmarks, layer by layer as the paper's code has them, and
// generic ones for users' own data. Inputs are channels-last samples: images [H,W,C], spectrograms
// [frames,mel,1], vectors [C].
#pragma once

#include "engine/core/tape.h"
#include "mld/kinds.h"
#include "nn/sequential.h"

namespace mld {

// Encoder x -> z [B,latent] and decoder z -> x^, trained together, alone (method.md section 2).
struct Autoencoder {
  nn::Sequential encoder, decoder;

  Var encode(const Var& x, const nn::Context& context = {}) const { return encoder(x, context); }
  Var decode(const Var& z, const nn::Context& context = {}) const { return decoder(z, context); }
  void visit(nn::Visitor& v) {
    v("encoder", encoder);
    v("decoder", decoder);
  }
};

// Classifier for coherence. `features` ends where the Frechet modality distance reads (metrics.md
// section 2.1).
struct Classifier {
  nn::Sequential features, head;

  Var operator()(const Var& x, const nn::Context& context = {}) const {
    return head(features(x, context), context);
  }
  void visit(nn::Visitor& v) {
    v("features", features);
    v("head", head);
  }
};

// `shape`: of a sample in the store, [H,W,C], [frames,mel] or [C]. Throws ErrorKind::usage if the network
// does not take that shape; mlp takes any, conv maps with sides divisible by 4.
Autoencoder make_autoencoder(AutoencoderKind kind, const Shape& shape, std::int64_t latent);
Classifier make_classifier(ClassifierKind kind, const Shape& shape, std::int64_t classes);  // not for `none`

// For discrete data: one-hot samples [positions, categories] in, probabilities out.
Autoencoder make_categorical_autoencoder(std::int64_t positions, std::int64_t categories,
                                         std::int64_t latent);
Classifier make_categorical_classifier(std::int64_t positions, std::int64_t categories, std::int64_t classes);

// Shape the networks see: spectrograms [frames,mel] get a channel axis.
Shape network_shape(const Shape& stored);

}  // namespace mld
