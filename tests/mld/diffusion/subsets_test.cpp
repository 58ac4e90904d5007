#include "mld/diffusion/subsets.h"

#include <doctest/doctest.h>

#include <map>

using namespace std::string_literals;

TEST_CASE("subsets: order by size, then lexicographic, full set last") {
  const std::vector<std::string> names{"image", "sound", "trajectory"};
  std::vector<std::string> listed;
  for (auto s : mld::all_subsets(3)) listed.push_back(mld::subset_name(s, names));
  CHECK(listed == std::vector<std::string>{"image", "sound", "trajectory", "image,sound", "image,trajectory",
                                           "sound,trajectory", "image,sound,trajectory"});
  CHECK(mld::all_subsets(5).size() == 31);
}

TEST_CASE("subsets: the distribution of the conditioning set") {
  // Integrated over a grid of (u, v): empty with probability d, every non-empty proper subset equally likely.
  const double d = 0.3;
  const int grid = 420;  // divisible by 2, 6 and 14
  for (mld::Subset present : {0b11u, 0b111u, 0b1011u, 0b10101u}) {
    std::map<mld::Subset, int> seen;
    for (int i = 0; i < grid; ++i)
      for (int j = 0; j < grid; ++j)
        ++seen[mld::draw_conditioning(present, d, (i + 0.5) / grid, (j + 0.5) / grid)];
    const int proper = (1 << std::popcount(present)) - 2;
    CHECK(static_cast<int>(seen.size()) == proper + 1);
    for (auto [set, count] : seen) {
      CHECK((set & ~present) == 0);
      CHECK(set != present);
      const double share = count / (1.0 * grid * grid);
      CHECK(share == doctest::Approx(set == 0 ? d : (1 - d) / proper).epsilon(1e-9));
    }
  }
  CHECK(mld::draw_conditioning(0b100u, 0.0, 0.9, 0.9) == 0);
}
