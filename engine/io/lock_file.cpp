#include "engine/io/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "engine/io/file_error.h"

namespace mld {
namespace {

// The owner writes its id just after it gets the lock; in the instant between, the file is empty.
std::string owner(int fd) {
  char text[32];
  const ssize_t size = ::pread(fd, text, sizeof text, 0);
  std::string digits;
  for (ssize_t i = 0; i < size && text[i] >= '0' && text[i] <= '9'; ++i) digits += text[i];
  return digits.empty() ? "another process" : "process " + digits;
}

}  // namespace

LockFile::LockFile(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / ".lock";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd < 0) fail_io(path, "create the lock", errno);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    const std::string who = owner(fd);
    ::close(fd);
    if (error != EWOULDBLOCK) fail_io(path, "lock the folder", error);
    fail(ErrorKind::busy, folder.string(), ": in use by ", who,
         "; wait until it ends, stop it, or choose another folder");
  }
  // The id only serves other processes' messages: a disk too full for it does not stop us.
  const std::string id = std::to_string(::getpid()) + "\n";
  [[maybe_unused]] const bool told =
      ::ftruncate(fd, 0) == 0 && ::pwrite(fd, id.data(), id.size(), 0) == static_cast<ssize_t>(id.size());
  fd_ = fd;
}

LockFile::~LockFile() {
  if (fd_ < 0) return;
  [[maybe_unused]] const int result = ::ftruncate(fd_, 0);
  ::close(fd_);
}

LockFile::LockFile(LockFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

LockFile& LockFile::operator=(LockFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

}  // namespace mld
