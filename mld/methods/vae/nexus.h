// NEXUS (Vasco et al. 2022): a VAE of each modality, and above them one of their latents.
// docs/method.md section 20.3.
#pragma once

#include <cstdint>
#include <vector>

#include "mld/config/config.h"
#include "mld/methods/vae/objective.h"
#include "nn/sequential.h"

namespace mld::vae {

// The networks above: latents of the modalities become messages, their average a latent of all, and that one the
// latents again.
class UpperLevel {
 public:
  UpperLevel(const VaeConfig& config, const std::vector<std::int64_t>& latents);

  Var message(int i, const Var& z, const nn::Context& context = {}) const {  // [B,D_i] -> [B,message]
    return messages_[static_cast<std::size_t>(i)](z, context);
  }
  Gaussian posterior(const Var& average, const nn::Context& context = {}) const {  // [B,message]
    return from_heads(encoder_(average, context));
  }
  Var latent(int i, const Var& h, const nn::Context& context = {}) const {  // [B,nexus_latent] -> [B,D_i]
    return decoders_[static_cast<std::size_t>(i)](h, context);
  }
  void visit(nn::Visitor& v) {
    v("messages", messages_);
    v("encoder", encoder_);
    v("decoders", decoders_);
  }

 private:
  std::vector<nn::Linear> messages_;
  nn::Sequential encoder_;
  std::vector<nn::Sequential> decoders_;
};

struct NexusObjective {
  double beta = 1;                  // weight of the upper divergence
  std::vector<Tensor> told;         // of each modality a column [B,1]: what its message counts in the average
  std::vector<LatentScale> scales;  // of each modality's distance between its latent and that from above
  std::vector<double> upper;        // weights of these distances, times the batch's
  Tensor warm_up;                   // [1], factor of all divergences
};

// What is minimised, [1]. The weights of the batch are of the reconstructions at both levels; noise number m is of
// modality m's latent, the one behind them of the upper.
Var nexus_loss(const UpperLevel& upper, const NexusObjective& objective, const Encoded& batch,
               const nn::Context& context);

}  // namespace mld::vae
