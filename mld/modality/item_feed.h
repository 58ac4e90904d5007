// Batches of one modality's items for stage 1 and for encoding: values as networks take them
// (channels last, discrete data as numbers i32), in an order that is a function of (seed, step) alone, so
// that any step can be resumed.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "data/store/batch_order.h"
#include "data/store/store.h"
#include "engine/core/tensor.h"
#include "engine/runtime/step_state.h"
#include "mld/config/config.h"

namespace mld {

// Shape of one sample as the networks take it: [H,W,C], [frames,mel,1], [1,length,C], [n].
Shape sample_shape(const data::Modality& modality);

// Room for items of a modality as networks take them, [B, sample_shape...]: f32, of discrete data i32.
Tensor make_items(const data::Modality& modality, std::int64_t batch);
void fill_items(const data::Split& split, int modality, const data::Modality& info,
                std::span<const std::int32_t> items, const Tensor& out);
// Items of a split as networks take them, [B, sample_shape...].
Tensor gather_items(const data::Split& split, int modality, const data::Modality& info,
                    std::span<const std::int32_t> items);
// All items of a split, at most `chunk` together, through f(first, x [n, sample_shape...]) -> [n, D]: the
// results one below the other, [items, D].
Tensor map_items(const data::Split& split, int modality, const data::Modality& info, std::int64_t chunk,
                 std::int64_t dim, const std::function<Tensor(std::int64_t first, const Tensor& x)>& f);
// Items that a stage draws from, each as often as it is drawn in an epoch; items without a label are left out
// if `labelled`. Empty if there is none.
std::vector<std::int32_t> items_to_draw(const data::Split& split, int modality, StageSampling sampling,
                                        bool labelled);

class ResidentItems;

class ItemFeed {
 public:
  // sampling items: every item once per epoch; pairs: items in the proportion in which they stand in samples.
  // Items without a label are left out if `labelled`. A batch larger than what there is shrinks to it. Of each
  // batch it feeds the rows of a shard.
  ItemFeed(const data::Split& split, int modality, const data::Modality& info, StageSampling sampling,
           bool labelled, std::int64_t batch, std::uint64_t seed, const data::Shard& shard = {});
  // Draws from these items, which may repeat; feeds of equally long lists and one seed go through them alike.
  ItemFeed(const data::Split& split, int modality, const data::Modality& info, std::vector<std::int32_t> pool,
           std::int64_t batch, std::uint64_t seed, const data::Shard& shard = {});

  const data::BatchRows& rows() const { return rows_; }
  std::int64_t steps_per_epoch() const { return order_->steps_per_epoch(); }
  // Fills the rows [B = rows().count] of a step; labels i32 [B] may be undefined.
  void fill(std::int64_t step, const Tensor& out, const Tensor& labels) const;

 private:
  friend class ResidentItems;
  std::vector<std::int32_t> items(std::int64_t step) const;

  const data::Split& split_;
  int modality_;
  const data::Modality& info_;
  std::vector<std::int32_t> pool_;  // what is drawn from
  std::optional<data::BatchOrder> order_;
  data::BatchRows rows_;
};

// What a feed draws from, kept on a device: a batch is then gathered by the step itself, from the step's
// number in device memory, so that a recorded step needs nothing from the host.
class ResidentItems {
 public:
  // Whether the device has room: half of what is free on a GPU.
  static bool fits(const ItemFeed& feed, Device device);
  ResidentItems(const ItemFeed& feed, Device device);
  // The batch of step state->step, the same as ItemFeed::fill's; labels i32 [B] may be undefined.
  void gather(const StepState* state, const Tensor& out, const Tensor& labels) const;

 private:
  data::BatchOrder order_;
  data::BatchRows rows_;
  Tensor values_;  // f32 [items, size], or tokens i32
  Tensor pool_;    // i32: items that are drawn from
  Tensor labels_;  // i32 [items]
};

}  // namespace mld
