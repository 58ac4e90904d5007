// cub::WarpReduce as the engine uses it: the result is valid in lane 0.
#pragma once

#include "cuda_emulation.h"

namespace cub {

template <class T>
class WarpReduce {
 public:
  struct TempStorage {
    T value[32];
  };
  explicit WarpReduce(TempStorage& storage) : storage_(storage) {}
  template <class Join>
  T Reduce(T mine, Join join) {
    storage_.value[threadIdx.x % 32] = mine;
    __syncwarp();
    if (threadIdx.x % 32 == 0)
      for (int i = 1; i < 32; ++i) mine = join(mine, storage_.value[i]);
    return mine;
  }

 private:
  TempStorage& storage_;
};

}  // namespace cub
