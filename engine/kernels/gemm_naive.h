// GEMM as plain loops: the oracle of the fast kernels, and the path of f64 (gradient checks run in double).
// Same layouts and the same meaning of the epilogue as engine/kernels/gemm_kernel.h; sums run in order of k.
#pragma once

#include <cstdint>

#include "engine/kernels/activation.h"
#include "engine/threads/threads.h"

namespace mld::naive {

template <class T>
struct Matrix {
  const T* data = nullptr;
  std::int64_t ld = 0;
  bool transposed = false;  // element (i, j) is data[i * ld + j], or data[j * ld + i] if transposed
};

template <class T>
struct Epilogue {
  const T* bias = nullptr;  // [N]
  const T* add = nullptr;   // [M,N], leading dimension add_ld; may be C itself
  std::int64_t add_ld = 0;
  Activation activation{};
};

// C[M,N] = act(add + A[M,K] * B[K,N] + bias). C may not overlap A or B.
template <class T>
void gemm(std::int64_t m, std::int64_t n, std::int64_t k, Matrix<T> a, Matrix<T> b, T* c, std::int64_t ldc,
          const Epilogue<T>& e = {}) {
  const auto row_of = [&](std::int64_t i) {
    T* row = c + i * ldc;
    for (std::int64_t j = 0; j < n; ++j) row[j] = e.add ? e.add[i * e.add_ld + j] : T(0);
    const auto element = [&](std::int64_t p) {
      return a.transposed ? a.data[p * a.ld + i] : a.data[i * a.ld + p];
    };
    if (b.transposed) {
      for (std::int64_t j = 0; j < n; ++j) {
        const T* column = b.data + j * b.ld;
        T sum = T(0);
        for (std::int64_t p = 0; p < k; ++p) sum += element(p) * column[p];
        row[j] += sum;
      }
    } else {
      for (std::int64_t p = 0; p < k; ++p) {
        const T x = element(p);
        const T* from = b.data + p * b.ld;
        for (std::int64_t j = 0; j < n; ++j) row[j] += x * from[j];
      }
    }
    with_activation(e.activation, [&](auto f) {
      for (std::int64_t j = 0; j < n; ++j) row[j] = f.value(e.bias ? row[j] + e.bias[j] : row[j]);
    });
  };
  parallel_for(m, row_of, m * n * k > 16384 ? max_threads() : 1);
}

}  // namespace mld::naive
