// The jump schedule of the sampler (docs/method.md section 10.4, after RePaint): a walk over the noise levels
// N, N-1, ..., 0 that at every jump point goes back up `jump` levels `resample - 1` times. resample = 1 is
// the plain linear schedule.
#pragma once

#include <cstdint>
#include <vector>

namespace mld {

struct Schedule {
  std::int64_t levels, jump, resample;  // N, j, r

  // The levels visited, first N, last 0; neighbours differ by one. ErrorKind::usage beyond the limits of the
  // options (mld/config/sampler_options.h).
  std::vector<int> walk() const;
};

struct ScheduleCounts {
  std::int64_t reverse = 0;  // network evaluations
  std::int64_t forward = 0;
};
ScheduleCounts count(const std::vector<int>& walk);

}  // namespace mld
