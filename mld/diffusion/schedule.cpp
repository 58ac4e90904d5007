#include "mld/diffusion/schedule.h"

#include "mld/config/sampler_options.h"

namespace mld {

std::vector<int> Schedule::walk() const {
  const auto check = [](const char* name, std::int64_t value, int highest) {
    MLD_CHECK_AS(ErrorKind::usage, value >= 1 && value <= highest, "schedule: ", name, ": expected 1 to ",
                 highest, ", found ", value);
  };
  check("levels", levels, kMaxLevels);
  check("jump", jump, kMaxLevels);
  check("resample", resample, kMaxResample);
  const auto top = static_cast<int>(levels), up = static_cast<int>(jump);
  std::vector<std::int64_t> left(static_cast<std::size_t>(levels), 0);
  for (int p = 0; p < top - up; p += up) left[static_cast<std::size_t>(p)] = resample - 1;
  std::vector<int> walk;  // level = position + 1
  for (int p = top; p >= 1;) {
    walk.push_back(p--);
    std::int64_t& jumps = left[static_cast<std::size_t>(p)];
    if (jumps > 0 && p <= top - up) {
      --jumps;
      for (int i = 0; i < up; ++i) walk.push_back(++p + 1);
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
