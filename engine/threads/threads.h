// The CPU threads of the host loops. Nothing that is computed depends on their number.
//
// A loop is cut into pieces, which whoever is awake takes one after the other, the calling thread among them:
// a thread that the system does not let run is never waited for, unless it holds a piece. Threads without
// work spin for a bounded time and then sleep.
#pragma once

#include <cstdint>
#include <string>

namespace mld {

constexpr int kMaxThreads = 1024;

// 0: default_threads() of engine/threads/cpus.h. ErrorKind::usage outside 0 .. kMaxThreads. For all threads
// of the process, from their next loop on.
void set_threads(int threads);
int max_threads();
std::string describe_threads();  // "2 (OMP_NUM_THREADS)"
bool in_parallel();              // within a piece of a loop: loops in it run on this thread alone

namespace threads {
using Piece = void (*)(const void* f, std::int64_t first, std::int64_t last);
void run(std::int64_t n, int threads, Piece piece, const void* f);
}  // namespace threads

// f(first, last) for ranges that together are [0, n), on up to `threads` threads. The ranges depend on
// `threads`: what f makes of an index may not depend on where its range begins and ends. Throws what the
// first range, in order of the indices, that failed threw; some of the others may have run then.
template <class F>
void parallel_ranges(std::int64_t n, const F& f, int threads = max_threads()) {
  threads::run(
      n, threads,
      [](const void* body, std::int64_t first, std::int64_t last) {
        (*static_cast<const F*>(body))(first, last);
      },
      &f);
}

// f(i) for i in [0, n).
template <class F>
void parallel_for(std::int64_t n, const F& f, int threads = max_threads()) {
  parallel_ranges(
      n,
      [&f](std::int64_t first, std::int64_t last) {
        for (std::int64_t i = first; i < last; ++i) f(i);
      },
      threads);
}

}  // namespace mld
