// Diagonal Gaussians over a latent space and what multimodal VAEs make of them: products, mixtures, divergences
// (docs/method.md section 20.1). All is differentiable in means and log variances; either float.
#pragma once

#include <cstdint>
#include <span>

#include "engine/core/tape.h"

namespace mld::vae {

// One for each row of a batch.
struct Gaussian {
  Var mean, log_var;  // [B,L]
};

Gaussian from_heads(const Var& heads);  // [B,2L]: means, then log variances

// The product of the densities, normalised: precisions add up. With `prior` N(0,I) is one of the factors. One factor
// alone is itself. `there`, if any, of each factor [B,1]: 0 where a row has it not; each has one, or the prior.
Gaussian product(std::span<const Gaussian> factors, bool prior, std::span<const Tensor> there = {});
// Row b is row rows[b] of the components one below the other, [K B,L]; rows i32 [B].
Gaussian mixture(std::span<const Gaussian> components, const Tensor& rows);
// mean + exp(log_var / 2) noise
Var draw(const Gaussian& q, const Tensor& noise);

// `scale` times the sum over rows of KL(q || N(0,I)) and of KL(q || p), [1]. `rows` [B,1]: what each counts; undefined: 1.
Var kl_to_prior(const Gaussian& q, double scale, const Tensor& rows = {});
Var kl(const Gaussian& q, const Gaussian& p, double scale, const Tensor& rows = {});

}  // namespace mld::vae
