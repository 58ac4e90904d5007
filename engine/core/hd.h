// MLD_HD marks a function that compiles for the host and, under nvcc, for the device as well, so that a
// formula is written once for both. This is the only header that knows which compiler reads it.
#pragma once

#if defined(__CUDACC__)
#define MLD_HD __host__ __device__ inline
#else
#define MLD_HD inline
#endif
