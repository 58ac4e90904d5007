// Float GEMM on the CPU: raw pointers, no tensors, no autodiff. The autodiff operators wrap it.
//
//   C[M,N] = act( A[M,K] * B[K,N] + bias[N] + add[M,N] )
//
// All matrices are row-major with a leading dimension ld (floats between the starts of consecutive stored
// rows). A matrix marked transposed is stored the other way round: `Matrix{w, in, true}` is the [in,out] view
// of weights stored [out,in], so the three roles of a linear layer with x [M,in], w [out,in], dy [M,out] are
//   forward   gemm(M, out, in,   {x, in},         {w, in, true}, y,  out, {.bias = b});
//   dx        gemm(M, in, out,   {dy, out},       {w, in},       dx, in);
//   dw        gemm(out, in, M,   {dy, out, true}, {x, in},       dw, in, accumulate(dw, in));
//
// Bits: an element of C is the sum, in order of k, of the sums over blocks of kGemmBlockK consecutive k, each
// of them one chain of fused multiply-adds. That order depends on nothing else: not on the number of threads,
// on M and N, on the position of a row in the batch, or on the transpositions.
#pragma once

#include <cstdint>

#include "engine/kernels/activation.h"

namespace mld::cpu {

constexpr std::int64_t kGemmBlockK = 512;

// Element (i, j) is data[i * ld + j], or data[j * ld + i] if transposed.
struct Matrix {
  const float* data = nullptr;
  std::int64_t ld = 0;
  bool transposed = false;
};

// What happens to a tile of C while it is in cache. C starts as `add` (zero if absent), then come the
// products, then bias, then the activation.
struct Epilogue {
  const float* bias = nullptr;  // [N]
  const float* add = nullptr;   // [M,N] with leading dimension add_ld: a residual, or C itself to accumulate;
  std::int64_t add_ld = 0;      // add_ld = 0 adds one row [N] to all rows. May not overlap C otherwise.
  Activation activation{};
};

// C += A * B.
inline Epilogue accumulate(const float* c, std::int64_t ldc) { return {.add = c, .add_ld = ldc}; }

// Any of m, n, k may be 0 (k = 0 leaves act(bias + add)). C may not overlap A or B. Uses the CPU threads,
// or only the calling one inside a parallel loop.
void gemm(std::int64_t m, std::int64_t n, std::int64_t k, Matrix a, Matrix b, float* c, std::int64_t ldc,
          const Epilogue& epilogue = {});

// `batch` independent products; matrix p starts at data + p * stride. The bias is shared, `add`
// moves with add_stride.
struct BatchStrides {
  std::int64_t a = 0, b = 0, c = 0, add = 0;
};
void gemm_batched(std::int64_t batch, std::int64_t m, std::int64_t n, std::int64_t k, Matrix a, Matrix b,
                  float* c, std::int64_t ldc, BatchStrides strides, const Epilogue& epilogue = {});

}  // namespace mld::cpu
