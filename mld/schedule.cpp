#include "mld/schedule.h"

#include "engine/core/error.h"

namespace mld {

std::vector<int> Schedule::walk() const {
  const auto check = [](const char* name, int value, int highest) {
    MLD_CHECK_AS(ErrorKind::usage, value >= 1 && value <= highest, "schedule: ", name, ": expected 1 to ",
                 highest, ", found ", value);
  };
  check("levels", levels, kMaxLevels);
  check("jump", jump, kMaxLevels);
  check("resample", resample, kMaxResample);
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
