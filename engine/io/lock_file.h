// Exclusive use of a folder (a run directory) by one process, so that two trainings cannot overwrite each
// other. The kernel's lock on '<folder>/.lock' ends with the process, however it ends: there are no stale
// locks to remove.
#pragma once

#include <filesystem>
#include <string>

#include "engine/io/files.h"

namespace mld {

class LockFile {
 public:
  // Fails at once with ErrorKind::busy, naming the owner's process id, if the folder is in use; ErrorKind::io
  // if '.lock' cannot be created (missing folder, permissions, a file system without locks) or is anything
  // but a regular file of one name.
  explicit LockFile(const std::filesystem::path& folder);
  ~LockFile();  // releases the lock; the empty '.lock' stays
  LockFile(LockFile&& other) noexcept = default;
  LockFile& operator=(LockFile&& other) noexcept;
  // Who uses the folder now, as "process 123"; empty: nobody. Keeps no lock; where the file cannot be read,
  // nobody is assumed.
  static std::string owner(const std::filesystem::path& folder);

 private:
  Descriptor fd_;
};

}  // namespace mld
