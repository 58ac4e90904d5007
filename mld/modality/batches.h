// The batch of a stage-1 step, wherever it trains. On the cpu networks read it where it is filled. On a
// device the step gathers it from the items there (ResidentItems), or, where they have no room, the host
// fills it one step ahead (Prefetch).
#pragma once

#include <optional>

#include "engine/runtime/prefetch.h"
#include "mld/modality/augment.h"
#include "mld/modality/item_feed.h"

namespace mld {

class Batches {
 public:
  // The feed must outlive it. Labels only if `labelled`; `resident` is not looked at on the cpu.
  Batches(const ItemFeed& feed, const data::Modality& info, bool labelled, Device device, bool resident,
          const Augmentation& by = {});
  Batches(const Batches&) = delete;
  Batches& operator=(const Batches&) = delete;

  // At the same place in every step.
  const Tensor& items() const { return items_; }
  const Tensor& labels() const { return labels_; }

  void before(std::int64_t step);             // of the host, before the step
  void within(const StepState* state) const;  // first thing in the step

 private:
  const ItemFeed& feed_;
  Augmentation by_;
  data::ValueRange range_;
  Tensor fed_, items_;  // as the data have them, and as the network gets them
  Tensor labels_;
  std::optional<ResidentItems> resident_;
  std::optional<Prefetch> prefetch_;
};

}  // namespace mld
