// The loops that operators are written with: for_each (pointwise work), for_each_row, reduce (row-wise) and
// reduce_columns. They take functors of raw pointers and scalars, so that the text of a formula is what
// every backend compiles. In a build with CUDA a source that calls them is compiled by nvcc
// (mld_device_sources in CMake), and a functor is then a named type at namespace scope with MLD_HD members:
// lambdas cannot be kernels.
//
// Results never depend on the number of threads: for_each has no cross-element state; reductions split their
// extent in blocks of fixed size, accumulate a block in kLanes interleaved partial results (which the
// compiler turns into vector lanes), and join lanes and blocks in index order. Loops run on a local copy of
// the functor: its scalars then cannot alias what it writes, and stay in registers.
//
// A reducer R provides:
//   using Acc = ...;                      trivially copyable
//   Acc zero() const;                     neutral element
//   Acc load(i64 out, i64 j) const;       element j of output `out`
//   Acc join(Acc a, Acc b) const;
//   void store(i64 out, Acc a) const;
// On a GPU joins are grouped otherwise, in an order that the sizes alone decide.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/base/device.h"
#include "engine/loops/team.h"
#include "engine/threads/threads.h"
#if MLD_CUDA
#include "engine/loops/cuda_drivers.h"
#endif

namespace mld {

namespace driver {

constexpr std::int64_t kGrain = 8192;  // elements below which a second thread costs more than it brings
constexpr std::int64_t kBlock = 4096;  // extent of one block of a reduction
constexpr std::int64_t kRowBlock = 256;
constexpr std::int64_t kStrip = 512;  // columns of one task of reduce_columns

inline int threads_for(std::int64_t elements) { return elements < kGrain ? 1 : max_threads(); }

// Not inlined, so that a functor's loop is compiled once for short and long extents.
template <class F>
[[gnu::noinline]] void for_range(std::int64_t first, std::int64_t last, const F& functor) {
  const F f = functor;
#pragma GCC ivdep
  for (std::int64_t i = first; i < last; ++i) f(i);
}

template <class F>
void for_each_cpu(std::int64_t n, const F& f) {
  if (n < kGrain) return for_range(0, n, f);
  const std::int64_t chunks = (n + kGrain - 1) / kGrain;
  parallel_ranges(chunks, [&](std::int64_t first, std::int64_t last) {
    for_range(first * kGrain, std::min(n, last * kGrain), f);
  });
}

template <class R>
[[gnu::noinline]] typename R::Acc reduce_block(const R& r, std::int64_t out, std::int64_t first,
                                               std::int64_t last) {
  using Acc = typename R::Acc;
  return fold_lanes(
      first, last, r.zero(), [&r, out](std::int64_t j) { return r.load(out, j); },
      [&r](Acc a, Acc b) { return r.join(a, b); });
}

template <class R>
void reduce_cpu(std::int64_t outs, std::int64_t extent, const R& r) {
  const std::int64_t blocks = (extent + kBlock - 1) / kBlock;
  if (blocks <= 1)
    return parallel_for(
        outs, [&](std::int64_t o) { r.store(o, reduce_block(r, o, 0, extent)); }, threads_for(outs * extent));
  std::vector<typename R::Acc> partial(static_cast<std::size_t>(outs * blocks));
  parallel_for(outs * blocks, [&](std::int64_t k) {
    const std::int64_t first = k % blocks * kBlock;
    partial[static_cast<std::size_t>(k)] =
        reduce_block(r, k / blocks, first, std::min(extent, first + kBlock));
  });
  for (std::int64_t o = 0; o < outs; ++o) {
    typename R::Acc acc = partial[static_cast<std::size_t>(o * blocks)];
    for (std::int64_t b = 1; b < blocks; ++b)
      acc = r.join(acc, partial[static_cast<std::size_t>(o * blocks + b)]);
    r.store(o, acc);
  }
}

// Same contract with `out` = column and j = row of a row-major [rows, columns] array, read along the rows;
// and that for each of `batch` such arrays, with the reducer make(b).
template <class Make>
void reduce_columns_cpu(std::int64_t batch, std::int64_t rows, std::int64_t columns, const Make& make) {
  using Acc = typename decltype(make(batch))::Acc;
  const std::int64_t blocks = std::max<std::int64_t>(1, (rows + kRowBlock - 1) / kRowBlock);
  const std::int64_t strips = (columns + kStrip - 1) / kStrip;
  const auto partial =
      std::make_unique_for_overwrite<Acc[]>(static_cast<std::size_t>(batch * blocks * columns));
  const int threads = threads_for(batch * rows * columns);
  const auto part = [&](std::int64_t task) {
    const std::int64_t strip = task % strips, block = task / strips % blocks, b = task / strips / blocks;
    const auto r = make(b);
    Acc* acc = partial.get() + (b * blocks + block) * columns;
    const std::int64_t first = strip * kStrip, last = std::min(columns, first + kStrip);
    for (std::int64_t c = first; c < last; ++c) acc[c] = r.zero();
    const std::int64_t end = std::min(rows, (block + 1) * kRowBlock);
    for (std::int64_t row = block * kRowBlock; row < end; ++row) {
#pragma GCC ivdep
      for (std::int64_t c = first; c < last; ++c) acc[c] = r.join(acc[c], r.load(c, row));
    }
  };
  const auto join = [&](std::int64_t b) {
    const auto r = make(b);
    Acc* acc = partial.get() + b * blocks * columns;
    for (std::int64_t block = 1; block < blocks; ++block)
      for (std::int64_t c = 0; c < columns; ++c) acc[c] = r.join(acc[c], acc[block * columns + c]);
    for (std::int64_t c = 0; c < columns; ++c) r.store(c, acc[c]);
  };
  parallel_for(batch * blocks * strips, part, threads);
  parallel_for(batch, join, threads);
}

// A row functor on one thread.
template <class F>
struct Alone {
  F f;
  void operator()(std::int64_t row) const { f(row, OneThread{}); }
};

// One array: every batch index has the same reducer.
template <class R>
struct Same {
  R r;
  MLD_HD R operator()(std::int64_t) const { return r; }
};

}  // namespace driver

// f(row) for rows whose functor is written for the vector units of a CPU; not on a cuda device.
template <class F>
void for_each_host_row(Device device, std::int64_t rows, std::int64_t work_per_row, F f) {
  submit(device, [=] {
    const auto some = [&f](std::int64_t first, std::int64_t last) {
      const F local = f;
      for (std::int64_t row = first; row < last; ++row) local(row);
    };
    parallel_ranges(rows, some, driver::threads_for(rows * work_per_row));
  });
}

// The drivers for functors that are a cuda device's alone, where the cpu takes another way
// (for_each_host_row): no host loop is compiled for them, and nothing at all in a build without CUDA.
namespace gpu {

#if MLD_CUDA
using cuda::for_each;
using cuda::for_each_row;
using cuda::reduce_columns;
#else
template <class F>
void for_each(Device, std::int64_t, const F&) {}
template <class F>
void for_each_row(Device, std::int64_t, std::int64_t, const F&) {}
template <class Make>
void reduce_columns(Device, std::int64_t, std::int64_t, std::int64_t, const Make&) {}
#endif

template <class R>
void reduce_columns(Device device, std::int64_t rows, std::int64_t columns, const R& r) {
  gpu::reduce_columns(device, 1, rows, columns, driver::Same<R>{r});
}

}  // namespace gpu

// f(i) for i in [0, n), in any order.
template <class F>
void for_each(Device device, std::int64_t n, F f) {
#if MLD_CUDA
  if (device.kind == DeviceKind::cuda) return cuda::for_each(device, n, f);
#endif
  submit(device, [n, f] { driver::for_each_cpu(n, f); });
}

// f(row, team) for few heavy rows (a norm over one row, a softmax): one row is worth a team (team.h).
template <class F>
void for_each_row(Device device, std::int64_t rows, std::int64_t work_per_row, F f) {
#if MLD_CUDA
  if (device.kind == DeviceKind::cuda) return cuda::for_each_row(device, rows, work_per_row, f);
#endif
  for_each_host_row(device, rows, work_per_row, driver::Alone<F>{f});
}

template <class R>
void reduce(Device device, std::int64_t outs, std::int64_t extent, R r) {
#if MLD_CUDA
  if (device.kind == DeviceKind::cuda) return cuda::reduce(device, outs, extent, r);
#endif
  submit(device, [=] { driver::reduce_cpu(outs, extent, r); });
}

// The middle axis of [batch, rows, columns]: make(b) gives the reducer of array b.
template <class Make>
void reduce_columns(Device device, std::int64_t batch, std::int64_t rows, std::int64_t columns, Make make) {
#if MLD_CUDA
  if (device.kind == DeviceKind::cuda) return cuda::reduce_columns(device, batch, rows, columns, make);
#endif
  submit(device, [=] { driver::reduce_columns_cpu(batch, rows, columns, make); });
}

template <class R>
void reduce_columns(Device device, std::int64_t rows, std::int64_t columns, R r) {
  reduce_columns(device, 1, rows, columns, driver::Same<R>{r});
}

}  // namespace mld
