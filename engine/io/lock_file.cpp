#include "engine/io/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "engine/io/file_error.h"

namespace mld {
namespace {

// The owner writes its id just after it gets the lock; in the instant between, the file is empty.
std::string read_owner(int fd) {
  char text[32];
  const ssize_t size = ::pread(fd, text, sizeof text, 0);
  std::string digits;
  for (ssize_t i = 0; i < size && text[i] >= '0' && text[i] <= '9'; ++i) digits += text[i];
  return digits.empty() ? "another process" : "process " + digits;
}

}  // namespace

LockFile::LockFile(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / ".lock";
  Descriptor fd(::open(path.c_str(), O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!fd) fail_io(path, "create the lock", errno);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) fail_io(path, "create the lock", errno);
  MLD_CHECK_AS(ErrorKind::io, S_ISREG(status.st_mode) && status.st_nlink == 1, path.string(),
               ": cannot be the lock: is ",
               S_ISREG(status.st_mode) ? cat("a file of ", status.st_nlink, " names") : file_type(status),
               "; remove it");
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    const std::string who = read_owner(fd.get());
    if (error != EWOULDBLOCK) fail_io(path, "lock the folder", error);
    fail(ErrorKind::busy, folder.string(), ": in use by ", who,
         "; wait until it ends, stop it, or choose another folder");
  }
  // The id only serves other processes' messages: a disk too full for it does not stop us.
  const std::string id = std::to_string(::getpid()) + "\n";
  [[maybe_unused]] const bool told =
      ::ftruncate(fd.get(), 0) == 0 &&
      ::pwrite(fd.get(), id.data(), id.size(), 0) == static_cast<ssize_t>(id.size());
  fd_ = std::move(fd);
}

std::string LockFile::owner(const std::filesystem::path& folder) {
  const Descriptor fd(::open((folder / ".lock").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return {};
  // Whether the folder is in use only the kernel's lock tells. It is tried only where the file names a
  // process, since trying takes the lock for an instant.
  char first = 0;
  const bool is_signed = ::pread(fd.get(), &first, 1, 0) == 1;
  const bool in_use = is_signed && ::flock(fd.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  return in_use ? read_owner(fd.get()) : std::string();
}

LockFile::~LockFile() {
  if (!fd_) return;
  [[maybe_unused]] const int result = ::ftruncate(fd_.get(), 0);
}

LockFile& LockFile::operator=(LockFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

}  // namespace mld
