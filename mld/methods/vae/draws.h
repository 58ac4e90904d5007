// The random choices of a training step of the VAEs, in device memory: functions of seed, step and row alone, so that
// a step can be recorded and a batch cut into shards.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/store/batch_order.h"
#include "engine/core/tensor.h"
#include "engine/runtime/step_state.h"
#include "mld/config/choices.h"
#include "mld/diffusion/subsets.h"

namespace mld::vae {

// Draw number 0, 1, ... of a step: standard normal [rows, latent].
Tensor noise(const StepState* state, const data::BatchRows& rows, std::int64_t latent, std::uint32_t number,
             Device device);

// i32 [N] on a device.
Tensor set_list(std::span<const Subset> sets, Device device);

// Of the rows of a step which modalities they have: i32 [B], of a table of all samples that are drawn from in the
// order of the feeds (item_feed.h).
Tensor present_sets(const Tensor& table, const data::BatchOrder& order, const data::BatchRows& rows,
                    const StepState* state);

// Of each row the component of a mixture of K that serves it, as rows [k B + b] of the components one below the other
// (gaussian.h). MixtureSplit::batch: component k serves the rows from k floor(T / K) on of the T of the whole batch,
// the last also what remains. With `present` i32 [B] a row that lacks modalities is served by one of the n components
// whose modalities (i32 [K] `sets`) it has: row b of the whole batch by number floor(b n / T).
Tensor component_rows(MixtureSplit split, const Tensor& sets, const Tensor& present,
                      const data::BatchRows& rows, const StepState* state);

// Of each of M modalities a column [B,1]: what its message counts in the average. With probability `dropped` a row
// leaves out 1 .. n-1 of the n that it has, each number and each set of that size as likely as any other; `present`
// i32 [B], undefined: all have all.
std::vector<Tensor> message_weights(double dropped, int modalities, const Tensor& present,
                                    const data::BatchRows& rows, const StepState* state, Device device);

// [1]: min(1, (e + 1) / epochs) in epoch e = 0, 1, ...; 1 if there are none.
Tensor warm_up(const StepState* state, std::int64_t steps_per_epoch, double epochs, Device device);

}  // namespace mld::vae
