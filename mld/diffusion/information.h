// What modalities tell about each other, from one multi-time score network. Mutual information between groups
// (MINDE-j; docs/method.md section 13.1; Franzese et al. 2023, arXiv 2310.09031): the joint score against the
// conditional scores. The in-painting gap (docs/method.md section 13.2): what is lost where generation looks
// at given latents through noise. In nats, of the latents.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "mld/diffusion/latents.h"
#include "mld/diffusion/subsets.h"

namespace mld {

// n [B,D], raw output (sigma times score), of r [B,D] with the times tau [B,M], 0 where a modality is clean.
using MultiTimeScore = std::function<Tensor(const Tensor& r, const Tensor& tau)>;

struct MutualInformation {
  Subset group = 0;  // against all other modalities
  double nats = 0, error = 0;
  std::int64_t n = 0;  // rows
};

struct InpaintingGap {
  Subset given = 0;  // seen at time t while all other modalities are generated
  double t = 0;
  double nats = 0, error = 0;
  std::int64_t n = 0;
};

struct InformationOptions {
  int repeats = 10;  // draws of time and noise for each row
  std::uint64_t seed = 0;
  std::int64_t chunk = 1024;  // rows at a time; does not change the result
};

using InformationProgress = std::function<void(std::int64_t done)>;  // rows

// z [N,D] standardised latents, one row a sample. Times are drawn with density g^2/sigma^2 (truncated below
// t = 1e-3), so that the estimate is Z/2 E |n_joint - n_conditional|^2. The error is the standard error over
// the rows. `progress` is told the rows done.
MutualInformation mutual_information(const MultiTimeScore& score, const LatentLayout& layout, const Tensor& z,
                                     Subset group, const InformationOptions& options,
                                     const InformationProgress& progress = {});

// Delta(t) = E KL[q(r_t^A1 | z^A2) || q(r_t^A1 | r_t^A2)] = I(Z^A2; R_t^A1 | R_t^A2), A2 = given and A1 the
// rest: by how much conditions at noise level t, as in-painting has them, fall short of clean ones. Both
// densities diffuse alike, so that it is the integral of the difference of their scores,
//
//   Delta(t) = 1/2 int_t^1 g(v)^2 E |s(r_v^A1 | z^A2) - s(r_v^A1 | r_t^A2)|^2 dv + Delta(t; 1),
//
// of which the last, the divergence that is left at v = 1, is neglected. For Gaussians it is at most
// a(1)^2 / a(t)^2 of the whole: 0.6 % at t = 0.7, 3 % at 0.8, 15 % at 0.9. The score must know modalities at
// two different times above 0 (kind uni); its errors enter squared, so that the estimate is never negative
// and rather too large where the truth is small. 0 < t < 1; the rest as above.
InpaintingGap inpainting_gap(const MultiTimeScore& score, const LatentLayout& layout, const Tensor& z,
                             Subset given, double t, const InformationOptions& options,
                             const InformationProgress& progress = {});

// The groups of all bipartitions of M modalities, each once: by size, those without modality 0 left out where
// both halves have one size.
std::vector<Subset> bipartitions(int modalities);

// The conditions a gap is looked at for: one modality given, and all but one. All there are up to M = 3.
std::vector<Subset> inpainting_conditions(int modalities);

}  // namespace mld
