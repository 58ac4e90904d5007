// What the program asks of the file system beyond reading and writing bytes. Every function fails with
// mld::Error that names the path (never std::filesystem::filesystem_error): ErrorKind::io on errors of the
// system (permissions, loops of links, a failing disk) unless it says otherwise. "Does not exist" is an
// answer to a question, not an error.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "engine/base/error.h"

namespace mld {

// Owner of a file descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { reset(); }
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void reset();

 private:
  int fd_ = -1;
};

// Links are followed; a link to nothing does not exist.
bool path_exists(const std::filesystem::path& path);
bool is_folder(const std::filesystem::path& path);
std::string file_type(const struct stat& status);  // "a folder", "a FIFO", ...

// Gives an open file the permissions and, where that is allowed, owner and group of another.
void keep_permissions(int fd, const struct stat& of);

// Paths of what is in a folder (without . and ..), sorted by name.
std::vector<std::filesystem::path> list_folder(const std::filesystem::path& folder);
bool is_empty_folder(const std::filesystem::path& path);  // false for what is no folder or does not exist

// Makes a folder with its parents unless it exists, and flushes the folder that each new one is named in.
// Returns the new ones, the outermost first; a failure leaves none.
std::vector<std::filesystem::path> make_folder(const std::filesystem::path& folder);
// Removes what make_folder returned as far as it is empty, the innermost first, from the list too.
void remove_folders(std::vector<std::filesystem::path>& made) noexcept;

// Removes a file, link or folder with everything in it; links are not followed. Nothing there: nothing done.
void remove_tree(const std::filesystem::path& path);

// To disk: the names in a folder, or a folder with everything below it.
void flush_folder(const std::filesystem::path& folder);
void flush_tree(const std::filesystem::path& folder);

// The folder that `path` is named in: "." for a bare name.
std::filesystem::path parent_folder(const std::filesystem::path& path);

// A regular file, open to read. Never waits for a FIFO or device. What is missing or no regular file is an
// error of kind `wrong`.
Descriptor open_to_read(const std::filesystem::path& path, ErrorKind wrong, std::int64_t* size = nullptr);

// Fills `destination` from `offset`; a file that ends before is an error of kind `wrong`.
void read_at(const std::filesystem::path& path, int fd, std::int64_t offset, std::span<std::byte> destination,
             ErrorKind wrong);

// The whole of a regular file of at most `limit` bytes; a larger one is an error of kind `wrong`.
std::string read_file(const std::filesystem::path& path, ErrorKind wrong, std::int64_t limit = INT64_MAX);

}  // namespace mld
