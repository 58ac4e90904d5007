// Errors. The library throws mld::Error and never prints, exits or aborts; only a program's `main` turns the
// kind into an exit code. A message starts with the place (operator, file, key), states what was found and
// what was expected, and ends with the remedy where one is known.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace mld {

// The value is the exit code `mldctl` ends with (docs/file-formats.md lists them for users).
enum class ErrorKind : int {
  usage = 2,     // command line or configuration
  data = 3,      // data set or input file: missing, truncated, corrupt, wrongly shaped
  model = 4,     // checkpoint or model file
  diverged = 5,  // training produced non-finite values too often
  device = 6,    // accelerator absent or lost, or out of memory
  io = 7,        // disk full, unreadable, unwritable
  busy = 8,      // directory in use, or holding another run
  internal = 70  // a broken invariant: a bug of ours or a misuse of the library interface
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const noexcept { return kind_; }

 private:
  ErrorKind kind_;
};

// ErrorKind::device because memory ran out: with less to do at once the same call may succeed.
class OutOfMemory : public Error {
 public:
  explicit OutOfMemory(const std::string& message) : Error(ErrorKind::device, message) {}
};

// Thrown when a progress callback asked to stop; nothing went wrong.
struct Cancelled {};

// Streams all parts into one string.
template <class... Parts>
std::string cat(Parts&&... parts) {
  std::ostringstream out;
  (out << ... << std::forward<Parts>(parts));
  return out.str();
}

template <class... Parts>
[[noreturn]] void fail(ErrorKind kind, Parts&&... parts) {
  throw Error(kind, cat(std::forward<Parts>(parts)...));
}

}  // namespace mld

// Checks input and invariants in every build type (never `assert`).
#define MLD_CHECK_AS(kind, condition, ...)              \
  do {                                                  \
    if (!(condition)) ::mld::fail((kind), __VA_ARGS__); \
  } while (false)
#define MLD_CHECK(condition, ...) MLD_CHECK_AS(::mld::ErrorKind::internal, condition, __VA_ARGS__)
