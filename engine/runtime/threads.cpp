#include "engine/runtime/threads.h"

#include <omp.h>

#include "engine/core/error.h"

namespace mld {

void set_threads(int threads) {
  MLD_CHECK_AS(ErrorKind::usage, threads >= 0 && threads <= kMaxThreads, "threads: expected 0 to ",
               kMaxThreads, ", found ", threads);
  omp_set_num_threads(threads > 0 ? threads : omp_get_num_procs());
}

int max_threads() { return omp_get_max_threads(); }

}  // namespace mld
