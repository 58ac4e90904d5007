// A test part drawn from data that come without one. Private to the data room.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace mld::data {

// The rows that stay in training, and those of the test part: the fraction of 0 .. n-1, rounded, that the seed draws; both
// in order. ErrorKind::usage for a fraction that is not from 0 to below 1 or leaves nothing to train on.
std::array<std::vector<std::int32_t>, 2> split_rows(std::int64_t n, double test_fraction, std::uint64_t seed);

}  // namespace mld::data
