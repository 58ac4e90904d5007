#include "mld/schedule.h"

#include "engine/core/error.h"

namespace mld {

std::vector<int> Schedule::walk() const {
  MLD_CHECK_AS(ErrorKind::usage, levels >= 1 && jump >= 1 && resample >= 1,
               "schedule: needs levels, jump and ", "resample of at least 1, got ", levels, ", ", jump, ", ",
               resample);
  std::vector<int> left(static_cast<std::size_t>(levels), 0);
  for (int p = 0; p < levels - jump; p += jump) left[static_cast<std::size_t>(p)] = resample - 1;
  std::vector<int> walk;  // level = position + 1
  for (int p = levels; p >= 1;) {
    walk.push_back(p--);
    int& jumps = left[static_cast<std::size_t>(p)];
    if (jumps > 0 && p <= levels - jump) {
      --jumps;
      for (int i = 0; i < jump; ++i) walk.push_back(++p + 1);
    }
  }
  walk.push_back(0);
  return walk;
}

ScheduleCounts count(const std::vector<int>& walk) {
  ScheduleCounts counts;
  for (std::size_t i = 1; i < walk.size(); ++i) ++(walk[i] < walk[i - 1] ? counts.reverse : counts.forward);
  return counts;
}

}  // namespace mld
