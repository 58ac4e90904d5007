// The building blocks below GEMM and convolution: B packed in panels, and a register tile of C multiplied
// from it.
//
// A tile is up to kTileRows rows of C by one panel of at most kPanelColumns columns. Its rows of A are read
// through one pointer per row with a common step along k, and k may be cut in segments with new pointers. So
// a row of a matrix, a patch of an image and a patch of a gradient are all read where they lie; only A stored
// [k,m] is copied.
//
// Packed B of one K block: panels one after the other, panel j at columns [j * kPanelColumns, ...), each
// [depth, width] with width = its columns rounded up to kLane (zero filled). The panel at column j0 starts
// depth * j0 floats after the first.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include "engine/kernels/gemm_kernel.h"

namespace mld::cpu {

// Registers decide: kTileRows * kPanelColumns / kLane accumulators, kPanelColumns / kLane of B, one of A.
#if defined(__AVX512F__)
constexpr int kLane = 16, kTileRows = 8, kPanelColumns = 32;
#elif defined(__AVX__)
constexpr int kLane = 8, kTileRows = 6, kPanelColumns = 16;
#elif defined(__ARM_NEON)
constexpr int kLane = 4, kTileRows = 8, kPanelColumns = 8;
#else
constexpr int kLane = 4, kTileRows = 4, kPanelColumns = 8;
#endif

constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
constexpr std::int64_t padded_columns(std::int64_t n) { return ceil_div(n, kLane) * kLane; }

// A stretch of k: element k of row i of A is row[i][k * step].
struct Segment {
  const float* row[kTileRows];
  std::int64_t length, step = 1;
};

// Where the rows of a tile go, and what they start from: add[0] null means zero, add[i] may be c[i] itself.
struct TileRows {
  int count = 0;
  float* c[kTileRows];
  const float* add[kTileRows];
};

// c[i][j0 + j] = or += sum over one K block of A[i][k] * panel[k][j], j < columns <= kPanelColumns.
void multiply_tile(const TileRows& rows, const Segment* segments, int segment_count, const float* panel,
                   std::int64_t j0, int columns, bool add);

// c[i][j] = act(c[i][j] + bias[j]) for j in [j0, j0 + columns).
void finish_tile(const TileRows& rows, std::int64_t j0, int columns, const float* bias,
                 Activation activation);

// Packs b at columns [j0, j1), j0 the start of a panel, k in [k0, k0 + depth).
void pack_block(const Matrix& b, std::int64_t j0, std::int64_t j1, std::int64_t k0, std::int64_t depth,
                float* dst);

// Packs a, stored [k, m], for tiles: rows [i0, i1), k in [k0, k0 + depth). Tile t starts t * kTileRows *
// depth floats after the first and is [depth, kTileRows]; element k of its row i is dst[k * kTileRows + i].
void pack_tiles(const float* a, std::int64_t ld, std::int64_t i0, std::int64_t i1, std::int64_t k0,
                std::int64_t depth, float* dst);

// Copies few floats, without the cost of a call; nothing beyond them is touched.
inline void copy_short(const float* src, std::int64_t count, float* dst) {
  typedef float Four __attribute__((vector_size(16), aligned(4), may_alias));
  typedef float Lane __attribute__((vector_size(kLane * sizeof(float)), aligned(4), may_alias));
  std::int64_t i = 0;
  for (; i + kLane <= count; i += kLane)
    *reinterpret_cast<Lane*>(dst + i) = *reinterpret_cast<const Lane*>(src + i);
  for (; i + 4 <= count; i += 4) *reinterpret_cast<Four*>(dst + i) = *reinterpret_cast<const Four*>(src + i);
  for (; i < count; ++i) dst[i] = src[i];
}

// Work space of a thread, kept between calls and grown when needed; 64-byte aligned, contents undefined.
class Scratch {
 public:
  float* get(std::int64_t floats);

 private:
  struct Free {
    void operator()(float* p) const { ::operator delete (p, std::align_val_t{64}); }
  };
  std::unique_ptr<float, Free> data_;
  std::int64_t size_ = 0;
};

// One K block of rows [i0, i1) by columns [j0, j1): `packed` is that block of B at these columns.
struct Block {
  std::int64_t i0, i1, j0, j1, depth;
  const float* packed;
  bool first, last;  // of the K blocks
};

// Columns of B that stay in the second-level cache while the rows of A pass by.
constexpr std::int64_t strip_columns(std::int64_t depth) {
  return std::max<std::int64_t>(1, 32768 / std::max<std::int64_t>(depth, 1) / kPanelColumns) * kPanelColumns;
}

// tile(i, rows, segments) describes the rows i ... i + rows.count - 1 in this K block and returns the number
// of segments.
template <class Tile>
void multiply_block(const Block& b, const float* bias, Activation activation, Segment* segments,
                    const Tile& tile) {
  const std::int64_t strip = strip_columns(b.depth);
  for (std::int64_t s = b.j0; s < b.j1; s += strip)
    for (std::int64_t i = b.i0; i < b.i1; i += kTileRows) {
      TileRows rows;
      rows.count = static_cast<int>(std::min<std::int64_t>(kTileRows, b.i1 - i));
      const int segment_count = tile(i, rows, segments);
      for (std::int64_t j = s; j < std::min(b.j1, s + strip); j += kPanelColumns) {
        const int columns = static_cast<int>(std::min<std::int64_t>(kPanelColumns, b.j1 - j));
        if (b.first && rows.add[0] != nullptr && rows.add[0] != rows.c[0])
          for (int r = 0; r < rows.count; ++r) std::copy_n(rows.add[r] + j, columns, rows.c[r] + j);
        multiply_tile(rows, segments, segment_count, b.packed + (j - b.j0) * b.depth, j, columns,
                      !b.first || rows.add[0] != nullptr);
        if (b.last) finish_tile(rows, j, columns, bias, activation);
      }
    }
}

// Threads worth using for this many multiply-adds; 1 inside a parallel loop.
int worthwhile_threads(std::int64_t multiply_adds);

}  // namespace mld::cpu
