// Every choice that a configuration names, with its spelling: what the values mean, in one place. The code
// that acts on them lies in the rooms above.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/error.h"
#include "engine/runtime/step_state.h"

namespace mld {

// The method and its variants, which share everything but this.
//   mld      multi-time network trained by masked diffusion; samples with clean given latents
//   inpaint  network with one time, trained on joint diffusion; given latents are noised while sampling
//   uni      multi-time network trained with a time drawn for each modality; samples as mld does
// And the VAEs that it is compared with (mld/methods/vae):
//   mvae     product of experts, with bounds of each modality alone
//   mmvae    mixture of experts
//   mopoe    mixture of the products of all sets of experts
//   mvtcae   product of experts, total correlation
//   nexus    a VAE for each modality, and one above them
enum class ModelKind : std::uint8_t { mld, inpaint, uni, mvae, mmvae, mopoe, mvtcae, nexus };
constexpr bool is_vae(ModelKind kind) { return kind >= ModelKind::mvae; }

// The networks are those of the paper's benchmarks; `mlp` fits any sample, `conv` pictures and spectrograms,
// `series` series and vectors, `tokens` discrete data, and of the classifiers `residual` pictures and spectrograms.
enum class AutoencoderKind : std::uint8_t {
  mlp,
  conv,
  mnist_mlp,
  svhn_conv,
  mhd_image,
  mhd_sound,
  mhd_trajectory,
  polymnist,
  series,
  cub_image,
  cub_caption,
  tokens
};

// `none`: the modality is left out of coherence and of the Frechet distances between features. `phrases`: the words of a
// text say its class (data/text/attributes.h); no network is trained, and there are no features.
enum class ClassifierKind : std::uint8_t {
  none,
  mlp,
  conv,
  residual,
  mnist,
  svhn,
  mhd_image,
  mhd_sound,
  mhd_trajectory,
  polymnist,
  series,
  phrases
};
constexpr bool is_trained(ClassifierKind kind) {
  return kind != ClassifierKind::none && kind != ClassifierKind::phrases;
}

// The units in which the networks of a modality work; data go in and come out in their own.
//   declared  as the store yields the values
//   standard  vectors and series: each coordinate or channel less its mean, by its spread, both of the training
//             items (scaling.h)
//   unit      the declared range becomes [0, 1]
enum class Units : std::uint8_t { declared, standard, unit };

// -log p(x | y) of a reconstruction y, summed over the elements of a sample.
//   laplace      |x - y| / scale
//   normal       (x - y)^2
//   categorical  -log of the probability of the true category at each position
enum class Likelihood : std::uint8_t { laplace, normal, categorical };

using LearningRate = LrSchedule;

// Uniform in +-1/sqrt(fan in), as the paper's code leaves it, or He et al. (2015): +-sqrt(6/fan in), which
// keeps the signal's size through the layers.
enum class WeightInit : std::uint8_t { fan_in, he };

// What an epoch of stage 1 passes over: a modality's items, or the samples, which may repeat items.
enum class StageSampling : std::uint8_t { items, pairs };

// The architecture of the score network (mld/diffusion/networks).
//   resmlp  residual MLP shaped like a U-Net (the paper)
//   adaln   residual blocks with adaptive layer norm
enum class ScoreNetworkKind : std::uint8_t { resmlp, adaln };

// What the raw network output stands for.
//   noise     n -> minus the noise (the paper); score = n / sigma
//   velocity  F -> a eps - sigma z, EDM's preconditioning for unit-variance data: n = -(sigma r + a F)
enum class Prediction : std::int32_t { noise, velocity };

// Whether a sample of stage 2 is the items that the data set pairs, or others of its class, drawn at every step.
enum class Pairing : std::int32_t { fixed, fresh };

// The draw of the conditioning set: one for each sample, or one shared by the batch (as the
// paper's code does).
enum class SubsetDraw : std::int32_t { per_sample, per_batch };

// The density of the training times (time_sampling.h).
enum class TimeSampling : std::int32_t { uniform, importance, lognormal };

// What latents are standardised over, and in which coordinates (latents.h).
enum class StatsOver : int { whole, first_batch };
enum class LatentCoordinates : int { own, principal };

// Which component of a mixture of posteriors serves a row in training: they take turns in blocks of the batch (the
// paper's code), or each row draws its own.
enum class MixtureSplit : std::uint8_t { batch, random };
// Of a normal density that NEXUS's latents have around those from above: the squares alone, or the scale that fits the
// batch best (the authors' for sound).
enum class LatentScale : std::uint8_t { fixed, optimal };

// How the reverse process is walked (sampler_plan.h), and em's way back to higher noise levels:
// Euler-Maruyama of the forward SDE, or its exact kernel.
enum class SamplerMethod : std::uint8_t { em, dpm, dpm_sde, heun };
enum class Renoise : std::uint8_t { euler, exact };

// Spelling of an enumeration's values, in their order.
template <class E>
inline constexpr std::array<std::string_view, 0> kNames{};
template <>
inline constexpr std::array<std::string_view, 8> kNames<ModelKind>{"mld",   "inpaint", "uni",    "mvae",
                                                                   "mmvae", "mopoe",   "mvtcae", "nexus"};
template <>
inline constexpr std::array<std::string_view, 12> kNames<AutoencoderKind>{
    "mlp",       "conv",   "mnist_mlp", "svhn_conv",   "mhd_image", "mhd_sound", "mhd_trajectory",
    "polymnist", "series", "cub_image", "cub_caption", "tokens"};
template <>
inline constexpr std::array<std::string_view, 12> kNames<ClassifierKind>{
    "none",      "mlp",       "conv",           "residual",  "mnist",  "svhn",
    "mhd_image", "mhd_sound", "mhd_trajectory", "polymnist", "series", "phrases"};
template <>
inline constexpr std::array<std::string_view, 3> kNames<Units>{"declared", "standard", "unit"};
template <>
inline constexpr std::array<std::string_view, 3> kNames<Likelihood>{"laplace", "normal", "categorical"};
template <>
inline constexpr std::array<std::string_view, 2> kNames<LearningRate>{"constant", "cosine"};
template <>
inline constexpr std::array<std::string_view, 2> kNames<WeightInit>{"fan_in", "he"};
template <>
inline constexpr std::array<std::string_view, 2> kNames<StageSampling>{"items", "pairs"};
template <>
inline constexpr std::array<std::string_view, 2> kNames<ScoreNetworkKind>{"resmlp", "adaln"};
template <>
inline constexpr std::array<std::string_view, 2> kNames<Prediction>{"noise", "velocity"};
template <>
inline constexpr std::array<std::string_view, 2> kNames<Pairing>{"fixed", "fresh"};
template <>
inline constexpr std::array<std::string_view, 2> kNames<SubsetDraw>{"per_sample", "per_batch"};
template <>
inline constexpr std::array<std::string_view, 3> kNames<TimeSampling>{"uniform", "importance", "lognormal"};
template <>
inline constexpr std::array<std::string_view, 2> kNames<StatsOver>{"whole", "first_batch"};
template <>
inline constexpr std::array<std::string_view, 2> kNames<LatentCoordinates>{"own", "principal"};
template <>
inline constexpr std::array<std::string_view, 2> kNames<MixtureSplit>{"batch", "random"};
template <>
inline constexpr std::array<std::string_view, 2> kNames<LatentScale>{"fixed", "optimal"};
template <>
inline constexpr std::array<std::string_view, 4> kNames<SamplerMethod>{"em", "dpm", "dpm_sde", "heun"};
template <>
inline constexpr std::array<std::string_view, 2> kNames<Renoise>{"euler", "exact"};

template <class E>
std::string name_of(E value) {
  return std::string(kNames<E>[static_cast<std::size_t>(value)]);
}

// The value of that name. ErrorKind::usage, naming `what`, if there is none: "what 'x'; expected a, b or c".
template <class E>
E parse_choice(std::string_view what, std::string_view name) {
  std::string expected;
  for (std::size_t i = 0; i < kNames<E>.size(); ++i) {
    if (kNames<E>[i] == name) return static_cast<E>(i);
    expected += (i == 0 ? "" : i + 1 < kNames<E>.size() ? ", " : " or ") + std::string(kNames<E>[i]);
  }
  fail(ErrorKind::usage, what, " '", name, "'; expected ", expected);
}

}  // namespace mld
