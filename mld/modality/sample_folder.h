// The folder that samples go to: written beside the destination and swapped in as a whole, in the place of
// the samples that it held before and of nothing else.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/io/atomic_folder.h"

namespace mld {

// Names in `folder`, relative to it, of what no sampling wrote: all that is neither sample.json nor listed
// there. A sample.json that is none of ours lists nothing. A folder that is foreign as a whole is one name.
std::vector<std::filesystem::path> foreign_files(const std::filesystem::path& folder);

class SampleFolder {
 public:
  struct Names {
    std::vector<std::string> files, folders;  // to be written
  };
  // Checks all that can be known beforehand. ErrorKind::busy, at once, while somebody else samples into the
  // destination, and if it holds foreign files, unless `force`: then they stay, but for those whose names
  // samples need. ErrorKind::io if it cannot be written or swapped.
  SampleFolder(const std::filesystem::path& destination, bool force, const Names& names);

  const std::filesystem::path& path() const { return folder_.path(); }  // where to write

  // ErrorKind::io if the disk has no room for so many bytes, or a file may not have as many as `largest`.
  void check_room(std::int64_t bytes, std::int64_t largest) const;

  // Once, last: everything is on disk and in place afterwards.
  void commit();

 private:
  void check_foreign(bool force, const Names& names) const;

  AtomicFolder folder_;
};

}  // namespace mld
