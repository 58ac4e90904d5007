// The threads that work on one row. Row functors are written once against a team,
//
//   template <class Team> MLD_HD void operator()(std::int64_t row, const Team& team) const;
//
// and run on one CPU thread per row, whose loops the compiler vectorises, or on a warp or a block of a GPU
// (engine/loops/cuda_team.h has the same members):
//   each(n, f)                    f(j) for j in [0, n), in any order
//   fold(n, neutral, load, join)  load(0) .. load(n-1) joined in a fixed order; every thread gets the result
//   once(f)                       f() on one thread
//   sync()                        what was written before is seen by the team after; needed between an each()
//                                 that writes and one that reads at other places
#pragma once

#include <cstdint>

#include "engine/base/hd.h"

namespace mld {

namespace driver {

constexpr int kLanes = 16;

// Joins load(first) .. load(last-1) in kLanes interleaved partial results, which the compiler turns into
// vector lanes, then as a tree.
template <class A, class Load, class Join>
MLD_HD A fold_lanes(std::int64_t first, std::int64_t last, A neutral, const Load& load, const Join& join) {
  if (last - first < kLanes) {
    A acc = neutral;
    for (std::int64_t j = first; j < last; ++j) acc = join(acc, load(j));
    return acc;
  }
  A lanes[kLanes];
  for (auto& lane : lanes) lane = neutral;
  std::int64_t j = first;
  for (; j + kLanes <= last; j += kLanes)
    for (int l = 0; l < kLanes; ++l) lanes[l] = join(lanes[l], load(j + l));
  for (int l = 0; j < last; ++j, ++l) lanes[l] = join(lanes[l], load(j));
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int l = 0; l < width; ++l) lanes[l] = join(lanes[l], lanes[l + width]);
  return lanes[0];
}

}  // namespace driver

struct OneThread {
  template <class F>
  MLD_HD void each(std::int64_t n, const F& f) const {
#pragma GCC ivdep
    for (std::int64_t j = 0; j < n; ++j) f(j);
  }
  template <class A, class Load, class Join>
  MLD_HD A fold(std::int64_t n, A neutral, const Load& load, const Join& join) const {
    return driver::fold_lanes(0, n, neutral, load, join);
  }
  template <class F>
  MLD_HD void once(const F& f) const {
    f();
  }
  MLD_HD void sync() const {}
};

// Joins of a fold.
struct Plus {
  template <class T>
  MLD_HD T operator()(T a, T b) const {
    return a + b;
  }
};
struct Larger {
  template <class T>
  MLD_HD T operator()(T a, T b) const {
    return a > b ? a : b;
  }
};

}  // namespace mld
