// Reverse diffusion with a multi-time score network (method.md section 10): generates the modalities of A1
// given clean latents of A2, or everything when A2 is empty. Knows nothing of networks: the score function is
// a callable, so that the sampler is tested on exact Gaussian scores.
#pragma once

#include <functional>
#include <vector>

#include "engine/core/tensor.h"
#include "mld/noise.h"
#include "mld/schedule.h"

namespace mld {

enum class Renoise : int { euler, exact };

struct SamplerOptions {
  Schedule schedule = {};
  Renoise renoise = Renoise::euler;  // forward transitions: Euler-Maruyama of the SDE, or its exact kernel
};

// n [B,D] <- raw network output (sigma times score) for the state r [B,D] at a level 1..N.
using ScoreFunction = std::function<Tensor(const Tensor& r, int level)>;
// Called after each reverse transition with (done, total); returning false cancels the run.
using SamplerProgress = std::function<bool(std::int64_t done, std::int64_t total)>;

// z [B,D]: standardised latents; only the coordinates with given[d] = 1 are read. given u8 [D].
// rows i32 [B]: identities of the samples for the noise source.
// Returns [B,D]: given coordinates bit for bit as in z. Throws Cancelled if progress returned false.
Tensor sample(const ScoreFunction& score, const Tensor& z, const Tensor& given, const Tensor& rows,
              NoiseSource& noise, const SamplerOptions& options, const SamplerProgress& progress = {});

}  // namespace mld
