// Latents of a whole split, encoded once: the autoencoders are frozen in stage 2, so this is exact and
// removes most of its cost. One row per item and modality, or several of a modality whose items are also encoded
// as augmented; standardised. A sample is a row of item indices, -1 where the modality is missing. Kept on the
// device; a train step gathers from it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/core/tensor.h"
#include "mld/config/choices.h"

namespace mld {

// Where each modality's slice of the concatenated latent vector lies.
struct LatentLayout {
  std::vector<std::int64_t> dims, offsets;
  std::int64_t total = 0;

  explicit LatentLayout(std::vector<std::int64_t> dims_of_modalities = {});
  int modalities() const { return static_cast<int>(dims.size()); }
  std::int64_t squares(int modalities) const;  // sum of D_i^2 over the first ones
  Tensor slice(const Tensor& z, int i) const;  // [N,total] -> [N,D_i], a copy; on any device
  void set_slice(const Tensor& z, int i, const Tensor& part) const;  // the inverse
};

// z_standard = (z - mean) / std for each coordinate of the concatenated vector (docs/method.md section 3).
// With axes, z - mean is first turned into its principal axes: the standardised latents of a modality are
// then uncorrelated, so that no direction of them hides until the noise is all but gone.
struct LatentStats {
  Tensor mean, std;  // [D]
  Tensor axes;       // [sum D_i^2]: for each modality [D_i,D_i], a column per axis; or undefined

  LatentStats to(Device device) const {
    return {mean.to(device), std.to(device), axes.defined() ? axes.to(device) : Tensor()};
  }
};

// Which items may stand in for one another: those of a class, for pairs that are drawn anew.
struct ItemClasses {
  Tensor of_samples;  // i32 [N], -1: none
  std::vector<Tensor> items,
      first;  // of each modality its labelled items by class, i32, and where each class begins
  bool defined() const { return of_samples.defined(); }
};
// labels: of each sample, and of each modality's items; -1: none.
ItemClasses item_classes(std::span<const std::int32_t> of_samples,
                         std::span<const std::vector<std::int32_t>> of_items, std::int64_t classes);

class LatentStore {
 public:
  // latents[i] [E_i N_i, D_i] raw encodings, those of the items as they are first; samples i32 [N, M] item indices;
  // E_i, one if left out.
  LatentStore(LatentLayout layout, std::vector<Tensor> latents, Tensor samples,
              std::vector<std::int64_t> encodings = {});

  const LatentLayout& layout() const { return layout_; }
  std::int64_t num_samples() const { return samples_.shape()[0]; }
  const Tensor& latents(int modality) const { return latents_[static_cast<std::size_t>(modality)]; }
  const Tensor& samples() const { return samples_; }
  std::int64_t encodings(int modality) const { return encodings_[static_cast<std::size_t>(modality)]; }
  std::int64_t items(int modality) const { return latents(modality).shape()[0] / encodings(modality); }
  void set_classes(ItemClasses classes) { classes_ = std::move(classes); }
  const ItemClasses& classes() const { return classes_; }

  // Mean and unbiased standard deviation (at least 1e-6, and 1e-3 of the longest principal axis) of
  // every coordinate over the given samples, each counted once and as it is; samples without the modality are
  // left out of its coordinates.
  LatentStats statistics(std::span<const std::int32_t> chosen,
                         LatentCoordinates coordinates = LatentCoordinates::own) const;
  std::vector<std::int32_t> all_samples() const;
  void standardise(const LatentStats& stats);
  void move_to(Device device);

 private:
  LatentLayout layout_;
  std::vector<Tensor> latents_;
  Tensor samples_;
  std::vector<std::int64_t> encodings_;
  ItemClasses classes_;
};

// In place on rows [N,D_i] of modality i: raw <-> standardised.
void standardise_rows(const Tensor& rows, const LatentStats& stats, const LatentLayout& layout, int i);
void destandardise_rows(const Tensor& rows, const LatentStats& stats, const LatentLayout& layout, int i);

}  // namespace mld
