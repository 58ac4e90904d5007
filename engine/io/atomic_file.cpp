#include "engine/io/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "engine/io/file_error.h"

namespace mld {
namespace {

std::filesystem::path resolve_links(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_symlink(path, ignored)) return path;
  std::filesystem::path target = std::filesystem::weakly_canonical(path, ignored);
  return target.empty() ? path : target;
}

// Opens the temporary and holds its lock. Its last owner may have renamed or removed it between our open and
// our lock, hence the comparison of what we hold with what the name means now.
int open_temporary(const std::filesystem::path& path, const std::filesystem::path& temporary) {
  for (;;) {
    const int fd = ::open(temporary.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0) fail_io(path, "write", errno);
    // A file system without locks only loses the protection against two simultaneous writers.
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      ::close(fd);
      fail(ErrorKind::busy, path.string(),
           ": another process is writing this file; wait for it or choose another name");
    }
    struct stat held {
    }, named{};
    if (::fstat(fd, &held) == 0 && ::lstat(temporary.c_str(), &named) == 0 && held.st_ino == named.st_ino &&
        held.st_dev == named.st_dev) {
      if (::ftruncate(fd, 0) == 0) return fd;
      const int error = errno;
      ::close(fd);
      fail_io(path, "write", error);
    }
    ::close(fd);
  }
}

void flush_folder(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) fail_io(folder, "open the folder", errno);
  const int result = ::fsync(fd);
  const int error = errno;
  ::close(fd);
  // EINVAL: the file system cannot flush folders, and its renames are as durable as they get.
  if (result != 0 && error != EINVAL) fail_io(folder, "flush the folder to disk", error);
}

}  // namespace

AtomicFile::AtomicFile(const std::filesystem::path& path) : path_(resolve_links(path)) {
  std::error_code ignored;
  const auto status = std::filesystem::status(path_, ignored);
  MLD_CHECK_AS(ErrorKind::io, !std::filesystem::exists(status) || std::filesystem::is_regular_file(status),
               path_.string(), ": cannot write: exists and is not a regular file; choose another name");
  temporary_ = path_;
  temporary_.replace_filename("." + path_.filename().string() + ".tmp");
  fd_ = open_temporary(path_, temporary_);
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::unlink(temporary_.c_str());
  ::close(fd_);
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
  MLD_CHECK(fd_ >= 0, path_.string(), ": written after commit");
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd_, bytes.data(), bytes.size(), offset);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_io(path_, "write", errno);
    if (written == 0) fail_io(path_, "write", ENOSPC);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += written;
  }
}

void AtomicFile::commit() {
  MLD_CHECK(fd_ >= 0, path_.string(), ": committed twice");
  if (::fsync(fd_) != 0) fail_io(path_, "flush to disk", errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_io(path_, "replace", errno);
  ::close(std::exchange(fd_, -1));
  flush_folder(path_);
}

void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

void write_file_atomically(const std::filesystem::path& path, std::string_view text) {
  write_file_atomically(path, std::as_bytes(std::span(text)));
}

}  // namespace mld
