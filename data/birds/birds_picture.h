// The pictures of `birds`: a bird in side view, painted (data/pictures/shapes.h) before sky, leaves or water.
#pragma once

#include <cstdint>
#include <span>

#include "data/birds/birds.h"
#include "data/draws.h"

namespace mld::data {

// picture [kBirdSide, kBirdSide, 3]. Consumes numbers of `random`.
void draw_bird(const BirdLook& look, ItemRandom& random, std::span<std::uint8_t> picture);

}  // namespace mld::data
