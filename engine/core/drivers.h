// The only loops of the engine: for_each (pointwise work), reduce (row-wise) and reduce_columns. They take
// functors of raw pointers and scalars, so that the text of a formula is what every backend compiles.
//
// Results never depend on the number of threads: for_each has no cross-element state; reductions split their
// extent in blocks of fixed size, accumulate a block in kLanes interleaved partial results (which the compiler
// turns into vector lanes), and join lanes and blocks in index order.
//
// A reducer R provides:
//   using Acc = ...;                      trivially copyable
//   Acc zero() const;                     neutral element
//   Acc load(i64 out, i64 j) const;       element j of output `out`
//   Acc join(Acc a, Acc b) const;
//   void store(i64 out, Acc a) const;
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/core/device.h"

namespace mld {

namespace driver {

constexpr std::int64_t kGrain = 8192;  // elements below which a second thread costs more than it brings
constexpr std::int64_t kBlock = 4096;  // extent of one block of a reduction
constexpr std::int64_t kRowBlock = 256;
constexpr int kLanes = 16;

template <class F>
void for_each_cpu(std::int64_t n, const F& f) {
  if (n < kGrain) {
#pragma GCC ivdep
    for (std::int64_t i = 0; i < n; ++i) f(i);
    return;
  }
  const std::int64_t chunks = (n + kGrain - 1) / kGrain;
#pragma omp parallel for schedule(static)
  for (std::int64_t c = 0; c < chunks; ++c) {
    const std::int64_t end = std::min(n, (c + 1) * kGrain);
#pragma GCC ivdep
    for (std::int64_t i = c * kGrain; i < end; ++i) f(i);
  }
}

template <class R>
typename R::Acc reduce_block(const R& r, std::int64_t out, std::int64_t first, std::int64_t last) {
  typename R::Acc lanes[kLanes];
  for (auto& lane : lanes) lane = r.zero();
  std::int64_t j = first;
  for (; j + kLanes <= last; j += kLanes)
    for (int l = 0; l < kLanes; ++l) lanes[l] = r.join(lanes[l], r.load(out, j + l));
  for (int l = 0; j < last; ++j, ++l) lanes[l] = r.join(lanes[l], r.load(out, j));
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int l = 0; l < width; ++l) lanes[l] = r.join(lanes[l], lanes[l + width]);
  return lanes[0];
}

template <class R>
void reduce_cpu(std::int64_t outs, std::int64_t extent, const R& r) {
  const std::int64_t blocks = (extent + kBlock - 1) / kBlock;
  if (blocks <= 1) {
#pragma omp parallel for schedule(static) if (outs > 1 && outs * extent >= kGrain)
    for (std::int64_t o = 0; o < outs; ++o) r.store(o, reduce_block(r, o, 0, extent));
    return;
  }
  std::vector<typename R::Acc> partial(static_cast<std::size_t>(outs * blocks));
#pragma omp parallel for schedule(static)
  for (std::int64_t k = 0; k < outs * blocks; ++k) {
    const std::int64_t first = k % blocks * kBlock;
    partial[static_cast<std::size_t>(k)] = reduce_block(r, k / blocks, first, std::min(extent, first + kBlock));
  }
  for (std::int64_t o = 0; o < outs; ++o) {
    typename R::Acc acc = partial[static_cast<std::size_t>(o * blocks)];
    for (std::int64_t b = 1; b < blocks; ++b) acc = r.join(acc, partial[static_cast<std::size_t>(o * blocks + b)]);
    r.store(o, acc);
  }
}

// Same contract with `out` = column and j = row of a row-major [rows, columns] array, read along the rows.
template <class R>
void reduce_columns_cpu(std::int64_t rows, std::int64_t columns, const R& r) {
  const std::int64_t blocks = std::max<std::int64_t>(1, (rows + kRowBlock - 1) / kRowBlock);
  std::vector<typename R::Acc> partial(static_cast<std::size_t>(blocks * columns), r.zero());
#pragma omp parallel for schedule(static) if (blocks > 1 && rows * columns >= kGrain)
  for (std::int64_t b = 0; b < blocks; ++b) {
    typename R::Acc* acc = partial.data() + b * columns;
    const std::int64_t end = std::min(rows, (b + 1) * kRowBlock);
    for (std::int64_t row = b * kRowBlock; row < end; ++row) {
#pragma GCC ivdep
      for (std::int64_t c = 0; c < columns; ++c) acc[c] = r.join(acc[c], r.load(c, row));
    }
  }
  for (std::int64_t b = 1; b < blocks; ++b) {
    const typename R::Acc* more = partial.data() + b * columns;
    for (std::int64_t c = 0; c < columns; ++c)
      partial[static_cast<std::size_t>(c)] = r.join(partial[static_cast<std::size_t>(c)], more[c]);
  }
  for (std::int64_t c = 0; c < columns; ++c) r.store(c, partial[static_cast<std::size_t>(c)]);
}

}  // namespace driver

// f(i) for i in [0, n), in any order.
template <class F>
void for_each(Device device, std::int64_t n, F f) {
  submit(device, [n, f] { driver::for_each_cpu(n, f); });
}

// f(row) for few heavy rows (a norm over one row, a softmax): one iteration is worth a thread.
template <class F>
void for_each_row(Device device, std::int64_t rows, std::int64_t work_per_row, F f) {
  submit(device, [=] {
#pragma omp parallel for schedule(static) if (rows > 1 && rows * work_per_row >= driver::kGrain)
    for (std::int64_t row = 0; row < rows; ++row) f(row);
  });
}

template <class R>
void reduce(Device device, std::int64_t outs, std::int64_t extent, R r) {
  submit(device, [=] { driver::reduce_cpu(outs, extent, r); });
}

template <class R>
void reduce_columns(Device device, std::int64_t rows, std::int64_t columns, R r) {
  submit(device, [=] { driver::reduce_columns_cpu(rows, columns, r); });
}

}  // namespace mld
