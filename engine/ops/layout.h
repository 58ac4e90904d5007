// Copies that rearrange: concat, slice, permute, gather. Tensors have no strides, so these are real copies
// with trivial adjoints. reshape shares memory.
#pragma once

#include <initializer_list>
#include <span>
#include <vector>

#include "engine/core/tape.h"

namespace mld {

Var reshape(const Var& x, const Shape& shape);
Var concat(std::span<const Var> parts, int axis);
Var slice(const Var& x, int axis, std::int64_t first, std::int64_t count);
Var permute(const Var& x, std::initializer_list<int> order);  // output axis i is input axis order[i]
// Rows of a table: [V, ...] and i32 indices of any shape [...] give [..., ...]. Embedding is this operator on
// a parameter. Index -1 gives zeros, and its row of the gradient goes nowhere; others outside 0..V-1 throw on the cpu. Backward adds rows in index order (deterministic).
Var gather_rows(const Var& table, const Tensor& index);
inline Var detach(const Var& x) { return x.value; }  // the value as a constant

}  // namespace mld
