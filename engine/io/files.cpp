#include "engine/io/files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "engine/io/file_error.h"

namespace mld {
namespace {

namespace fs = std::filesystem;

bool missing(int error) { return error == ENOENT || error == ENOTDIR; }

// False if there is nothing of that name.
bool look(const fs::path& path, struct stat& status) {
  if (::stat(path.c_str(), &status) == 0) return true;
  if (!missing(errno)) fail_io(path, "look at it", errno);
  return false;
}

void flush(const fs::path& path, int fd, const char* doing) {
  // EINVAL: the file system cannot flush folders, and its renames are as durable as they get.
  if (::fsync(fd) != 0 && errno != EINVAL) fail_io(path, doing, errno);
}

// Calls `f` for everything below `folder`, which links are not followed out of.
template <class F>
void walk(const fs::path& folder, F&& f) {
  for (const fs::path& path : list_folder(folder)) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) fail_io(path, "look at it", errno);
    f(path, status);
    if (S_ISDIR(status.st_mode)) walk(path, f);
  }
}

}  // namespace

Descriptor::Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

void Descriptor::reset() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

bool path_exists(const fs::path& path) {
  struct stat status {};
  return look(path, status);
}

bool is_folder(const fs::path& path) {
  struct stat status {};
  return look(path, status) && S_ISDIR(status.st_mode);
}

std::string file_type(const struct stat& status) {
  switch (status.st_mode & S_IFMT) {
    case S_IFREG:
      return "a regular file";
    case S_IFDIR:
      return "a folder";
    case S_IFLNK:
      return "a symbolic link";
    case S_IFIFO:
      return "a FIFO";
    case S_IFSOCK:
      return "a socket";
    default:
      return "a device";
  }
}

void keep_permissions(int fd, const struct stat& of) {
  if (of.st_uid != ::geteuid() || of.st_gid != ::getegid()) {
    const bool whole = ::fchown(fd, of.st_uid, of.st_gid) == 0;  // only root may give a file away
    [[maybe_unused]] const bool group = whole || ::fchown(fd, static_cast<uid_t>(-1), of.st_gid) == 0;
  }
  [[maybe_unused]] const int result = ::fchmod(fd, of.st_mode & 0777);  // last: a new owner takes some back
}

std::vector<fs::path> list_folder(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> paths;
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) paths.push_back(entry->path());
  if (error) fail_io(folder, "list the folder", error.value());
  std::ranges::sort(paths);
  return paths;
}

bool is_empty_folder(const fs::path& path) { return is_folder(path) && list_folder(path).empty(); }

fs::path parent_folder(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : "."; }

void remove_folders(std::vector<fs::path>& made) noexcept {
  for (; !made.empty() && ::rmdir(made.back().c_str()) == 0; made.pop_back()) {
  }
}

[[noreturn]] static void fail_folder(const fs::path& folder, int error, std::vector<fs::path>& made) {
  remove_folders(made);
  fail_io(folder, "make the folder", error);
}

std::vector<fs::path> make_folder(const fs::path& folder) {
  std::vector<fs::path> absent, made;
  fs::path path = folder.has_filename() ? folder : folder.parent_path();  // "out/" means "out"
  for (; !path.empty() && !path_exists(path); path = path.parent_path()) absent.push_back(path);
  for (; !absent.empty(); absent.pop_back()) {
    if (::mkdir(absent.back().c_str(), 0777) == 0) {
      flush_folder(parent_folder(absent.back()));
      made.push_back(absent.back());
    } else if (errno != EEXIST) {
      fail_folder(folder, errno, made);
    } else if (!path_exists(absent.back())) {  // or else somebody made it at the same time
      remove_folders(made);
      fail(ErrorKind::io, absent.back().string(),
           ": cannot make the folder: it is a symbolic link to nothing; remove it or choose another name");
    }
  }
  if (!folder.empty() && !is_folder(folder)) fail_folder(folder, ENOTDIR, made);
  return made;
}

void remove_tree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) fail_io(path, "remove it", error.value());
}

void flush_folder(const fs::path& folder) {
  const Descriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) fail_io(folder, "open the folder", errno);
  flush(folder, fd.get(), "flush the folder to disk");
}

void flush_tree(const fs::path& folder) {
  // All files are on their way to the disk before the first is waited for.
  for (const bool wait : {false, true})
    walk(folder, [&](const fs::path& path, const struct stat& status) {
      if (S_ISDIR(status.st_mode) && wait) flush_folder(path);
      if (!S_ISREG(status.st_mode)) return;
      const Descriptor fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
      if (!fd) fail_io(path, "open", errno);
#ifdef SYNC_FILE_RANGE_WRITE
      if (!wait) ::sync_file_range(fd.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
#endif
      if (wait) flush(path, fd.get(), "flush to disk");
    });
  flush_folder(folder);
}

Descriptor open_to_read(const fs::path& path, ErrorKind wrong, std::int64_t* size) {
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  const int error = errno;
  struct stat status {};
  if (!fd) {
    MLD_CHECK_AS(wrong, !missing(error), path.string(), ": no such file; check the name");
    if (::stat(path.c_str(), &status) != 0 || S_ISREG(status.st_mode)) fail_io(path, "open", error);
  } else if (::fstat(fd.get(), &status) != 0) {
    fail_io(path, "read", errno);
  }
  MLD_CHECK_AS(wrong, S_ISREG(status.st_mode), path.string(), ": not a regular file but ", file_type(status),
               "; name a file");
  if (size) *size = status.st_size;
  return fd;
}

void read_at(const fs::path& path, int fd, std::int64_t offset, std::span<std::byte> destination,
             ErrorKind wrong) {
  while (!destination.empty()) {
    const ssize_t got = ::pread(fd, destination.data(), destination.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_io(path, "read", errno);
    MLD_CHECK_AS(wrong, got > 0, path.string(), ": became shorter while it was read; use another copy");
    destination = destination.subspan(static_cast<std::size_t>(got));
    offset += got;
  }
}

std::string read_file(const fs::path& path, ErrorKind wrong, std::int64_t limit) {
  std::int64_t size = 0;
  const Descriptor fd = open_to_read(path, wrong, &size);
  MLD_CHECK_AS(wrong, size <= limit, path.string(), ": has ", size, " bytes, expected at most ", limit);
  std::string text(static_cast<std::size_t>(size), '\0');
  read_at(path, fd.get(), 0, std::as_writable_bytes(std::span(text)), wrong);
  return text;
}

}  // namespace mld
