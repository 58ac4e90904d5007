#include "data/mmap_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "engine/core/error.h"

namespace mld::data {
namespace {

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

}  // namespace

MmapFile::MmapFile(const std::filesystem::path& path) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) {
    const int error = errno;
    MLD_CHECK_AS(ErrorKind::data, error != ENOENT && error != ENOTDIR, path.string(), ": no such file");
    fail(ErrorKind::io, path.string(), ": cannot open: ", std::strerror(error));
  }
  struct stat info {};
  MLD_CHECK_AS(ErrorKind::io, ::fstat(file.fd, &info) == 0, path.string(), ": ", std::strerror(errno));
  MLD_CHECK_AS(ErrorKind::data, S_ISREG(info.st_mode), path.string(), ": not a regular file");
  if (info.st_size == 0) return;
  const auto size = static_cast<std::size_t>(info.st_size);
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
  MLD_CHECK_AS(ErrorKind::io, address != MAP_FAILED, path.string(), ": cannot map ", size,
               " bytes: ", std::strerror(errno));
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

std::vector<std::string> read_lines(const std::filesystem::path& path) {
  const MmapFile file(path);
  std::vector<std::string> lines;
  for (std::string_view rest = file.text(); !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    lines.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return lines;
}

}  // namespace mld::data
