// Whole-file replacement that cannot leave half a file: bytes go to a temporary in the same folder, which is
// flushed to disk and renamed over the destination; then the folder is flushed. A crash, a full disk or an
// exception leaves the previous file as it was. The temporary's name is fixed ('.<name>.tmp'), so that what a
// killed process leaves behind is overwritten by the next attempt instead of piling up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

namespace mld {

// Every member fails with ErrorKind::io on errors of the system (disk full, missing folder, permissions).
class AtomicFile {
 public:
  // Fails with ErrorKind::busy while somebody else is writing the same destination. A destination that is a
  // symbolic link stays one: the file it points to is replaced.
  explicit AtomicFile(const std::filesystem::path& path);
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
  int fd_ = -1;
  std::int64_t size_ = 0;
};

void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes);
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

}  // namespace mld
