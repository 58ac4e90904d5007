// What people might say of a bird: sentences from a small grammar, in which every attribute is named once or more, the
// order of the attributes varies from sentence to sentence and the words for a value from time to time.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "data/birds/birds.h"
#include "data/draws.h"

namespace mld::data {

// Ten different sentences, at most 30 words and marks each, about a bird whose attributes have these values. Consumes
// numbers of `random`.
std::array<std::string, kBirdCaptions> bird_captions(std::span<const std::int32_t> values,
                                                     ItemRandom& random);

}  // namespace mld::data
