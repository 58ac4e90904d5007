#include "engine/kernels/gemm_kernel.h"

#include "engine/kernels/gemm_tiles.h"
#include "engine/threads/threads.h"

namespace mld::cpu {
namespace {

using i64 = std::int64_t;

constexpr i64 kFewRows = 256;
constexpr i64 kGroupColumns = 2 * kPanelColumns;  // what a thread packs at once
constexpr i64 kRowBlock = 8 * kTileRows;          // by_rows: what a thread multiplies at once, at most
constexpr i64 kSharedFloats = 1 << 21;            // by_rows: packed B at once, at least one panel

struct Product {
  i64 m, n, k;
  Matrix a, b;
  float* c;
  i64 ldc;
  Epilogue e;
  const float* tiles = nullptr;  // a packed for tiles in K blocks, if a is transposed

  i64 blocks() const { return std::max<i64>(1, ceil_div(k, kGemmBlockK)); }
  i64 depth(i64 block) const { return std::min(kGemmBlockK, k - block * kGemmBlockK); }
};

void multiply(const Product& p, i64 block, i64 i0, i64 i1, i64 j0, i64 j1, const float* packed) {
  const i64 k0 = block * kGemmBlockK, depth = p.depth(block);
  const i64 tiles_before = k0 * ceil_div(p.m, kTileRows) * kTileRows;
  Segment segment;
  multiply_block({i0, i1, j0, j1, depth, packed, block == 0, block + 1 == p.blocks()}, p.e.bias,
                 p.e.activation, &segment, [&](i64 i, TileRows& rows, Segment* s) {
                   s->length = depth;
                   s->step = p.tiles == nullptr ? 1 : kTileRows;
                   rows.add[0] = nullptr;
                   for (int r = 0; r < rows.count; ++r) {
                     s->row[r] = p.tiles == nullptr ? p.a.data + (i + r) * p.a.ld + k0
                                                    : p.tiles + tiles_before + i * depth + r;
                     rows.c[r] = p.c + (i + r) * p.ldc;
                     if (p.e.add != nullptr) rows.add[r] = p.e.add + (i + r) * p.e.add_ld;
                   }
                   return 1;
                 });
}

Scratch& packed_b() {
  thread_local Scratch scratch;
  return scratch;
}

// Few rows: a thread packs a group of columns for itself, multiplies all rows by it at once,
// and takes the next.
void by_columns(const Product& p, int threads) {
  const auto group = [&p](i64 g) {
    float* const packed = packed_b().get(kGroupColumns * std::min(p.k, kGemmBlockK));
    const i64 j0 = g * kGroupColumns, j1 = std::min(p.n, j0 + kGroupColumns);
    for (i64 block = 0; block < p.blocks(); ++block) {
      pack_block(p.b, j0, j1, block * kGemmBlockK, p.depth(block), packed);
      multiply(p, block, 0, p.m, j0, j1, packed);
    }
  };
  parallel_for(ceil_div(p.n, kGroupColumns), group, threads);
}

// Columns [c0, c1): the threads pack them together, then share out blocks of rows.
void by_rows(const Product& p, i64 c0, i64 c1, int threads, float* packed) {
  const i64 width = padded_columns(c1 - c0), groups = ceil_div(c1 - c0, kGroupColumns);
  const i64 share = ceil_div(p.m, 2 * threads * kTileRows) * kTileRows,
            row_block = std::min(share, kRowBlock);
  const auto pack = [&](i64 t) {
    const i64 block = t / groups, depth = p.depth(block), j0 = c0 + t % groups * kGroupColumns;
    pack_block(p.b, j0, std::min(c1, j0 + kGroupColumns), block * kGemmBlockK, depth,
               packed + block * kGemmBlockK * width + (j0 - c0) * depth);
  };
  const auto rows = [&](i64 t) {
    for (i64 block = 0; block < p.blocks(); ++block)
      multiply(p, block, t * row_block, std::min(p.m, (t + 1) * row_block), c0, c1,
               packed + block * kGemmBlockK * width);
  };
  parallel_for(groups * p.blocks(), pack, threads);
  parallel_for(ceil_div(p.m, row_block), rows, threads);
}

// Packs A stored [k,m].
const float* pack_a(const Product& p, int threads, Scratch& scratch) {
  const i64 rows = ceil_div(p.m, kTileRows) * kTileRows, tasks = ceil_div(p.m, kRowBlock);
  float* const packed = scratch.get(rows * p.k);
  const auto pack = [&](i64 t) {
    const i64 block = t / tasks, i0 = t % tasks * kRowBlock, k0 = block * kGemmBlockK, depth = p.depth(block);
    pack_tiles(p.a.data, p.a.ld, i0, std::min(p.m, i0 + kRowBlock), k0, depth,
               packed + k0 * rows + i0 * depth);
  };
  parallel_for(tasks * p.blocks(), pack, threads);
  return packed;
}

}  // namespace

void gemm(i64 m, i64 n, i64 k, Matrix a, Matrix b, float* c, i64 ldc, const Epilogue& epilogue) {
  if (m <= 0 || n <= 0) return;
  thread_local Scratch scratch_a;
  Product p{m, n, k, a, b, c, ldc, epilogue};
  const int threads = worthwhile_threads(m * n * k);
  if (a.transposed && k > 0) p.tiles = pack_a(p, threads, scratch_a);
  if (m <= kFewRows && n >= 2 * threads * kGroupColumns) return by_columns(p, threads);
  const i64 fit = std::max<i64>(1, kSharedFloats / std::max<i64>(1, k) / kPanelColumns) * kPanelColumns;
  float* const packed = packed_b().get(padded_columns(std::min(n, fit)) * k);
  for (i64 c0 = 0; c0 < n; c0 += fit) by_rows(p, c0, std::min(n, c0 + fit), threads, packed);
}

void gemm_batched(i64 batch, i64 m, i64 n, i64 k, Matrix a, Matrix b, float* c, i64 ldc, BatchStrides strides,
                  const Epilogue& epilogue) {
  const auto product = [&](i64 p) {
    Epilogue e = epilogue;
    if (e.add != nullptr) e.add += p * strides.add;
    gemm(m, n, k, {a.data + p * strides.a, a.ld, a.transposed}, {b.data + p * strides.b, b.ld, b.transposed},
         c + p * strides.c, ldc, e);
  };
  const int threads = worthwhile_threads(batch * m * n * k);
  if (batch < 2 * threads) {
    for (i64 p = 0; p < batch; ++p) product(p);
    return;
  }
  parallel_for(batch, product, threads);
}

}  // namespace mld::cpu
