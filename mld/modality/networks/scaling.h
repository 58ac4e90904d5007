// The units that the networks of a modality work in: u = (x - offset) / scale, of each coordinate of a vector, of
// each channel of a series or of all values of a map. Offsets and scales are buffers of the network and so lie in its
// checkpoint and in exported files.
//
// Of vectors and series (Units::standard) they are taken from the training items, of a series at all its times,
// before the first step: the mean, and the standard deviation, or a tenth of the largest deviation where that is
// more, so that a coordinate that is almost always the same does not drown the others by its rare values. A
// coordinate with the same value in every item has scale 0: it is 0 to the networks and comes back exactly. Of maps
// (Units::unit) they are the ends of the declared range.
#pragma once

#include <cstdint>
#include <optional>

#include "data/store/store.h"
#include "engine/core/tape.h"
#include "nn/parameter.h"

namespace mld {

struct Scaling {
  nn::Buffer offset, scale;  // [size], or [1]
  bool measured;             // from the training items

  explicit Scaling(std::int64_t size);
  explicit Scaling(data::ValueRange range);
  // x [B, sample...], a sample of `size` values or a multiple of it, from the data's units to the network's and back.
  Tensor to_network(const Tensor& x) const;
  Tensor to_data(const Tensor& u) const;
  void visit(nn::Visitor& v) {
    v("offset", offset);
    v("scale", scale);
  }
};

// The same where there may be none. No gradient flows: x must be data, and unscaled is not for training.
Var scaled(const std::optional<Scaling>& scaling, const Var& x);
Var unscaled(const std::optional<Scaling>& scaling, const Var& u);

// Fills a measured scaling from all items, of `item_size` values, of a modality; sums in double, in the items'
// order. Leaves others.
void measure(const std::optional<Scaling>& scaling, const data::Split& split, int modality,
             std::int64_t item_size);

}  // namespace mld
