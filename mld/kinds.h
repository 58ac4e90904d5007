// The choices among networks and likelihoods that a configuration names, apart from the code that builds
// them. The networks are those of the paper's benchmarks; `mlp` fits any sample, `conv` maps with sides
// divisible by 4.
#pragma once

#include <cstdint>

namespace mld {

// The method and its variants (method.md section 11), which share everything but this.
//   mld      multi-time network trained by masked diffusion; samples with clean given latents
//   inpaint  network with one time, trained on joint diffusion; given latents are noised while sampling
//   uni      multi-time network trained with a time drawn for each modality; samples as mld does
enum class ModelKind : std::uint8_t { mld, inpaint, uni };

enum class AutoencoderKind : std::uint8_t {
  mlp,
  conv,
  mnist_mlp,
  svhn_conv,
  mhd_image,
  mhd_sound,
  mhd_trajectory
};

// `none`: the modality is left out of coherence and of the Frechet distances between features.
enum class ClassifierKind : std::uint8_t {
  none,
  mlp,
  conv,
  mnist,
  svhn,
  mhd_image,
  mhd_sound,
  mhd_trajectory
};

// The units in which the networks of a modality work; data go in and come out in their own.
//   declared  as the store yields the values
//   standard  vectors: each coordinate less its mean, by its spread, both of the training items (scaling.h)
//   unit      the declared range becomes [0, 1]
enum class Units : std::uint8_t { declared, standard, unit };

// -log p(x | y) of a reconstruction y, summed over the elements of a sample (method.md section 2).
//   laplace      |x - y| / scale
//   normal       (x - y)^2
//   categorical  -log of the probability of the true category at each position
enum class Likelihood : std::uint8_t { laplace, normal, categorical };

}  // namespace mld
