// The objectives of the VAEs with one shared latent: MVAE (Wu, Goodman 2018), MMVAE (Shi et al. 2019; the Gaussian form
// of the paper's code), MoPoE (Sutter et al. 2021), MVTCAE (Hwang et al. 2021). They are one family: the posterior
// given a set of modalities is a product of Gaussian experts, the one that is trained a mixture of such products, and
// each adds terms of its own (docs/method.md section 20.2).
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "mld/config/choices.h"
#include "mld/diffusion/subsets.h"
#include "mld/methods/vae/gaussian.h"
#include "mld/methods/vae/presence.h"

namespace mld::vae {

struct Objective {
  ModelKind kind = ModelKind::mvae;
  double beta = 1;            // weight of the divergences
  double alpha = 0;           // mvtcae: share of the total correlation
  bool prior_expert = false;  // mvtcae: N(0,I) is an expert, as in the authors' code
};

// A batch as the networks see it.
struct Encoded {
  std::vector<Gaussian> experts;  // of each modality, as its encoder gives them
  std::vector<double> weights;    // of the modalities' reconstructions
  std::int64_t total = 1;         // rows of the whole batch, over which means are taken
  // i32 [B], bit m: whether the row has modality m; undefined: all have all. What stands for a hole is not looked at.
  Tensor present = {};
  // -log p(x^m | z), mean over the batch, [1]; called several times for one m. rows [B,1]: what each counts;
  // undefined: 1.
  std::function<Var(int m, const Var& z, const Tensor& rows)> reconstruction;
  // Standard normal [B,size], each with its number.
  std::function<Tensor(std::uint32_t number, std::int64_t size)> noise;
  // As `mixture` takes them: of each row one of the components whose modalities it has.
  std::function<Tensor(std::int64_t components)> component_rows;
};

// Sets of modalities whose posteriors are mixed in training: all of them, each alone, or every set.
std::vector<Subset> mixed_sets(ModelKind kind, int modalities);
// q(z | x^A) of a set that is not empty. MMVAE has a mixture there: asked for one modality at a time.
Gaussian posterior(const Objective& objective, std::span<const Gaussian> experts, Subset given);
// What is minimised, [1].
Var loss(const Objective& objective, const Encoded& batch);

}  // namespace mld::vae
