// Which rows stand for a split where not all of them are used. Stores are often sorted by class, so that the
// first rows are no sample: rows are drawn at random, from every class its share. A draw depends on the
// labels and on how many are asked for alone, never on a seed of the user's, and a smaller draw is part of a
// larger one.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "data/store/store.h"

namespace mld {

// n of the positions 0 .. labels.size() - 1, ascending; all of them if n is no less. Those of one label
// are a stratum, -1 (unknown) too. Each stratum gets its exact share n * size / labels.size() but for less
// than one, and at least one position where n reaches the number of strata; where both cannot be had (a
// thousand rare classes beside a common one), the common ones give way. `stream` names the draw: other
// names, other positions.
std::vector<std::int64_t> stratified_draw(std::span<const std::int32_t> labels, std::int64_t n,
                                          std::string_view stream);

// Rows that n samples of a split are, ascending: up to the first pairing a draw of its rows; beyond it as
// many whole pairings as there are in n, and a draw of the next one's rows; 0: the whole first pairing; all
// rows if n is more than there are.
std::vector<std::int64_t> draw_rows(const data::Split& split, std::int64_t n);
// Whether draw_rows leaves anything to chance: n is neither 0 nor whole pairings nor more than all.
bool is_drawn(const data::Split& split, std::int64_t n);

}  // namespace mld
