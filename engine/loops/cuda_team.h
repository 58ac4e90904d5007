// A warp or a whole block working on one row; see engine/loops/team.h for what the members do.
#pragma once

#include <cstdint>
#include <cub/block/block_reduce.cuh>
#include <cub/warp/warp_reduce.cuh>
#include <type_traits>

#include "engine/cuda/launch.h"

namespace mld::cuda {

constexpr int kWarp = 32;

template <int kSize>
class Team {
  static_assert(kSize == kWarp || kSize == kThreads);
  static constexpr int kTeams = kThreads / kSize;  // in a block

 public:
  __device__ std::int64_t first_row() const { return std::int64_t{blockIdx.x} * kTeams + team(); }
  __device__ std::int64_t row_stride() const { return std::int64_t{gridDim.x} * kTeams; }

  template <class F>
  __device__ void each(std::int64_t n, const F& f) const {
    for (std::int64_t j = thread(); j < n; j += kSize) f(j);
  }
  template <class A, class Load, class Join>
  __device__ A fold(std::int64_t n, A neutral, const Load& load, const Join& join) const {
    A mine = neutral;
    for (std::int64_t j = thread(); j < n; j += kSize) mine = join(mine, load(j));
    return combine(mine, join);
  }
  template <class F>
  __device__ void once(const F& f) const {
    if (thread() == 0) f();
  }
  __device__ void sync() const {
    if constexpr (kSize == kWarp)
      __syncwarp();
    else
      __syncthreads();
  }

 private:
  __device__ static int thread() { return static_cast<int>(threadIdx.x) % kSize; }
  __device__ static int team() { return static_cast<int>(threadIdx.x) / kSize; }

  template <class A, class Join>
  __device__ A combine(A mine, const Join& join) const {
    using Reduce = std::conditional_t<kSize == kWarp, cub::WarpReduce<A>, cub::BlockReduce<A, kThreads>>;
    __shared__ typename Reduce::TempStorage storage[kTeams];
    __shared__ A total[kTeams];
    const A sum = Reduce(storage[team()]).Reduce(mine, join);
    once([&] { total[team()] = sum; });
    sync();
    const A result = total[team()];
    sync();  // before the memory is used again
    return result;
  }
};

}  // namespace mld::cuda
