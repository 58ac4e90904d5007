// Host batches on their way to a device, one ahead of the step that uses them: while the device
// computes, a thread fills the next batch, and on cuda a second stream copies it. For data that have no
// room on the device.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <span>
#include <vector>

#include "engine/core/tensor.h"
#include "engine/cuda/copy_stream.h"

namespace mld {

class Prefetch {
 public:
  // Writes the batch of `step` to host tensors of the targets' shapes and types. Called from another thread,
  // one call at a time; may be asked for the step after the last.
  using Fill = std::function<void(std::int64_t step, std::span<const Tensor> host)>;
  // The targets are tensors of one device.
  Prefetch(std::vector<Tensor> targets, Fill fill);
  ~Prefetch();
  Prefetch(const Prefetch&) = delete;
  Prefetch& operator=(const Prefetch&) = delete;

  // What is submitted from now on finds the batch of `step` in the targets. Steps come in any order; only the
  // one that follows the last is ready already. Throws what `fill` threw.
  void operator()(std::int64_t step);

 private:
  struct Slot {
    std::vector<Tensor> host, staged;
    std::future<void> filled;
    std::int64_t step = -1;
  };
  void start(int slot, std::int64_t step);  // filling
  void hand_over(int slot);

  std::vector<Tensor> targets_;
  Fill fill_;
  std::shared_ptr<cuda::CopyStream> copies_;  // on cuda
  std::array<Slot, 2> slots_;
  int next_ = 0;  // the slot of the batch that is being filled
};

}  // namespace mld
