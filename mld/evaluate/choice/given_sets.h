// Which sets of modalities samples are generated from, beside none (joint generation).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "mld/diffusion/subsets.h"

namespace mld {

// Up to this many modalities samples are generated from all proper subsets. With more, as these are 2^M, from
// each modality and from all but one, unless others are asked for.
inline constexpr int kAllSetsUpTo = 5;

// In the order of all_subsets, each once, without the full set.
std::vector<Subset> proper_subsets(int modalities);
std::vector<Subset> default_given_sets(int modalities);
// `text`, separated by commas: sizes (1 .. M-1), "loo" (leave one out: all but one), "all", or names joined
// by '+' ("image+sound"). Empty: the default. ErrorKind::usage lists what there is.
std::vector<Subset> parse_given_sets(const std::string& text, std::span<const std::string> modalities);

// How a record names the sets: as subset_name, empty where they are all there are.
std::vector<std::string> given_set_names(std::span<const Subset> sets,
                                         std::span<const std::string> modalities);

}  // namespace mld
