// Number of threads of the cpu kernels. Results do not depend on it.
#pragma once

namespace mld {

constexpr int kMaxThreads = 1024;

void set_threads(int threads);  // 0: as many as there are cores; ErrorKind::usage beyond kMaxThreads
int max_threads();

}  // namespace mld
