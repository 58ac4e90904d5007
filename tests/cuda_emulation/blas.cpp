#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <type_traits>
#include <vector>

#include "cublasLt.h"
#include "cuda_emulation.h"

struct EmulatedMatmulDesc {
  cublasComputeType_t compute;
  cublasOperation_t transpose_a = CUBLAS_OP_N, transpose_b = CUBLAS_OP_N;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const void* bias = nullptr;
};
struct EmulatedLayout {
  cudaDataType_t type;
  std::uint64_t rows, columns;
  std::int64_t ld, stride = 0;
  std::int32_t batch = 1;
};
struct EmulatedPreference {};
struct EmulatedLibrary {};

namespace {

// Round to nearest, `dropped` bits of the mantissa off.
float rounded(float x, unsigned dropped) {
  if (dropped == 0) return x;
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t half = (1u << (dropped - 1)) - 1 + (bits >> dropped & 1);
  return std::bit_cast<float>((bits + half) & ~((1u << dropped) - 1));
}

unsigned dropped_bits(cublasComputeType_t compute) {
  if (compute == CUBLAS_COMPUTE_32F_FAST_TF32) return 13;
  if (compute == CUBLAS_COMPUTE_32F_FAST_16BF) return 16;
  return 0;
}

template <class T>
T operand(const T* data, std::int64_t at, unsigned dropped) {
  if constexpr (std::is_same_v<T, float>)
    return rounded(data[at], dropped);
  else
    return data[at];
}

template <class T>
void multiply(const EmulatedMatmulDesc& op, T alpha, const T* a, const EmulatedLayout& la, const T* b,
              const EmulatedLayout& lb, T beta, const T* c, const EmulatedLayout& lc, T* d) {
  const bool ta = op.transpose_a == CUBLAS_OP_T, tb = op.transpose_b == CUBLAS_OP_T;
  const auto m = static_cast<std::int64_t>(lc.rows), n = static_cast<std::int64_t>(lc.columns);
  const auto k = static_cast<std::int64_t>(ta ? la.rows : la.columns);
  const unsigned dropped = dropped_bits(op.compute);
  // A column by column, so that the compiler's vector units share a column's sums.
  std::vector<double> left(static_cast<std::size_t>(m * k)), sums(static_cast<std::size_t>(m));
  double* const sum = sums.data();
  for (std::int64_t p = 0; p < lc.batch; ++p) {
    for (std::int64_t l = 0; l < k; ++l)
      for (std::int64_t i = 0; i < m; ++i)
        left[static_cast<std::size_t>(l * m + i)] =
            static_cast<double>(operand(a, p * la.stride + (ta ? i * la.ld + l : l * la.ld + i), dropped));
    for (std::int64_t j = 0; j < n; ++j) {
      std::fill(sums.begin(), sums.end(), 0.0);
      for (std::int64_t l = 0; l < k; ++l) {
        const auto right =
            static_cast<double>(operand(b, p * lb.stride + (tb ? l * lb.ld + j : j * lb.ld + l), dropped));
        const double* column = left.data() + l * m;
        for (std::int64_t i = 0; i < m; ++i) sum[i] += column[i] * right;
      }
      for (std::int64_t i = 0; i < m; ++i) {
        const std::int64_t at = p * lc.stride + j * lc.ld + i;
        T value = alpha * static_cast<T>(sum[i]);
        if (beta != T(0)) value += beta * c[at];
        if (op.epilogue == CUBLASLT_EPILOGUE_BIAS) value += static_cast<const T*>(op.bias)[i];
        d[at] = value;
      }
    }
  }
}

// Sizes and leading dimensions must fit one another, as the library demands.
bool fits(const EmulatedMatmulDesc& op, const EmulatedLayout& a, const EmulatedLayout& b,
          const EmulatedLayout& c) {
  const bool ta = op.transpose_a == CUBLAS_OP_T, tb = op.transpose_b == CUBLAS_OP_T;
  const auto ld_ok = [](const EmulatedLayout& l) { return l.ld >= static_cast<std::int64_t>(l.rows); };
  return (ta ? a.columns : a.rows) == c.rows && (tb ? b.rows : b.columns) == c.columns &&
         (ta ? a.rows : a.columns) == (tb ? b.columns : b.rows) && a.batch == b.batch && b.batch == c.batch &&
         a.type == b.type && b.type == c.type && ld_ok(a) && ld_ok(b) && ld_ok(c);
}

std::atomic<mld::cuda::emulation::BlasRefuses> refuses;

}  // namespace

namespace mld::cuda::emulation {

void set_blas_refuses(const BlasRefuses& all) { refuses = all; }

}  // namespace mld::cuda::emulation

const char* cublasLtGetStatusString(cublasStatus_t status) {
  return status == CUBLAS_STATUS_SUCCESS ? "success" : "an unsupported value or parameter was passed";
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = new EmulatedLibrary;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* desc, cublasComputeType_t compute,
                                        cudaDataType_t) {
  *desc = new EmulatedMatmulDesc{compute};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t what,
                                              const void* value, std::size_t size) {
  const auto take = [&](auto& to) {
    if (size != sizeof to) return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(&to, value, size);
    return CUBLAS_STATUS_SUCCESS;
  };
  switch (what) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return take(desc->transpose_a);
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return take(desc->transpose_b);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return take(desc->epilogue);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return take(desc->bias);
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType_t type,
                                          std::uint64_t rows, std::uint64_t columns, std::int64_t ld) {
  *layout = new EmulatedLayout{type, rows, columns, ld};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t what, const void* value,
                                                std::size_t size) {
  if (what == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT && size == sizeof layout->batch)
    std::memcpy(&layout->batch, value, size);
  else if (what == CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET && size == sizeof layout->stride)
    std::memcpy(&layout->stride, value, size);
  else
    return CUBLAS_STATUS_INVALID_VALUE;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  *preference = new EmulatedPreference;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t,
                                                    cublasLtMatmulPreferenceAttributes_t what, const void*,
                                                    std::size_t size) {
  const std::size_t wanted = what == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES ? 8 : 4;
  return size == wanted ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete preference;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t op,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t,
                                              cublasLtMatmulPreference_t, int wanted,
                                              cublasLtMatmulHeuristicResult_t* result, int* found) {
  *found = 0;
  if (!fits(*op, *a, *b, *c) || wanted < 1) return CUBLAS_STATUS_INVALID_VALUE;
  const bool bias = op->epilogue == CUBLASLT_EPILOGUE_BIAS;
  if (bias && !op->bias) return CUBLAS_STATUS_INVALID_VALUE;  // its alignment is asked for
  const auto no = refuses.load();
  if ((no.bias && bias) || (no.bf16 && op->compute == CUBLAS_COMPUTE_32F_FAST_16BF))
    return CUBLAS_STATUS_NOT_SUPPORTED;
  if (no.first) result[(*found)++] = {.algo = {{13}}, .state = CUBLAS_STATUS_NOT_SUPPORTED};
  if (*found < wanted) result[(*found)++] = {.algo = {}, .state = CUBLAS_STATUS_SUCCESS};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t op, const void* alpha, const void* a,
                              cublasLtMatrixLayout_t la, const void* b, cublasLtMatrixLayout_t lb,
                              const void* beta, const void* c, cublasLtMatrixLayout_t lc, void* d,
                              cublasLtMatrixLayout_t, const cublasLtMatmulAlgo_t* algo, void*, std::size_t,
                              cudaStream_t stream) {
  if (!fits(*op, *la, *lb, *lc) || algo->data[0] != 0) return CUBLAS_STATUS_INVALID_VALUE;
  if (refuses.load().bias_apart && op->epilogue == CUBLASLT_EPILOGUE_BIAS && c != d)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  const auto run = [&]<class T>() {
    mld::cuda::emulation::enqueue(
        stream, {.word = "product"},
        [=, op = *op, la = *la, lb = *lb, lc = *lc, alpha = *static_cast<const T*>(alpha),
         beta = *static_cast<const T*>(beta)] {
          multiply<T>(op, alpha, static_cast<const T*>(a), la, static_cast<const T*>(b), lb, beta,
                      static_cast<const T*>(c), lc, static_cast<T*>(d));
        });
  };
  if (lc->type == CUDA_R_32F)
    run.template operator()<float>();
  else
    run.template operator()<double>();
  return CUBLAS_STATUS_SUCCESS;
}
