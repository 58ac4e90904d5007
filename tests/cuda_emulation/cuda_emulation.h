// Kernels on the host: the threads of a block are fibers of one thread, run one after the other between
// barriers, the blocks of a grid likewise. `__shared__` memory is static, so a kernel that forgets to write
// it reads what the previous block left; a barrier that some threads do not reach stops the program. With
// MLDTEST_EMULATION_ORDER=reverse the threads of a block run last to first: a missing barrier changes results.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <typeinfo>
#include <vector>

#include "cuda_runtime.h"

inline thread_local dim3 threadIdx, blockIdx, gridDim;

namespace mld::cuda::emulation {

enum class Barrier { warp, block };
void wait_at(Barrier barrier);  // called by a kernel's thread

// What a node of a graph is: the type of its kernel, or one of these words, or nothing if it is no node.
struct Node {
  const char* word = nullptr;  // "product", "convolution", "copy", "fill"
  const std::type_info* kernel = nullptr;
};

void enqueue(cudaStream_t stream, Node node, std::function<void()> work);
void launch(cudaStream_t stream, const std::type_info& type, unsigned grid, unsigned threads,
            std::function<void()> kernel);

// Of all devices together; 0: what MLDTEST_EMULATION_MEMORY says in bytes, or 16 GiB.
void set_memory_limit(std::size_t bytes);

// What the machine pretends to have: GPUs, and a driver for this version of CUDA (0: none).
void set_machine(int devices, int driver);

void set_dnn_refuses(int status);  // a cudnnStatus_t that every convolution ends with

// The products that have no algorithm.
struct BlasRefuses {
  bool bias = false;        // with the epilogue
  bool bias_apart = false;  // with it, where C is not D
  bool bf16 = false;        // of rounded operands
  bool first = false;       // the first candidate comes with a state that says so
};
void set_blas_refuses(const BlasRefuses& refuses);

// A kernel has failed: every call that looks reports it from now on, until it is set to false.
void set_sick(bool sick);

// From this point of the stream on a block of `size` bytes belongs to somebody who asked for `asked` of them
// (0: to nobody, and what it held is lost). In a build with AddressSanitizer work that touches anything else
// of the block stops the program; other builds do not look.
void mark_owned(cudaStream_t stream, void* block, std::size_t asked, std::size_t size);

// Of the graph that was made last: the word of each node, or the name of its kernel's type.
std::vector<std::string> graph_nodes();

}  // namespace mld::cuda::emulation

inline void __syncthreads() { mld::cuda::emulation::wait_at(mld::cuda::emulation::Barrier::block); }
inline void __threadfence() {}  // blocks run one after the other
inline unsigned atomicAdd(unsigned* at, unsigned n) {
  const unsigned before = *at;
  *at += n;
  return before;
}
inline void __syncwarp() { mld::cuda::emulation::wait_at(mld::cuda::emulation::Barrier::warp); }
