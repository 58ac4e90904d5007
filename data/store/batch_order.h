// Which of `count` samples or items each training step sees: every epoch visits them in an order of its own,
// the last incomplete batch is dropped. A pure function of (seed, step), so training resumes at any step with
// nothing saved.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/error.h"
#include "engine/random/philox.h"

namespace mld::data {

// The rows of a batch that one process computes: `count` from global row `first` on, of `total`. Every draw belongs
// to a global row, so that a batch has the same draws however it is divided.
struct BatchRows {
  std::int64_t first = 0, count = 0, total = 0;
};

// Which part of every batch a process computes, of `count` processes that train together.
struct Shard {
  std::int64_t index = 0, count = 1;

  // ErrorKind::usage for a batch of fewer rows than there are processes.
  BatchRows of(std::int64_t batch) const {
    MLD_CHECK(index >= 0 && index < count, "shard ", index, " of ", count);
    MLD_CHECK_AS(ErrorKind::usage, batch >= count, "a batch of ", batch, " rows is too small for ", count,
                 " processes");
    const std::int64_t first = batch * index / count;
    return {first, batch * (index + 1) / count - first, batch};
  }
};

class BatchOrder {
 public:
  // With fewer than `batch` to draw from, the batch shrinks to `count`. Neither may be 0.
  BatchOrder(std::int64_t count, std::int64_t batch, std::uint64_t seed)
      : count_(count), batch_(std::min(batch, count)), seed_(seed) {
    MLD_CHECK(count >= 1 && batch >= 1, "BatchOrder: batches of ", batch, " out of ", count);
  }

  std::int64_t batch() const { return batch_; }
  MLD_HD std::int64_t steps_per_epoch() const { return count_ / batch_; }

  // Place i of the batch of step 0, 1, 2, ...
  MLD_HD std::int64_t row(std::int64_t step, std::int64_t i) const {
    const std::int64_t epoch = step / steps_per_epoch(), first = step % steps_per_epoch() * batch_;
    const Permutation order(static_cast<std::uint64_t>(count_), seed_, static_cast<std::uint64_t>(epoch));
    return static_cast<std::int64_t>(order(static_cast<std::uint64_t>(first + i)));
  }
  // Places first, first + 1, ... of it, as many as `out` has room for.
  void rows(std::int64_t step, std::int64_t first, std::span<std::int32_t> out) const {
    const auto count = static_cast<std::int64_t>(out.size());
    MLD_CHECK(step >= 0 && first >= 0 && first + count <= batch_, "BatchOrder: step ", step, ", rows ", first,
              " to ", first + count, " of a batch of ", batch_);
    for (std::int64_t i = 0; i < count; ++i)
      out[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(row(step, first + i));
  }
  std::vector<std::int32_t> rows(std::int64_t step) const {  // the whole batch
    std::vector<std::int32_t> all(static_cast<std::size_t>(batch_));
    rows(step, 0, all);
    return all;
  }

 private:
  std::int64_t count_, batch_;
  std::uint64_t seed_;
};

}  // namespace mld::data
