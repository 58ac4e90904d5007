#include "engine/kernels/gemm_tiles.h"

#include <cstring>
#include <utility>

#include "engine/threads/threads.h"

// The kernels of this file ask for fused multiply-adds although the project compiles with -ffp-contract=off:
// vector types have no fma of their own.
#if defined(__clang__)
#define MLD_FMA
#define MLD_FMA_BODY _Pragma("clang fp contract(fast)")
#else
#define MLD_FMA __attribute__((optimize("fp-contract=fast")))
#define MLD_FMA_BODY
#endif

namespace mld::cpu {
namespace {

typedef float Vec __attribute__((vector_size(kLane * sizeof(float))));
typedef float VecUnaligned
    __attribute__((vector_size(kLane * sizeof(float)), aligned(alignof(float)), may_alias));
constexpr int kPanelVecs = kPanelColumns / kLane;

Vec load(const float* p) { return *reinterpret_cast<const VecUnaligned*>(p); }
void store(float* p, Vec v) { *reinterpret_cast<VecUnaligned*>(p) = v; }

// The register tile: Rows x Vecs accumulators, one chain of fma per element over all segments.
template <int Rows, int Vecs>
MLD_FMA void kernel(const Segment* segments, int segment_count, const float* panel, float* const* c,
                    std::int64_t j0, bool add) {
  MLD_FMA_BODY
  Vec acc[Rows][Vecs];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < Vecs; ++v) {
      acc[i][v] = Vec{};
      __builtin_prefetch(c[i] + j0 + v * kLane, 1);
    }
  }
  for (int s = 0; s < segment_count; ++s) {
    const float* row[Rows];
    for (int i = 0; i < Rows; ++i) row[i] = segments[s].row[i];
    const std::int64_t step = segments[s].step, end = segments[s].length * step;
    for (std::int64_t k = 0; k < end; k += step) {
      Vec b[Vecs];
#pragma GCC unroll 4
      for (int v = 0; v < Vecs; ++v) b[v] = load(panel + v * kLane);
#pragma GCC unroll 16
      for (int i = 0; i < Rows; ++i) {
        const float a = row[i][k];
#pragma GCC unroll 4
        for (int v = 0; v < Vecs; ++v) acc[i][v] = acc[i][v] + a * b[v];
      }
      panel += Vecs * kLane;
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
    float* to = c[i] + j0;
#pragma GCC unroll 4
    for (int v = 0; v < Vecs; ++v) store(to + v * kLane, add ? load(to + v * kLane) + acc[i][v] : acc[i][v]);
  }
}

using Kernel = void (*)(const Segment*, int, const float*, float* const*, std::int64_t, bool);

template <std::size_t... I>
constexpr auto kernel_table(std::index_sequence<I...>) {
  struct Table {
    Kernel at[kTileRows * kPanelVecs];
  };
  return Table{{&kernel<static_cast<int>(I) / kPanelVecs + 1, static_cast<int>(I) % kPanelVecs + 1>...}};
}
constexpr auto kKernels = kernel_table(std::make_index_sequence<kTileRows * kPanelVecs>{});

// Interleave within 128-bit lanes (a0 b0 a1 b1 / a2 b2 a3 b3), and the even / odd 128-bit lanes of a then b.
constexpr int low_index(int i) { return i / 4 * 4 + i % 4 / 2 + i % 2 * kLane; }
constexpr int high_index(int i) { return low_index(i) + 2; }
constexpr int even_index(int i) { return i / 4 * 8 + i % 4; }
constexpr int odd_index(int i) { return even_index(i) + 4; }
#define MLD_SHUFFLE(name)                                         \
  template <int... I>                                             \
  Vec name##_of(Vec a, Vec b, std::integer_sequence<int, I...>) { \
    return __builtin_shufflevector(a, b, name##_index(I)...);     \
  }                                                               \
  Vec name(Vec a, Vec b) { return name##_of(a, b, std::make_integer_sequence<int, kLane>{}); }
MLD_SHUFFLE(low)
MLD_SHUFFLE(high)
MLD_SHUFFLE(even)
MLD_SHUFFLE(odd)
#undef MLD_SHUFFLE

// Transposes kLane x kLane floats in registers: 4 x 4 blocks within the 128-bit lanes, then the lanes.
void transpose_block(const float* src, std::int64_t src_ld, float* dst, std::int64_t dst_ld) {
  Vec r[kLane];
#pragma GCC unroll 4
  for (int g = 0; g < kLane; g += 4) {
    const float* from = src + g * src_ld;
    const Vec a = load(from), b = load(from + src_ld), c = load(from + 2 * src_ld),
              d = load(from + 3 * src_ld);
    const Vec ac0 = low(a, c), ac1 = high(a, c), bd0 = low(b, d), bd1 = high(b, d);
    r[g] = low(ac0, bd0), r[g + 1] = high(ac0, bd0), r[g + 2] = low(ac1, bd1), r[g + 3] = high(ac1, bd1);
  }
#pragma GCC unroll 4
  for (int q = 0; q < 4; ++q) {
    float* to = dst + q * dst_ld;
    if constexpr (kLane == 4) {
      store(to, r[q]);
    } else if constexpr (kLane == 8) {
      store(to, even(r[q], r[4 + q]));
      store(to + 4 * dst_ld, odd(r[q], r[4 + q]));
    } else {
      const Vec e0 = even(r[q], r[4 + q]), o0 = odd(r[q], r[4 + q]);
      const Vec e1 = even(r[8 + q], r[12 + q]), o1 = odd(r[8 + q], r[12 + q]);
      store(to, even(e0, e1));
      store(to + 4 * dst_ld, even(o0, o1));
      store(to + 8 * dst_ld, odd(e0, e1));
      store(to + 12 * dst_ld, odd(o0, o1));
    }
  }
}

// dst[c * dst_ld + r] = src[r * src_ld + c].
void transpose(const float* src, std::int64_t src_ld, std::int64_t rows, std::int64_t columns, float* dst,
               std::int64_t dst_ld) {
  for (std::int64_t r = 0; r < rows; r += kLane)
    for (std::int64_t c = 0; c < columns; c += kLane) {
      if (r + kLane <= rows && c + kLane <= columns) {
        transpose_block(src + r * src_ld + c, src_ld, dst + c * dst_ld + r, dst_ld);
        continue;
      }
      for (std::int64_t i = r; i < std::min(rows, r + kLane); ++i)
        for (std::int64_t j = c; j < std::min(columns, c + kLane); ++j)
          dst[j * dst_ld + i] = src[i * src_ld + j];
    }
}

}  // namespace

float* Scratch::get(std::int64_t floats) {
  if (floats > size_) {
    data_.reset();
    size_ = 0;
    data_.reset(static_cast<float*>(
        ::operator new (static_cast<std::size_t>(floats) * sizeof(float), std::align_val_t{64})));
    size_ = floats;
  }
  return data_.get();
}

int worthwhile_threads(std::int64_t multiply_adds) {
  constexpr std::int64_t kWorth = 1 << 18;  // about 5 us on a core; below it another thread does not pay
  if (in_parallel()) return 1;
  return static_cast<int>(std::clamp<std::int64_t>(multiply_adds / kWorth, 1, max_threads()));
}

void multiply_tile(const TileRows& rows, const Segment* segments, int segment_count, const float* panel,
                   std::int64_t j0, int columns, bool add) {
  const int vecs = static_cast<int>(ceil_div(columns, kLane));
  const Kernel run = kKernels.at[(rows.count - 1) * kPanelVecs + vecs - 1];
  if (columns == vecs * kLane) return run(segments, segment_count, panel, rows.c, j0, add);
  float tile[kTileRows][kPanelColumns];
  float* to[kTileRows];
  for (int i = 0; i < kTileRows; ++i) to[i] = tile[i];
  run(segments, segment_count, panel, to, 0, false);
  for (int i = 0; i < rows.count; ++i) {
    float* c = rows.c[i] + j0;
    for (int j = 0; j < columns; ++j) c[j] = add ? c[j] + tile[i][j] : tile[i][j];
  }
}

void finish_tile(const TileRows& rows, std::int64_t j0, int columns, const float* bias,
                 Activation activation) {
  if (bias == nullptr && activation.kind == Act::none) return;
  static constexpr float kNoBias[kPanelColumns] = {};
  const float* const add = bias == nullptr ? kNoBias : bias + j0;
  with_activation(activation, [&](auto f) {
    for (int i = 0; i < rows.count; ++i) {
      float* const c = rows.c[i] + j0;
      if (columns == kPanelColumns) {
#pragma GCC ivdep
        for (int j = 0; j < kPanelColumns; ++j) c[j] = f.value(c[j] + add[j]);
      } else {
        for (int j = 0; j < columns; ++j) c[j] = f.value(c[j] + add[j]);
      }
    }
  });
}

void pack_block(const Matrix& b, std::int64_t j0, std::int64_t j1, std::int64_t k0, std::int64_t depth,
                float* dst) {
  const std::int64_t edge = (j1 - j0) % kPanelColumns, width = padded_columns(edge);
  float* const last = dst + (j1 - j0 - edge) * depth;
  for (std::int64_t k = 0; edge < width && k < depth; ++k)
    std::fill(last + k * width + edge, last + (k + 1) * width, 0.0f);
  if (b.transposed) {
    for (std::int64_t j = j0; j < j1; j += kPanelColumns) {
      const std::int64_t columns = std::min<std::int64_t>(kPanelColumns, j1 - j);
      transpose(b.data + j * b.ld + k0, b.ld, columns, depth, dst + (j - j0) * depth,
                padded_columns(columns));
    }
    return;
  }
  constexpr std::int64_t kAhead = 8;  // rows lie on different pages, which the hardware does not prefetch
  for (std::int64_t k = 0; k < depth; ++k) {
    const float* src = b.data + (k0 + k) * b.ld + j0;
    for (float* to = dst + k * kPanelColumns; to < last; to += depth * kPanelColumns, src += kPanelColumns) {
      for (int v = 0; v < kPanelVecs; ++v) __builtin_prefetch(src + kAhead * b.ld + v * kLane);
      std::memcpy(to, src, kPanelColumns * sizeof(float));
    }
    copy_short(src, edge, last + k * width);
  }
}

void pack_tiles(const float* a, std::int64_t ld, std::int64_t i0, std::int64_t i1, std::int64_t k0,
                std::int64_t depth, float* dst) {
  for (std::int64_t i = i0; i < i1; i += kTileRows) {
    const std::int64_t count = std::min<std::int64_t>(kTileRows, i1 - i);
    const float* src = a + k0 * ld + i;
    for (std::int64_t k = 0; k < depth; ++k, src += ld, dst += kTileRows) copy_short(src, count, dst);
  }
}

}  // namespace mld::cpu
