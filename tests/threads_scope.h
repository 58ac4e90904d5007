// Sets the number of CPU threads for a scope.
#pragma once

#include "engine/threads/threads.h"

namespace mld::test {

class Threads {
 public:
  explicit Threads(int count) : before_(max_threads()) { set_threads(count); }
  ~Threads() { set_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

}  // namespace mld::test
