// cub::BlockReduce as the engine uses it: the result is valid in thread 0.
#pragma once

#include "cuda_emulation.h"

namespace cub {

template <class T, int kThreads>
class BlockReduce {
 public:
  struct TempStorage {
    T value[kThreads];
  };
  explicit BlockReduce(TempStorage& storage) : storage_(storage) {}
  template <class Join>
  T Reduce(T mine, Join join) {
    storage_.value[threadIdx.x] = mine;
    __syncthreads();
    if (threadIdx.x == 0)
      for (int i = 1; i < kThreads; ++i) mine = join(mine, storage_.value[i]);
    return mine;
  }

 private:
  TempStorage& storage_;
};

}  // namespace cub
