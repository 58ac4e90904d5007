// The networks of a VAE: of each modality the encoder and decoder of its configuration, the encoder with two heads, means and
// log variances; NEXUS has networks above them (docs/method.md section 20.3).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "mld/methods/vae/nexus.h"
#include "mld/modality/autoencoders.h"

namespace mld::vae {

struct VaeModel {
  std::vector<std::string> names;  // of the modalities
  std::vector<Autoencoder> views;
  std::optional<UpperLevel> upper;  // nexus

  // ErrorKind::usage if a network does not fit its data.
  VaeModel(const Config& config, const std::vector<data::Modality>& infos);

  // Of values x as networks take them, in the data's units; and the inverse.
  Gaussian encode(int i, const Var& x) const {
    return from_heads(views[static_cast<std::size_t>(i)].encode(x));
  }
  // Of draws of the shared latent those of the modality's own.
  Var latent(int i, const Var& shared) const { return upper ? upper->latent(i, shared) : shared; }
  Var decode(int i, const Var& z) const { return views[static_cast<std::size_t>(i)].decode(z); }

  void visit(nn::Visitor& v) {
    for (std::size_t i = 0; i < views.size(); ++i) v(names[i], views[i]);
    v("upper level", upper);
  }
};

// The size of a modality's latent: that of all, or its own in NEXUS.
std::int64_t latent_of(const Config& config, std::size_t i);

}  // namespace mld::vae
