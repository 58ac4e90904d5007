#include "mld/diffusion/subsets.h"

#include <algorithm>

namespace mld {

std::vector<Subset> all_subsets(int modalities) {
  std::vector<Subset> sets;
  for (Subset s = 1; s <= full_set(modalities); ++s) sets.push_back(s);
  // Among sets of one size the lexicographic order of the member lists puts the one first that holds the
  // lowest member in which two sets differ.
  std::sort(sets.begin(), sets.end(), [](Subset a, Subset b) {
    if (std::popcount(a) != std::popcount(b)) return std::popcount(a) < std::popcount(b);
    const Subset differ = a ^ b;
    return (a & (differ & (~differ + 1))) != 0;
  });
  return sets;
}

std::string subset_name(Subset set, std::span<const std::string> modalities) {
  std::string name;
  for (std::size_t i = 0; i < modalities.size(); ++i)
    if (contains(set, static_cast<int>(i))) {
      if (!name.empty()) name += ',';
      name += modalities[i];
    }
  return name;
}

}  // namespace mld
