// Indices and class labels (i32) that come from data.
#pragma once

#include <cstdint>

#include "engine/core/tensor.h"

namespace mld {

// Throws ErrorKind::data naming the first index outside lowest..count-1. On the cpu only: elsewhere the values are
// not at hand, and kernels turn such an index into NaN.
inline void check_indices(const char* op, const Tensor& index, std::int64_t count, std::int64_t lowest = 0) {
  if (index.device().kind != DeviceKind::cpu) return;
  const std::int32_t* values = index.ptr<std::int32_t>();
  for (std::int64_t i = 0; i < index.numel(); ++i)
    MLD_CHECK_AS(ErrorKind::data, values[i] >= lowest && values[i] < count, op, ": index ", values[i],
                 " at place ", i, " is outside ", lowest, "..", count - 1);
}

// x [...,K] of a float type with one i32 label per row.
inline void check_rows_of_classes(const char* op, const Tensor& x, const Tensor& labels) {
  MLD_CHECK(x.shape().rank() > 0, op, ": needs at least one axis, shape is ", x.shape());
  Shape rows;
  for (int axis = 0; axis + 1 < x.shape().rank(); ++axis) rows.push_back(x.shape()[axis]);
  MLD_CHECK(labels.defined() && labels.dtype() == DType::i32 && labels.device() == x.device() &&
                labels.shape() == rows,
            op, ": x ", x.shape(), " (", x.device(), ") needs i32 labels ", rows, ", got ", labels.shape(),
            " ", dtype_name(labels.dtype()), " (", labels.device(), ")");
}

}  // namespace mld
