// The random choices of a training step of the VAEs, in device memory: functions of seed, step and row alone, so that
// a step can be recorded and a batch cut into shards.
#pragma once

#include <cstdint>
#include <vector>

#include "data/store/batch_order.h"
#include "engine/core/tensor.h"
#include "engine/runtime/step_state.h"
#include "mld/config/choices.h"

namespace mld::vae {

// Draw number 0, 1, ... of a step: standard normal [rows, latent].
Tensor noise(const StepState* state, const data::BatchRows& rows, std::int64_t latent, std::uint32_t number,
             Device device);

// Of each row the component of a mixture of K that serves it, as rows [k B + b] of the components one below the other
// (gaussian.h). MixtureSplit::batch: component k serves the rows from k floor(T / K) on of the T of the whole batch,
// the last also what remains.
Tensor component_rows(MixtureSplit split, std::int64_t components, const data::BatchRows& rows,
                      const StepState* state, Device device);

// Of each of M modalities a column [B,1]: what its message counts in the average. With probability `dropped` a row
// leaves out 1 .. M-1 of them, each number and each set of that size as likely as any other.
std::vector<Tensor> message_weights(double dropped, int modalities, const data::BatchRows& rows,
                                    const StepState* state, Device device);

// [1]: min(1, (e + 1) / epochs) in epoch e = 0, 1, ...; 1 if there are none.
Tensor warm_up(const StepState* state, std::int64_t steps_per_epoch, double epochs, Device device);

}  // namespace mld::vae
