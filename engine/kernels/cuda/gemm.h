// Matrix products on a GPU through cuBLASLt, in our row-major terms:
//
//   C[M,N] = A[M,K] * B[K,N] + add[M,N] + bias[N]     for each of `batch` matrices
//
// Plans (descriptors and the algorithm that the library's heuristic names) are made at the first call of a
// kind and kept, so that a captured step finds them. One workspace per device, on the one compute stream.
#pragma once

#include <cstdint>

#include "engine/base/device.h"

namespace mld::cuda {

// Element (i, j) is data[i * ld + j], or data[j * ld + i] if transposed.
template <class T>
struct Matrix {
  const T* data = nullptr;
  std::int64_t ld = 0;
  bool transposed = false;
};

template <class T>
struct Product {
  std::int64_t batch = 1, m = 0, n = 0, k = 0;
  Matrix<T> a, b;
  T* c = nullptr;
  std::int64_t ldc = 0;
  const T* add = nullptr;                                 // rows as far apart as those of C; may be C itself
  const T* bias = nullptr;                                // [N]
  std::int64_t stride_a = 0, stride_b = 0, stride_c = 0;  // from matrix to matrix, `add` as C
};

// T is float, in the arithmetic of engine/base/precision.h, or double.
template <class T>
void gemm(Device device, const Product<T>& product);

}  // namespace mld::cuda
