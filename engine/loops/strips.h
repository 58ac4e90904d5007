// Copies of bytes within one device: what joining, slicing and their gradients are made of. On a GPU up to
// kStripsAtOnce of them are one kernel, as the number of kernels is what a small step costs there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/base/device.h"

namespace mld {

constexpr int kStripsAtOnce = 4;

// Rows of `width` bytes that start `from_stride` and `to_stride` bytes apart.
struct Strip {
  const std::byte* from;
  std::byte* to;
  std::int64_t from_stride, to_stride, width;
};

// Each strip has `rows` rows. No strip may read or write where another one writes.
void copy_strips(Device device, std::int64_t rows, std::span<const Strip> strips);

}  // namespace mld
