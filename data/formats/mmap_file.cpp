#include "data/formats/mmap_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "engine/io/file_error.h"
#include "engine/io/files.h"

namespace mld::data {

MmapFile::MmapFile(const std::filesystem::path& path) {
  std::int64_t bytes = 0;
  const Descriptor file = open_to_read(path, ErrorKind::data, &bytes);
  if (bytes == 0) return;
  const auto size = static_cast<std::size_t>(bytes);
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (address == MAP_FAILED) fail_io(path, cat("map ", size, " bytes"), errno);
  bytes_ = {static_cast<const std::uint8_t*>(address), size};
}

MmapFile::~MmapFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::uint8_t*>(bytes_.data()), bytes_.size());
}

MmapFile::MmapFile(MmapFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MmapFile& MmapFile::operator=(MmapFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

void MmapFile::expect_any_order() const {
  if (!bytes_.empty()) ::madvise(const_cast<std::uint8_t*>(bytes_.data()), bytes_.size(), MADV_RANDOM);
}

void read_ahead(std::span<const std::uint8_t> mapped) {
  if (mapped.empty()) return;
  static const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto first = reinterpret_cast<std::uintptr_t>(mapped.data());
  const std::size_t before = first % page;
  ::madvise(const_cast<std::uint8_t*>(mapped.data() - before), mapped.size() + before, MADV_WILLNEED);
}

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string join_lines(std::span<const std::string> lines) {
  std::string text;
  for (const std::string& line : lines) text += line + '\n';
  return text;
}

std::vector<std::string> read_lines(const std::filesystem::path& path) {
  return split_lines(MmapFile(path).text());
}

}  // namespace mld::data
