// A file mapped read-only into memory, so that a store larger than memory can be trained from and
// opening one costs nothing. The file must not be shortened while it is mapped (the system would deliver
// SIGBUS); stores are written into a new folder and renamed, never changed in place, so only outside
// interference can do that.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mld::data {

class MmapFile {
 public:
  MmapFile() = default;
  // Fails with ErrorKind::data if the file is missing or no regular file, ErrorKind::io if it cannot be read.
  explicit MmapFile(const std::filesystem::path& path);
  ~MmapFile();
  MmapFile(MmapFile&& other) noexcept;
  MmapFile& operator=(MmapFile&& other) noexcept;
  MmapFile(const MmapFile&) = delete;
  MmapFile& operator=(const MmapFile&) = delete;

  std::span<const std::uint8_t> bytes() const { return bytes_; }
  // From now on nothing is read but what is asked for. Else the system reads megabytes around each place, which only
  // helps those who go on from there, and of a file larger than memory drives out what others need.
  void expect_any_order() const;
  std::string_view text() const { return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()}; }

 private:
  std::span<const std::uint8_t> bytes_;
};

// Begins to read these bytes of a mapped file, all of them together, and does not wait.
void read_ahead(std::span<const std::uint8_t> mapped);

// The lines of a text, without their line breaks (LF); the last one may lack it.
std::vector<std::string> split_lines(std::string_view text);
std::string join_lines(std::span<const std::string> lines);  // what split_lines() gives them back from
std::vector<std::string> read_lines(const std::filesystem::path& path);

}  // namespace mld::data
