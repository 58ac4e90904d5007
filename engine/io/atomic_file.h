// Whole-file replacement that cannot leave half a file: bytes go to a temporary in the same folder, which is
// flushed to disk and renamed over the destination; then the folder is flushed. A crash, a full disk or an
// exception leaves the previous file as it was. The temporary's name is fixed ('.<name>.tmp'), so that what a
// killed process leaves behind is removed by the next attempt instead of piling up.
//
// Links: a file that the user names is written through a symbolic link (the link stays, the file that it
// points to is replaced); files that a folder of ours consists of replace a link of their name
// (Links::replace), so that nothing outside the folder is ever written. The new file has the permissions, and
// where possible the owner and group, of the one that it replaces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

#include "engine/io/files.h"

namespace mld {

enum class Links { follow, replace };
// later: for a file in a folder that is flushed as a whole before it gets its name (AtomicFolder).
enum class Flush { now, later };

// Every member fails with ErrorKind::io on errors of the system (disk full, missing folder, permissions).
class AtomicFile {
 public:
  // Fails with ErrorKind::busy while somebody else is writing the same destination, with ErrorKind::io where
  // something that this class did not make stands in the temporary's place: anything but a regular file of
  // our user with one name.
  explicit AtomicFile(const std::filesystem::path& path, Links links = Links::follow,
                      Flush flush = Flush::now);
  ~AtomicFile();  // removes the temporary unless committed
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  void write_at(std::int64_t offset, std::span<const std::byte> bytes);  // does not move the end
  void commit();  // once, last: flush, rename, flush the folder

 private:
  void write_all(std::int64_t offset, std::span<const std::byte> bytes);

  std::filesystem::path path_, temporary_;
  Flush flush_;
  Descriptor fd_;
  std::int64_t size_ = 0;
};

void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes);
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

// The file that a temporary of this name grows for; empty if it is no such name.
std::filesystem::path temporary_target(const std::filesystem::path& path);
// Whether this is what a killed process left of an AtomicFile: by its name a temporary, and a regular file of
// our user with one name.
bool is_own_temporary(const std::filesystem::path& path);

// Removes those in a folder that nobody is writing.
void remove_own_temporaries(const std::filesystem::path& folder);

}  // namespace mld
