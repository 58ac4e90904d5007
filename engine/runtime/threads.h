// Number of threads of the cpu kernels. Results do not depend on it.
#pragma once

namespace mld {

void set_threads(int threads);  // 0: as many as there are cores
int max_threads();

}  // namespace mld
