// What an evaluation reads off latents rather than off chunks of generated items: the spread of conditionals,
// robustness against diffusion (docs/method.md section 12), and how near generated latents are to those of
// the items that were trained on.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "data/store/store.h"
#include "mld/evaluate/evaluation.h"
#include "mld/run/model.h"

namespace mld {

constexpr std::int64_t kMeasuredTogether = 1024;  // samples; does not change any number

// Told (what is being done, done, total); it cancels by throwing.
using Tell = std::function<void(const std::string& what, std::int64_t done, std::int64_t total)>;

// Draws latents [N,D], each row given the slices of its row of z [N,D].
using LatentDraw = std::function<Tensor(const Tensor& z)>;

// Of every modality not in `given`: ten draws for each row of z [N,D], 2 or more.
std::vector<DiversityCell> latent_diversity(const Model& model, Subset given, const Tensor& z,
                                            const LatentDraw& draw);

// Of every modality with a classifier: the rows of z [N,D] diffused to times from 0 to 1, with noise from
// `seed`, and decoded. labels[i] of modality i: the class of each row, -1 where it does not count; no point
// where none counts.
std::vector<RobustnessPoint> latent_robustness(const Model& model, const Tensor& z,
                                               std::span<const std::vector<std::int32_t>> labels,
                                               std::uint64_t seed, const Tell& tell);

// Of every modality: the nearest items of `train`, whose array of modality i is columns[i], to the generated
// latents [N,D] and to real, unseen ones: rows there[i] of `real` [N,D], which have the modality. No cell
// where there are none.
std::vector<MemorisationCell> latent_memorisation(const Model& model, const data::Split& train,
                                                  std::span<const int> columns, const Tensor& generated,
                                                  const Tensor& real,
                                                  std::span<const std::vector<std::int64_t>> there,
                                                  const Tell& tell);

}  // namespace mld
