// MLD_HD marks a function that compiles for the host and, in a CUDA build, for the device as well, so that a
// formula is written once for both. This is the only header that knows which compiler reads it.
//
// MLD_CUDA is 1 in a build with CUDA (CMake's MLD_CUDA=ON or emulated) and 0 otherwise; with
// MLD_CUDA_EMULATED the very same kernels are compiled by the host compiler and run by
// tests/cuda_emulation. With MLD_CUDA_F64 the kernels exist in double too: for gradient checks on a GPU, at
// twice the time to compile.
#pragma once

#ifndef MLD_CUDA
#define MLD_CUDA 0
#endif
#ifndef MLD_CUDA_EMULATED
#define MLD_CUDA_EMULATED 0
#endif
#ifndef MLD_CUDA_F64
#define MLD_CUDA_F64 0
#endif

#if defined(__CUDACC__)
#define MLD_HD __host__ __device__ inline
#else
#define MLD_HD inline
#endif

namespace mld {
constexpr bool kCudaBuilt = MLD_CUDA != 0;
}
