// Random fills and dropout, all pure functions of (seed, step, site, row, element) by the convention of
// engine/random/philox.h: nothing is stored, and dropout's mask is computed again in backward. `site` names
// the drawing call and is fixed by the caller. A double holds the same value as a float would.
#pragma once

#include <cstdint>
#include <span>

#include "engine/core/tape.h"
#include "engine/runtime/step_state.h"

namespace mld {

// Where the stream of a draw is: seed and step from a train step's StepState in device memory; or given, the
// step by value or in device memory, as a recorded step needs it.
struct DrawKey {
  const StepState* state = nullptr;  // if set, seed and step are read from it when the work runs
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  std::uint32_t site = 0;
  const std::int32_t* step_at = nullptr;  // if set, the step is read from it when the work runs
  std::int64_t first_row = 0;             // of the draw: what row 0 of the tensor is
};

// out [B,...]: row b of the tensor is row `key.first_row + b` of the draw, or rows[b] if given (i32 [B], on the
// device of out). Values of a row do not depend on the other rows.
void fill_normal(const Tensor& out, DrawKey key, const Tensor& rows = {});
void fill_uniform(const Tensor& out, DrawKey key, const Tensor& rows = {});  // [0,1)

// Zeroes elements (or, with `channels`, whole channels: the last axis of a sample) with probability p and
// scales the others by 1/(1-p). Row = key.first_row + index along the first axis.
Var dropout(const Var& x, double p, DrawKey key, bool channels = false);

}  // namespace mld
