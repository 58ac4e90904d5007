// The loops of engine/loops/drivers.h on a GPU: the only kernels of the engine. Same functors, same contract;
// reductions split their extent by constants, so that results depend on nothing but the sizes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "engine/loops/cuda_team.h"
#include "engine/memory/pool.h"

namespace mld::cuda {

constexpr std::int64_t kMaxBlocks = 2048;    // enough to fill any GPU; larger work loops
constexpr std::int64_t kWarpRow = 512;       // rows up to this size are one warp's work
constexpr std::int64_t kReduceChunk = 8192;  // elements of one part of a long reduction
constexpr std::int64_t kMaxParts = 256;
constexpr std::int64_t kColumnChunk = 256;  // rows of a part of reduce_columns: the largest batch of a preset
constexpr std::int64_t kMaxColumnParts = 512;
constexpr int kColumns = kWarp;  // columns of a block of reduce_columns
constexpr int kColumnLanes = kThreads / kColumns;

// Whether a functor type computes in double: a template with double, or such a type, among its arguments.
template <class F>
inline constexpr bool kOfDouble = std::is_same_v<F, double>;
template <template <class...> class F, class... A>
inline constexpr bool kOfDouble<F<A...>> = (kOfDouble<A> || ...);
template <template <class, bool> class F, class A, bool b>
inline constexpr bool kOfDouble<F<A, b>> = kOfDouble<A>;
template <template <class, bool, bool> class F, class A, bool b, bool c>
inline constexpr bool kOfDouble<F<A, b, c>> = kOfDouble<A>;
template <template <class, class, bool> class F, class A, class B, bool b>
inline constexpr bool kOfDouble<F<A, B, b>> = kOfDouble<A> || kOfDouble<B>;

template <class F>
inline constexpr bool kCompiled = MLD_CUDA_F64 || !kOfDouble<F>;

[[noreturn]] inline void no_double() {
  fail(ErrorKind::internal, "cuda: kernels in double are in builds with -DMLD_CUDA_F64=ON only; use f32");
}

inline std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// Memory for one launch after the other; given back in stream order.
class Workspace {
 public:
  Workspace(Device device, std::size_t bytes)
      : pool_(active_pool(device)), bytes_(bytes), data_(bytes ? pool_->allocate(bytes) : nullptr) {}
  ~Workspace() {
    if (data_) pool_->release(data_, bytes_);
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  std::shared_ptr<Pool> pool_;
  std::size_t bytes_;
  void* data_;
};

template <class F>
__global__ void __launch_bounds__(kThreads) for_each_kernel(std::int64_t n, F f) {
  const std::int64_t stride = std::int64_t{gridDim.x} * kThreads;
  for (std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x; i < n; i += stride) f(i);
}

template <class F>
void for_each(Device device, std::int64_t n, const F& f) {
  if constexpr (kCompiled<F>)
    launch(device, for_each_kernel<F>, std::min(ceil_div(n, kThreads), kMaxBlocks), n, f);
  else
    no_double();
}

template <int kSize, class F>
__global__ void __launch_bounds__(kThreads) row_kernel(std::int64_t rows, F f) {
  const Team<kSize> team;
  for (std::int64_t row = team.first_row(); row < rows; row += team.row_stride()) f(row, team);
}

template <class F>
void for_each_row(Device device, std::int64_t rows, std::int64_t work_per_row, const F& f) {
  if constexpr (!kCompiled<F>)
    no_double();
  else if (work_per_row <= kWarpRow)
    launch(device, row_kernel<kWarp, F>, std::min(ceil_div(rows, kThreads / kWarp), kMaxBlocks), rows, f);
  else
    launch(device, row_kernel<kThreads, F>, std::min(rows, kMaxBlocks), rows, f);
}

// The parts of one output, in their order.
template <int kSize, class R>
__device__ void join_parts(const Team<kSize>& team, std::int64_t out, std::int64_t parts, const R& r,
                           const typename R::Acc* partial) {
  using Acc = typename R::Acc;
  const Acc acc = team.fold(
      parts, r.zero(), [&](std::int64_t p) { return partial[out * parts + p]; },
      [&](Acc a, Acc b) { return r.join(a, b); });
  team.once([&] { r.store(out, acc); });
}

// Part p of output o covers the elements [p * chunk, (p + 1) * chunk). With one part the result is stored,
// else it is left in `partial` [outs, parts]; of a single output the block that arrives last joins the parts.
template <int kSize, class R>
__global__ void __launch_bounds__(kThreads)
    reduce_kernel(std::int64_t outs, std::int64_t extent, std::int64_t chunk, std::int64_t parts, R r,
                  typename R::Acc* partial, unsigned* arrivals) {
  using Acc = typename R::Acc;
  const Team<kSize> team;
  for (std::int64_t task = team.first_row(); task < outs * parts; task += team.row_stride()) {
    const std::int64_t out = task / parts, first = task % parts * chunk;
    const std::int64_t count = extent - first < chunk ? extent - first : chunk;
    const Acc acc = team.fold(
        count, r.zero(), [&](std::int64_t j) { return r.load(out, first + j); },
        [&](Acc a, Acc b) { return r.join(a, b); });
    team.once([&] {
      if (partial)
        partial[task] = acc;
      else
        r.store(out, acc);
    });
  }
  if constexpr (kSize == kThreads) {
    if (!arrivals) return;
    __shared__ bool last;
    team.once([&] {  // the thread that wrote the parts of this block
      __threadfence();
      last = atomicAdd(arrivals, 1U) + 1 == gridDim.x;
      __threadfence();
    });
    team.sync();
    if (!last) return;
    join_parts(team, 0, parts, r, partial);
    team.once([&] { *arrivals = 0; });
  }
}

template <class R>
__global__ void __launch_bounds__(kThreads)
    reduce_parts_kernel(std::int64_t outs, std::int64_t parts, R r, const typename R::Acc* partial) {
  const Team<kWarp> team;
  for (std::int64_t out = team.first_row(); out < outs; out += team.row_stride())
    join_parts(team, out, parts, r, partial);
}

template <class R>
void reduce_compiled(Device device, std::int64_t outs, std::int64_t extent, const R& r) {
  using Acc = typename R::Acc;
  const std::int64_t wanted = std::clamp<std::int64_t>(ceil_div(extent, kReduceChunk), 1, kMaxParts);
  const std::int64_t chunk = std::max<std::int64_t>(1, ceil_div(extent, wanted));
  const std::int64_t parts = std::max<std::int64_t>(1, ceil_div(extent, chunk));
  const Workspace partial(device, parts > 1 ? static_cast<std::size_t>(outs * parts) * sizeof(Acc) : 0);
  unsigned* const counter = parts > 1 && outs == 1 ? arrivals(device) : nullptr;
  if (chunk <= kWarpRow)
    launch(device, reduce_kernel<kWarp, R>, std::min(ceil_div(outs * parts, kThreads / kWarp), kMaxBlocks),
           outs, extent, chunk, parts, r, partial.as<Acc>(), nullptr);
  else
    launch(device, reduce_kernel<kThreads, R>, std::min(outs * parts, kMaxBlocks), outs, extent, chunk, parts,
           r, partial.as<Acc>(), counter);
  if (parts > 1 && !counter)
    launch(device, reduce_parts_kernel<R>, std::min(ceil_div(outs, kThreads / kWarp), kMaxBlocks), outs,
           parts, r, static_cast<const Acc*>(partial.as<Acc>()));
}

template <class R>
void reduce(Device device, std::int64_t outs, std::int64_t extent, const R& r) {
  if constexpr (kCompiled<R>)
    reduce_compiled(device, outs, extent, r);
  else
    no_double();
}

// A block takes kColumns columns of one part of the rows of one array; its threads are
// kColumnLanes rows high.
template <class Make, class Acc>
__global__ void __launch_bounds__(kThreads)
    reduce_columns_kernel(std::int64_t batch, std::int64_t rows, std::int64_t columns, std::int64_t chunk,
                          std::int64_t parts, Make make, Acc* partial) {
  __shared__ Acc shared[kColumnLanes][kColumns];
  const std::int64_t strips = (columns + kColumns - 1) / kColumns;
  const int lane = static_cast<int>(threadIdx.x) / kColumns, place = static_cast<int>(threadIdx.x) % kColumns;
  for (std::int64_t task = blockIdx.x; task < batch * parts * strips; task += gridDim.x) {
    const std::int64_t column = task % strips * kColumns + place, part = task / strips % parts;
    const std::int64_t b = task / strips / parts;
    const auto r = make(b);
    Acc acc = r.zero();
    const std::int64_t end = (part + 1) * chunk < rows ? (part + 1) * chunk : rows;
    if (column < columns)
      for (std::int64_t row = part * chunk + lane; row < end; row += kColumnLanes)
        acc = r.join(acc, r.load(column, row));
    shared[lane][place] = acc;
    __syncthreads();
    if (lane == 0 && column < columns) {
      for (int l = 1; l < kColumnLanes; ++l) acc = r.join(acc, shared[l][place]);
      if (partial)
        partial[(b * parts + part) * columns + column] = acc;
      else
        r.store(column, acc);
    }
    __syncthreads();
  }
}

// Joins the parts of a column in order.
template <class Make, class Acc>
struct JoinColumnParts {
  Make make;
  std::int64_t parts, columns;
  const Acc* partial;
  MLD_HD void operator()(std::int64_t i) const {
    const std::int64_t b = i / columns, column = i % columns;
    const auto r = make(b);
    Acc acc = partial[b * parts * columns + column];
    for (std::int64_t p = 1; p < parts; ++p) acc = r.join(acc, partial[(b * parts + p) * columns + column]);
    r.store(column, acc);
  }
};

template <class Make>
void reduce_columns_compiled(Device device, std::int64_t batch, std::int64_t rows, std::int64_t columns,
                             const Make& make) {
  using Acc = typename decltype(make(batch))::Acc;
  const std::int64_t wanted = std::clamp<std::int64_t>(ceil_div(rows, kColumnChunk), 1, kMaxColumnParts);
  const std::int64_t chunk = std::max<std::int64_t>(1, ceil_div(rows, wanted));
  const std::int64_t parts = std::max<std::int64_t>(1, ceil_div(rows, chunk));
  const Workspace partial(device,
                          parts > 1 ? static_cast<std::size_t>(batch * parts * columns) * sizeof(Acc) : 0);
  launch(device, reduce_columns_kernel<Make, Acc>,
         std::min(batch * parts * ceil_div(columns, kColumns), kMaxBlocks), batch, rows, columns, chunk,
         parts, make, partial.as<Acc>());
  if (parts > 1)
    cuda::for_each(device, batch * columns,
                   JoinColumnParts<Make, Acc>{make, parts, columns, partial.as<Acc>()});
}

template <class Make>
void reduce_columns(Device device, std::int64_t batch, std::int64_t rows, std::int64_t columns,
                    const Make& make) {
  if constexpr (kCompiled<Make>)
    reduce_columns_compiled(device, batch, rows, columns, make);
  else
    no_double();
}

}  // namespace mld::cuda
