// Draws latents of all modalities given those of one set by a score network, and how a network's output is read.
//
// Guidance (docs/method.md section 11.3). With s the network's score at noise level t, and s(... | without A) what it
// is where the modalities of A are noise at time 1, of which the network has learnt that nothing is known:
//   given G:  s + (w - 1) (s - s(without G))                         of the modalities that are drawn
//   jointly:  s_m + (w - 1) (s_m - s_m(without all but m))           for each modality m
// The brackets are gradients of log p(z_rest | z_given) / p(z_rest) and of log p(z) / prod p(z_m).
#pragma once

#include <memory>
#include <vector>

#include "mld/diffusion/networks/score_network.h"
#include "mld/diffusion/noise.h"
#include "mld/diffusion/sampler.h"
#include "mld/methods/method.h"

namespace mld {

class LatentSampler {
 public:
  // The network must outlive it. Given latents stay clean, unless the plan noises them. `guidance` is w above.
  LatentSampler(const ScoreNetwork& network, const LatentLayout& layout, Prediction prediction,
                SamplerPlan plan, double guidance, Subset given, std::uint64_t seed, std::int64_t batch,
                Device device);

  LatentSampler(const LatentSampler&) = delete;
  LatentSampler& operator=(const LatentSampler&) = delete;

  // [n,D] for ids [n], n at most the batch, given the slices of the given set of z [n,D] (method.h).
  Tensor operator()(const Tensor& z, std::span<const std::int32_t> ids, const SamplerProgress& progress);

 private:
  // A call that guidance compares with: what it leaves out, and where its output counts.
  struct Reference {
    Tensor table, without, weighed;  // time paths; u8 [D], u8 [D]
  };
  void add_reference(const ScoreNetwork& network, const LatentLayout& layout, Subset without, Subset weighed);
  Tensor guided(const ScoreNetwork& network, const Tensor& r, const Tensor& output,
                const Tensor& level) const;

  SamplerPlan plan_;
  Subset given_;
  std::int64_t batch_, dim_;
  double guidance_;
  Device device_;
  Tensor table_, scalars_, mask_, absent_;
  std::vector<Reference> references_;
  PhiloxNoise noise_;
  std::unique_ptr<Sampler> sampler_;
};

// The calls beyond the first that a guided transition makes.
inline std::int64_t guidance_references(Subset given, int modalities) { return given == 0 ? modalities : 1; }

// What a velocity F [N,D] at r [N,D] stands for as a noise prediction, n = -(sigma r + a F) with a and sigma of each
// modality's time tau [N,M], or of the one time [N,1]. On the cpu.
Tensor noise_of_velocity(const Tensor& r, const Tensor& f, const Tensor& tau, const LatentLayout& layout);

}  // namespace mld
