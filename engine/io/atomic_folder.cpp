#include "engine/io/atomic_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>

#include "engine/io/file_error.h"

namespace mld {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPartial = ".partial", kAside = ".replaced";

fs::path sibling(const fs::path& destination, std::string_view tail) {
  return destination.parent_path() / cat('.', destination.filename().string(), tail);
}

fs::path resolve(const fs::path& destination) {
  std::error_code error;
  fs::path path = fs::weakly_canonical(fs::absolute(destination, error), error);
  if (error) fail_io(destination, "make the folder", error.value());
  if (!path.has_filename()) path = path.parent_path();  // "out/" means "out"
  // A process whose current folder is replaced would go on seeing the old one.
  const fs::path here = fs::current_path(error);
  MLD_CHECK_AS(ErrorKind::usage,
               path.has_filename() &&
                   std::mismatch(path.begin(), path.end(), here.begin(), here.end()).first != path.end(),
               destination.string(),
               ": holds the current folder and cannot be replaced; name a folder in it");
  return path;
}

enum class Claim { got, busy, gone };

// Locks the folder that `path` names; gone: it is named so no more.
Claim claim(const fs::path& path, Descriptor& lock) {
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) {
    if (errno == ENOENT) return Claim::gone;
    fail_io(path, "open the folder", errno);
  }
  // A file system without locks only loses the protection against two simultaneous writers.
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) return Claim::busy;
  struct stat held {
  }, named{};
  if (::fstat(fd.get(), &held) != 0 || ::lstat(path.c_str(), &named) != 0 || held.st_ino != named.st_ino ||
      held.st_dev != named.st_dev)
    return Claim::gone;
  lock = std::move(fd);
  return Claim::got;
}

[[noreturn]] void fail_busy(const fs::path& destination) {
  fail(ErrorKind::busy, destination.string(),
       ": another process is writing this folder; wait for it or choose another name");
}

// What a killed process left; anything else of that name is not touched.
void check_own(const fs::path& destination, const fs::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return;
  MLD_CHECK_AS(ErrorKind::io, S_ISDIR(status.st_mode) && status.st_uid == ::geteuid(), destination.string(),
               ": cannot write: ", path.string(), " is ",
               S_ISDIR(status.st_mode) ? cat("a folder of user ", status.st_uid) : file_type(status),
               " that this program did not make; move it away");
}

// The folder moved aside goes back, or goes away if its place was taken. Under the temporary's lock.
void settle(const fs::path& destination) {
  const fs::path aside = sibling(destination, kAside);
  struct stat status {};
  if (::lstat(aside.c_str(), &status) != 0) return;
  check_own(destination, aside);
  if (path_exists(destination))
    remove_tree(aside);
  else if (::rename(aside.c_str(), destination.c_str()) != 0)
    fail_io(destination, "restore the folder", errno);
  flush_folder(destination.parent_path());
}

// Makes the temporary and holds its lock.
Descriptor make_partial(const fs::path& destination, const fs::path& partial) {
  for (;;) {
    const bool made = ::mkdir(partial.c_str(), 0777) == 0;
    if (!made && errno != EEXIST) fail_io(destination, "make the folder", errno);
    if (!made) check_own(destination, partial);
    Descriptor lock;
    const Claim claimed = claim(partial, lock);
    if (claimed == Claim::busy) fail_busy(destination);
    if (claimed == Claim::got && made) return lock;
    if (claimed == Claim::got) remove_tree(partial);
  }
}

bool exchange(const fs::path& a, const fs::path& b) {
  if (::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0) return true;
  if (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP) fail_io(b, "replace the folder", errno);
  return false;  // this file system cannot
}

}  // namespace

AtomicFolder::AtomicFolder(const fs::path& destination, IfExists if_exists)
    : destination_(resolve(destination)), partial_(sibling(destination_, kPartial)), if_exists_(if_exists) {
  parents_ = make_folder(destination_.parent_path());
  try {
    lock_ = make_partial(destination_, partial_);
    settle(destination_);
    check_free();
  } catch (...) {
    clear();
    throw;
  }
}

AtomicFolder::~AtomicFolder() { clear(); }

void AtomicFolder::clear() noexcept {
  std::error_code ignored;
  if (lock_) fs::remove_all(partial_, ignored);
  lock_.reset();
  remove_folders(parents_);
}

void AtomicFolder::check_free() const {
  struct stat status {};  // of a link to nothing as well, which weakly_canonical leaves as it is
  if (::lstat(destination_.c_str(), &status) != 0 && (errno == ENOENT || errno == ENOTDIR)) return;
  if (if_exists_ == IfExists::replace) {
    MLD_CHECK_AS(ErrorKind::io, is_folder(destination_), destination_.string(), ": exists and is ",
                 S_ISLNK(status.st_mode) ? "a symbolic link to nothing" : "not a folder",
                 "; choose another name");
    return;
  }
  MLD_CHECK_AS(ErrorKind::busy, is_empty_folder(destination_), destination_.string(),
               ": exists and is not empty; nothing is overwritten: choose another name or remove it");
}

void AtomicFolder::commit() {
  MLD_CHECK(lock_, destination_.string(), ": committed twice");
  flush_tree(partial_);
  if (if_exists_ == IfExists::replace && path_exists(destination_)) {
    replace();
  } else if (::rename(partial_.c_str(), destination_.c_str()) !=
             0) {  // replaces an empty folder, nothing else
    const int error = errno;
    check_free();
    fail_io(destination_, "write", error);
  }
  flush_folder(destination_.parent_path());
  parents_.clear();
  lock_.reset();
}

void AtomicFolder::replace() {
  // Its lock: nobody may take the old folder for a left-over while it bears the temporary's name.
  Descriptor old;
  if (claim(destination_, old) != Claim::got) fail_busy(destination_);
  struct stat status {};
  if (::fstat(old.get(), &status) == 0) keep_permissions(lock_.get(), status);
  fs::path aside = partial_;
  if (!exchange(partial_, destination_)) {
    aside = sibling(destination_, kAside);
    if (::rename(destination_.c_str(), aside.c_str()) != 0)
      fail_io(destination_, "replace the folder", errno);
    if (::rename(partial_.c_str(), destination_.c_str()) != 0) {
      const int error = errno;
      ::rename(aside.c_str(), destination_.c_str());
      fail_io(destination_, "replace the folder", error);
    }
  }
  flush_folder(destination_.parent_path());
  remove_tree(aside);
}

}  // namespace mld
