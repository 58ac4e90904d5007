#include "engine/io/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "engine/io/file_error.h"

namespace mld {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTail = ".tmp";

fs::path resolve_links(const fs::path& path) {
  std::error_code error;
  if (!fs::is_symlink(path, error)) return path;
  const fs::path target = fs::weakly_canonical(path, error);
  if (error) fail_io(path, "follow the link", error.value());
  return target;
}

bool is_ours(const struct stat& status) {
  return S_ISREG(status.st_mode) && status.st_uid == ::geteuid() && status.st_nlink == 1;
}

[[noreturn]] void fail_foreign(const fs::path& path, const fs::path& temporary, const struct stat& status) {
  const std::string found = !S_ISREG(status.st_mode)       ? file_type(status)
                            : status.st_uid != ::geteuid() ? cat("a file of user ", status.st_uid)
                                                           : cat("a file of ", status.st_nlink, " names");
  fail(ErrorKind::io, path.string(), ": cannot write: ", temporary.string(), " is ", found,
       " that this program did not make; move it away");
}

[[noreturn]] void fail_busy(const fs::path& path) {
  fail(ErrorKind::busy, path.string(),
       ": another process is writing this file; wait for it or choose another name");
}

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

// Whether `fd` holds its lock, and `name` still means the file.
bool lock(int fd, const fs::path& name, bool& busy) {
  // A file system without locks only loses the protection against two simultaneous writers.
  busy = ::flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  if (busy) return false;
  struct stat held {
  }, named{};
  return ::fstat(fd, &held) == 0 && ::lstat(name.c_str(), &named) == 0 && same_file(held, named);
}

// Removes the temporary of a killed process. Its last owner may have renamed or removed it meanwhile, then
// this is to be tried again.
void remove_stale(const fs::path& path, const fs::path& temporary) {
  struct stat status {};
  if (::lstat(temporary.c_str(), &status) != 0) {
    if (errno == ENOENT) return;
    fail_io(path, "write", errno);
  }
  if (!is_ours(status)) fail_foreign(path, temporary, status);
  const Descriptor fd(::open(temporary.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
  if (!fd && errno == ENOENT) return;
  if (!fd) fail_io(path, "write", errno);
  bool busy = false;
  if (lock(fd.get(), temporary, busy) && ::unlink(temporary.c_str()) != 0) fail_io(path, "write", errno);
  if (busy) fail_busy(path);
}

// Makes the temporary and holds its lock.
Descriptor make_temporary(const fs::path& path, const fs::path& temporary, mode_t mode) {
  for (;;) {
    Descriptor fd(::open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (!fd && errno != EEXIST) fail_io(path, "write", errno);
    bool busy = false;
    if (!fd)
      remove_stale(path, temporary);
    else if (lock(fd.get(), temporary, busy))
      return fd;
    if (busy) fail_busy(path);
  }
}

}  // namespace

AtomicFile::AtomicFile(const fs::path& path, Links links, Flush flush)
    : path_(links == Links::follow ? resolve_links(path) : path), flush_(flush) {
  struct stat old {};
  const bool exists = ::lstat(path_.c_str(), &old) == 0 && !S_ISLNK(old.st_mode);
  MLD_CHECK_AS(ErrorKind::io, !exists || S_ISREG(old.st_mode), path_.string(),
               ": cannot write: exists and is not a regular file but ", file_type(old),
               "; choose another name");
  temporary_ = path_;
  temporary_.replace_filename(cat('.', path_.filename().string(), kTail));
  fd_ = make_temporary(path_, temporary_, exists ? old.st_mode & 0666 : 0666);
  if (exists) keep_permissions(fd_.get(), old);
}

AtomicFile::~AtomicFile() {
  if (fd_) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  write_all(size_, bytes);
  size_ += static_cast<std::int64_t>(bytes.size());
}

void AtomicFile::write_at(std::int64_t offset, std::span<const std::byte> bytes) {
  MLD_CHECK(offset >= 0 && offset + static_cast<std::int64_t>(bytes.size()) <= size_, path_.string(),
            ": write_at beyond the end");
  write_all(offset, bytes);
}

void AtomicFile::write_all(std::int64_t offset, std::span<const std::byte> bytes) {
  MLD_CHECK(fd_, path_.string(), ": written after commit");
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd_.get(), bytes.data(), bytes.size(), offset);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_io(path_, "write", errno);
    if (written == 0) fail_io(path_, "write", ENOSPC);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += written;
  }
}

void AtomicFile::commit() {
  MLD_CHECK(fd_, path_.string(), ": committed twice");
  if (flush_ == Flush::now && ::fsync(fd_.get()) != 0) fail_io(path_, "flush to disk", errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_io(path_, "replace", errno);
  fd_.reset();
  if (flush_ == Flush::now) flush_folder(parent_folder(path_));
}

void write_file_atomically(const fs::path& path, std::span<const std::byte> bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

void write_file_atomically(const fs::path& path, std::string_view text) {
  write_file_atomically(path, std::as_bytes(std::span(text)));
}

fs::path temporary_target(const fs::path& path) {
  const std::string name = path.filename().string();
  if (name.size() <= kTail.size() + 1 || !name.starts_with('.') || !name.ends_with(kTail)) return {};
  return path.parent_path() / name.substr(1, name.size() - 1 - kTail.size());
}

bool is_own_temporary(const fs::path& path) {
  struct stat status {};
  return !temporary_target(path).empty() && ::lstat(path.c_str(), &status) == 0 && is_ours(status);
}

void remove_own_temporaries(const fs::path& folder) {
  for (const fs::path& path : list_folder(folder)) {
    if (!is_own_temporary(path)) continue;
    const Descriptor fd(::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
    bool busy = false;
    if (fd && lock(fd.get(), path, busy)) ::unlink(path.c_str());
  }
}

}  // namespace mld
