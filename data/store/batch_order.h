// Which of `count` samples or items each training step sees: every epoch visits them in an order of its own,
// the last incomplete batch is dropped. A pure function of (seed, step), so training resumes at any step with
// nothing saved.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "engine/base/error.h"
#include "engine/random/philox.h"

namespace mld::data {

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
  // The whole batch, out [batch()].
  void rows(std::int64_t step, std::span<std::int32_t> out) const {
    MLD_CHECK(step >= 0 && static_cast<std::int64_t>(out.size()) == batch_, "BatchOrder: step ", step,
              " with room for ", out.size(), " rows, need ", batch_);
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = static_cast<std::int32_t>(row(step, static_cast<std::int64_t>(i)));
  }

 private:
  std::int64_t count_, batch_;
  std::uint64_t seed_;
};

}  // namespace mld::data
