#include "engine/kernels/cuda/gemm.h"

#include <cublasLt.h>

#include <array>
#include <compare>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "engine/base/notes.h"
#include "engine/base/precision.h"
#include "engine/cuda/runtime.h"
#include "engine/loops/cuda_drivers.h"

namespace mld::cuda {
namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;  // what NVIDIA advises for Hopper

void check_blas(cublasStatus_t status, const char* call) {
  MLD_CHECK_AS(ErrorKind::device, status == CUBLAS_STATUS_SUCCESS, "cuda: ", call, ": ",
               cublasLtGetStatusString(status));
}
#define MLD_BLAS_CALL(call) check_blas((call), #call)

// Everything that the choice of an algorithm depends on. The library is column-major: it computes
// C' [N,M] = B' A', so its first operand is our b.
struct Key {
  int device;
  bool is_double, transpose_a, transpose_b, bias, add, in_place;
  Precision precision;
  std::int64_t batch, m, n, k, lda, ldb, ldc, stride_a, stride_b, stride_c;
  std::int64_t align_a, align_b, align_c, align_add, align_bias;
  auto operator<=>(const Key&) const = default;
};

// Greatest power of two, up to 256, that divides the address.
std::int64_t alignment(const void* p) {
  const auto address = reinterpret_cast<std::uintptr_t>(p) | 256;
  return static_cast<std::int64_t>(address & (~address + 1));
}

// What is asked of the library, the best first: what it has no algorithm for is done in another way.
struct Way {
  bool with_bias;  // as the product's epilogue, instead of by a kernel after it
  Precision precision;
};

struct Plan {
  cublasLtMatmulDesc_t op = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr;
  cublasLtMatmulAlgo_t algo{};
  std::size_t way = 0;  // number in ways()
  bool with_bias = false;
};

cublasLtMatrixLayout_t layout(cudaDataType_t type, std::int64_t rows, std::int64_t columns, std::int64_t ld,
                              std::int64_t batch, std::int64_t stride) {
  cublasLtMatrixLayout_t l = nullptr;
  MLD_BLAS_CALL(cublasLtMatrixLayoutCreate(&l, type, static_cast<std::uint64_t>(rows),
                                           static_cast<std::uint64_t>(columns), ld));
  const auto count = static_cast<std::int32_t>(batch);
  MLD_BLAS_CALL(
      cublasLtMatrixLayoutSetAttribute(l, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count));
  MLD_BLAS_CALL(cublasLtMatrixLayoutSetAttribute(l, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride,
                                                 sizeof stride));
  return l;
}

// One per device, never destroyed: the driver may be gone before static objects are.
struct Library {
  cublasLtHandle_t handle = nullptr;
  void* workspace = nullptr;
  std::map<Key, Plan> plans;
};

Library& library(Device device) {
  static auto* all = new std::map<int, Library>;
  Library& l = (*all)[device.index];
  if (!l.handle) {
    (void)stream(device);
    MLD_BLAS_CALL(cublasLtCreate(&l.handle));
    l.workspace = allocate(device, kWorkspaceBytes);
    MLD_CHECK_AS(ErrorKind::device, l.workspace, "cuda: no memory for the workspace of cuBLAS (",
                 kWorkspaceBytes, " bytes)");
  }
  return l;
}

std::vector<Way> ways(const Key& key) {
  std::vector<Way> all{{key.bias, key.precision}};
  if (key.bias) all.push_back({false, key.precision});
  if (key.is_double || key.precision == Precision::fp32) return all;
  all.push_back({key.bias, Precision::fp32});
  if (key.bias) all.push_back({false, Precision::fp32});
  return all;
}

cublasComputeType_t compute_type(const Key& key, Precision precision) {
  if (key.is_double) return CUBLAS_COMPUTE_64F;
  switch (precision) {
    case Precision::fp32:
      return CUBLAS_COMPUTE_32F;
    case Precision::tf32:
      return CUBLAS_COMPUTE_32F_FAST_TF32;
    case Precision::bf16:
      return CUBLAS_COMPUTE_32F_FAST_16BF;
  }
  return CUBLAS_COMPUTE_32F;
}

std::string text(const Key& key) {
  return cat("a product of [", key.m, ",", key.k, "] and [", key.k, ",", key.n, "]",
             key.bias ? " with a bias" : "", " in ", key.is_double ? "f64" : precision_name(key.precision));
}

// Whether there is an algorithm for the plan.
cublasStatus_t choose_algorithm(const Library& l, const Key& key, Plan& plan) {
  cublasLtMatmulPreference_t preference = nullptr;
  MLD_BLAS_CALL(cublasLtMatmulPreferenceCreate(&preference));
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t what, auto value) {
    MLD_BLAS_CALL(cublasLtMatmulPreferenceSetAttribute(preference, what, &value, sizeof value));
  };
  set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{kWorkspaceBytes});
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, static_cast<std::uint32_t>(key.align_b));
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, static_cast<std::uint32_t>(key.align_a));
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, static_cast<std::uint32_t>(key.align_add));
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, static_cast<std::uint32_t>(key.align_c));
  std::array<cublasLtMatmulHeuristicResult_t, 8> found{};
  int count = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(l.handle, plan.op, plan.a, plan.b, plan.c, plan.c, preference,
                                     static_cast<int>(found.size()), found.data(), &count);
  (void)cublasLtMatmulPreferenceDestroy(preference);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  for (const auto& candidate : std::span(found).first(static_cast<std::size_t>(count)))
    if (candidate.state == CUBLAS_STATUS_SUCCESS) {
      plan.algo = candidate.algo;
      return CUBLAS_STATUS_SUCCESS;
    }
  return CUBLAS_STATUS_NOT_SUPPORTED;
}

// The best plan from way number `first` on. The bias is asked for with the product, as its alignment counts.
Plan make_plan(const Library& l, const Key& key, const void* bias, std::size_t first) {
  Plan plan;
  const cudaDataType_t type = key.is_double ? CUDA_R_64F : CUDA_R_32F;
  // A row-major [R,C] is a column-major [C,R]; our b, as it is stored, is the first operand.
  plan.a = layout(type, key.transpose_b ? key.k : key.n, key.transpose_b ? key.n : key.k, key.ldb, key.batch,
                  key.stride_b);
  plan.b = layout(type, key.transpose_a ? key.m : key.k, key.transpose_a ? key.k : key.m, key.lda, key.batch,
                  key.stride_a);
  plan.c = layout(type, key.n, key.m, key.ldc, key.batch, key.stride_c);
  const std::vector<Way> all = ways(key);
  cublasStatus_t status = CUBLAS_STATUS_NOT_SUPPORTED;
  for (plan.way = first; plan.way < all.size(); ++plan.way) {
    const Way& way = all[plan.way];
    MLD_BLAS_CALL(cublasLtMatmulDescCreate(&plan.op, compute_type(key, way.precision), type));
    const auto set = [&](cublasLtMatmulDescAttributes_t what, auto value) {
      MLD_BLAS_CALL(cublasLtMatmulDescSetAttribute(plan.op, what, &value, sizeof value));
    };
    set(CUBLASLT_MATMUL_DESC_TRANSA, key.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_TRANSB, key.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
    plan.with_bias = way.with_bias;
    if (way.with_bias) {
      set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
      set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    }
    status = choose_algorithm(l, key, plan);
    if (status != CUBLAS_STATUS_SUCCESS) continue;
    if (plan.way > 0)
      note_once(cat("cuBLASLt does not do ", text(key), " as asked; ",
                    way.precision == key.precision ? "the bias is added after it" : "it is computed in f32"));
    return plan;
  }
  fail(ErrorKind::device, "cuda: cuBLASLt has no algorithm for ", text(key), ": ",
       cublasLtGetStatusString(status));
}

// The plan of a kind of products, made at the first of them.
Plan& plan_of(Library& l, const Key& key, const void* bias) {
  const auto it = l.plans.find(key);
  if (it != l.plans.end()) return it->second;
  MLD_CHECK(!capturing({DeviceKind::cuda, key.device}), "cuda: ", text(key),
            " is met for the first time while a step is being recorded, where libraries refuse to choose an "
            "algorithm; run the step once before, or set MLD_NO_GRAPH=1");
  return l.plans.emplace(key, make_plan(l, key, bias, 0)).first->second;
}

template <class T>
Key key_of(Device device, const Product<T>& p) {
  return {.device = device.index,
          .is_double = std::is_same_v<T, double>,
          .transpose_a = p.a.transposed,
          .transpose_b = p.b.transposed,
          .bias = p.bias != nullptr,
          .add = p.add != nullptr,
          .in_place = p.add == p.c,
          .precision = precision(),
          .batch = p.batch,
          .m = p.m,
          .n = p.n,
          .k = p.k,
          .lda = p.a.ld,
          .ldb = p.b.ld,
          .ldc = p.ldc,
          .stride_a = p.stride_a,
          .stride_b = p.stride_b,
          .stride_c = p.stride_c,
          .align_a = alignment(p.a.data),
          .align_b = alignment(p.b.data),
          .align_c = alignment(p.c),
          .align_add = alignment(p.add ? p.add : p.c),
          .align_bias = p.bias ? alignment(p.bias) : 0};
}

// What is left of a product with K = 0, and the bias of one in double.
template <class T>
struct AddBias {
  Product<T> p;
  bool product;  // C holds a product (with `add` in it) already
  MLD_HD void operator()(std::int64_t i) const {
    const std::int64_t column = i % p.n, row = i / p.n % p.m, matrix = i / p.n / p.m;
    const std::int64_t at = matrix * p.stride_c + row * p.ldc + column;
    const T sum = product ? p.c[at] : p.add ? p.add[at] : T(0);
    p.c[at] = p.bias ? sum + p.bias[column] : sum;
  }
};

std::mutex& mutex() {
  static auto* m = new std::mutex;
  return *m;
}

}  // namespace

template <class T>
void gemm(Device device, const Product<T>& product) {
  const std::int64_t outputs = product.batch * product.m * product.n;
  if (outputs == 0) return;
  if (product.k == 0) return cuda::for_each(device, outputs, AddBias<T>{product, false});
  constexpr bool kDouble = std::is_same_v<T, double>;
  Product<T> p = product;
  if (kDouble) p.bias = nullptr;  // cuBLASLt promises that epilogue for single precision only

  const std::lock_guard lock(mutex());
  Library& l = library(device);
  const Key key = key_of(device, p);
  Plan& plan = plan_of(l, key, p.bias);
  const T alpha = 1, beta = p.add ? 1 : 0;
  for (;;) {
    if (plan.with_bias)
      MLD_BLAS_CALL(
          cublasLtMatmulDescSetAttribute(plan.op, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &p.bias, sizeof p.bias));
    const cublasStatus_t status = cublasLtMatmul(l.handle, plan.op, &alpha, p.b.data, plan.a, p.a.data,
                                                 plan.b, &beta, p.add ? p.add : p.c, plan.c, p.c, plan.c,
                                                 &plan.algo, l.workspace, kWorkspaceBytes, stream(device));
    if (status == CUBLAS_STATUS_SUCCESS) break;
    const bool refused = status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_INVALID_VALUE;
    if (!refused) check_blas(status, "cublasLtMatmul");
    plan = make_plan(l, key, p.bias, plan.way + 1);  // what it promised and does not do
  }
  if (product.bias && !plan.with_bias) cuda::for_each(device, outputs, AddBias<T>{product, true});
}

template void gemm<float>(Device, const Product<float>&);
template void gemm<double>(Device, const Product<double>&);

}  // namespace mld::cuda
