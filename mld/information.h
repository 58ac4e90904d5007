// Mutual information between groups of modalities from a multi-time score network (MINDE-j; method.md section
// 13.1; Franzese et al. 2023, arXiv 2310.09031): the joint score against the conditional scores that one
// network has both of. In nats, of the latents.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "mld/latents.h"
#include "mld/subsets.h"

namespace mld {

// n [B,D], raw output (sigma times score), of r [B,D] with the times tau [B,M], 0 where a modality is clean.
using MultiTimeScore = std::function<Tensor(const Tensor& r, const Tensor& tau)>;

struct MutualInformation {
  Subset group = 0;  // against all other modalities
  double nats = 0, error = 0;
};

struct InformationOptions {
  int repeats = 10;  // draws of time and noise for each row
  std::uint64_t seed = 0;
  std::int64_t chunk = 1024;  // rows at a time; does not change the result
};

// z [N,D] standardised latents, one row a sample. Times are drawn with density g^2/sigma^2 (truncated below
// t = 1e-3), so that the estimate is Z/2 E |n_joint - n_conditional|^2. The error is the standard error over
// the rows. `progress` is told the rows done.
MutualInformation mutual_information(const MultiTimeScore& score, const LatentLayout& layout, const Tensor& z,
                                     Subset group, const InformationOptions& options,
                                     const std::function<void(std::int64_t done)>& progress = {});

// The groups of all bipartitions of M modalities, each once: by size, those without modality 0 left out where
// both halves have one size.
std::vector<Subset> bipartitions(int modalities);

}  // namespace mld
