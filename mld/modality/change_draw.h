// The words that a change of an item is drawn from.
#pragma once

#include "engine/ops/random.h"
#include "engine/random/philox.h"

namespace mld {

// Block `block` of row `row` of a batch.
MLD_HD Words change_words(const DrawKey& key, std::int64_t row, std::uint32_t block) {
  const std::uint64_t seed = key.state ? key.state->seed : key.seed;
  const auto step = key.state ? static_cast<std::uint32_t>(key.state->step) : key.step;
  return draw(seed, key.site, step, static_cast<std::uint32_t>(key.first_row + row), block);
}

}  // namespace mld
