#include "mld/diffusion/schedule.h"

#include "engine/base/error.h"

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

Schedule changed(Schedule schedule, const ScheduleChange& change) {
  schedule.levels = change.levels.value_or(schedule.levels);
  schedule.jump = change.jump.value_or(schedule.jump);
  schedule.resample = change.resample.value_or(schedule.resample);
  if (schedule.levels < 1 || schedule.jump <= schedule.levels) return schedule;  // walk() judges the rest
  const bool asked = change.jump || change.resample.value_or(1) > 1;
  MLD_CHECK_AS(ErrorKind::usage, !asked, "sampler: jumps of ", schedule.jump, " levels do not fit ",
               schedule.levels, " steps; choose a jump of 1 to ", schedule.levels,
               ", or resample 1: no jumps");
  schedule.resample = 1;
  return schedule;
}

ScheduleCounts count(const std::vector<int>& walk) {
  ScheduleCounts counts;
  for (std::size_t i = 1; i < walk.size(); ++i) ++(walk[i] < walk[i - 1] ? counts.reverse : counts.forward);
  return counts;
}

}  // namespace mld
