// A folder of results, all or nothing: files grow in a temporary folder beside the destination
// ('.<name>.partial'), which commit() flushes to disk and swaps into place.
//
// After a kill at any point the destination is what it was before or, from the swap in commit() on, the new
// folder as a whole; never a mixture. What is left over is removed by the next AtomicFolder of the same
// destination. Where the file system cannot exchange two folders in one step, an existing destination is
// moved aside ('.<name>.replaced') for an instant: a kill just then leaves no destination, and the next
// AtomicFolder puts the old one back.
#pragma once

#include <filesystem>
#include <vector>

#include "engine/io/files.h"

namespace mld {

enum class IfExists { refuse, replace };

// Every member fails with ErrorKind::io on errors of the system.
class AtomicFolder {
 public:
  // Makes the temporary, and the destination's parents where they are missing. Fails with
  // ErrorKind::busy, at once, while another AtomicFolder works for the same destination, in this process
  // or another; with IfExists::refuse also if the destination is anything but missing or an empty folder.
  // With IfExists::replace the destination may be any folder: whether its content may go is for the
  // caller to decide. A destination that is a link to a folder stays one. ErrorKind::usage if it holds
  // the current folder.
  AtomicFolder(const std::filesystem::path& destination, IfExists if_exists);
  ~AtomicFolder();  // unless committed, removes the temporary and the parents that were made for it
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;

  const std::filesystem::path& path() const { return partial_; }  // where to write
  const std::filesystem::path& destination() const { return destination_; }

  // Once, last, when all files are closed: everything in the folder and its name are on disk afterwards. The
  // new folder has the permissions of one that it replaces, which is removed. On an error the destination is
  // as it was, unless the new one is in place and only its name cannot be flushed or the old one not removed.
  void commit();

 private:
  void clear() noexcept;
  void replace();
  void check_free() const;

  std::filesystem::path destination_, partial_;
  IfExists if_exists_;
  std::vector<std::filesystem::path> parents_;  // made for this
  Descriptor lock_;                             // on the temporary
};

}  // namespace mld
