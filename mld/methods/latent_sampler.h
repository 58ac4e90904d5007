// Draws latents of all modalities given those of one set by a score network, and how a network's output is read.
#pragma once

#include <memory>

#include "mld/diffusion/networks/score_network.h"
#include "mld/diffusion/noise.h"
#include "mld/diffusion/sampler.h"
#include "mld/methods/method.h"

namespace mld {

class LatentSampler {
 public:
  // The network must outlive it. Given latents stay clean, unless the plan noises them.
  LatentSampler(const ScoreNetwork& network, const LatentLayout& layout, Prediction prediction,
                SamplerPlan plan, Subset given, std::uint64_t seed, std::int64_t batch, Device device);

  LatentSampler(const LatentSampler&) = delete;
  LatentSampler& operator=(const LatentSampler&) = delete;

  // [n,D] for ids [n], n at most the batch, given the slices of the given set of z [n,D] (method.h).
  Tensor operator()(const Tensor& z, std::span<const std::int32_t> ids, const SamplerProgress& progress);

 private:
  SamplerPlan plan_;
  Subset given_;
  std::int64_t batch_, dim_;
  Device device_;
  Tensor table_, scalars_, mask_;
  PhiloxNoise noise_;
  std::unique_ptr<Sampler> sampler_;
};

// What a velocity F [N,D] at r [N,D] stands for as a noise prediction, n = -(sigma r + a F) with a and sigma of each
// modality's time tau [N,M], or of the one time [N,1]. On the cpu.
Tensor noise_of_velocity(const Tensor& r, const Tensor& f, const Tensor& tau, const LatentLayout& layout);

}  // namespace mld
