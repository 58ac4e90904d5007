// The jump schedule of the sampler (docs/method.md section 10.4, after RePaint): a walk over the noise levels
// N, N-1, ..., 0 that at every jump point goes back up `jump` levels `resample - 1` times. resample = 1 is
// the plain linear schedule.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "mld/config/config.h"

namespace mld {

struct Schedule {
  int levels = 250;   // N: level k is time k/N
  int jump = 10;      // j
  int resample = 10;  // r

  double time(int level) const { return static_cast<double>(level) / levels; }
  // The levels visited, first N, last 0; neighbours differ by one. ErrorKind::usage beyond the limits above.
  std::vector<int> walk() const;
};

// What a user asks for on top of a configured schedule. Jumps longer than the schedule are ErrorKind::usage
// if jump or resample were asked for; those of the configuration are left out (resample 1), as the walk does.
struct ScheduleChange {
  std::optional<int> levels = {}, jump = {}, resample = {};
};
Schedule changed(Schedule schedule, const ScheduleChange& change);

struct ScheduleCounts {
  std::int64_t reverse = 0;  // network evaluations
  std::int64_t forward = 0;
};
ScheduleCounts count(const std::vector<int>& walk);

}  // namespace mld
