// Something that ends a process, tried in a child.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

namespace mld::test {

// Runs `f` in a child process and returns how it ended (waitpid's status); `f` returns the exit status.
template <class F>
int in_child(F&& f) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(f());
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

}  // namespace mld::test
