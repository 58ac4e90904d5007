// The score network together with the latent statistics it was trained with: what one score checkpoint holds.
#pragma once

#include <memory>
#include <optional>

#include "mld/config/config.h"
#include "mld/diffusion/latents.h"
#include "mld/diffusion/networks/score_network.h"
#include "mld/diffusion/variant.h"
#include "nn/parameter.h"

namespace mld {

inline LatentLayout latent_layout(const Config& config) {
  std::vector<std::int64_t> dims;
  for (const ModalityConfig& m : config.modalities) dims.push_back(m.latent);
  return LatentLayout(std::move(dims));
}

class ScoreModel {
  std::unique_ptr<ScoreNetwork> network_;

 public:
  nn::Buffer latent_mean, latent_std;     // [D]
  std::optional<nn::Buffer> latent_axes;  // [sum D_i^2], if the latents are turned into principal axes

  explicit ScoreModel(const Config& config)
      : ScoreModel(config.score, variant_of(config.model.kind), latent_layout(config)) {}

 private:
  ScoreModel(const ScoreConfig& config, const Variant& variant, const LatentLayout& layout)
      : network_(make_score_network({.kind = config.network,
                                     .dim = layout.total,
                                     .times = variant.one_time ? 1 : layout.modalities(),
                                     .width = config.width,
                                     .time_dim = config.time_dim,
                                     .groups = config.groups,
                                     .mults = config.mults,
                                     .blocks = config.blocks,
                                     .dropout = config.dropout,
                                     .fourier = config.fourier_features})),
        latent_mean({layout.total}, 0.0),
        latent_std({layout.total}, 1.0) {
    if (config.latent_coordinates == LatentCoordinates::principal)
      latent_axes.emplace(Shape{layout.squares(layout.modalities())}, 0.0);
  }

 public:
  const ScoreNetwork& network() const { return *network_; }
  LatentStats stats() const {
    return {latent_mean.value(), latent_std.value(), latent_axes ? latent_axes->value() : Tensor()};
  }
  void visit(nn::Visitor& v) {
    network_->visit(v);
    v("latent_mean", latent_mean);
    v("latent_std", latent_std);
    v("latent_axes", latent_axes);
  }
};

}  // namespace mld
