// Any bytes as a safetensors file: as they are, or, if the first one is odd, as header and data, split at the
// first NUL, so that the length before the header is right. An error, or tensors that fill the file exactly
// and can be read.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/io/safetensors.h"

namespace {

std::string build(const std::uint8_t* data, std::size_t size) {
  std::string content(reinterpret_cast<const char*>(data) + 1, size - 1);
  if ((data[0] & 1) == 0) return content;
  const std::size_t nul = content.find('\0');
  const std::uint64_t header = nul == std::string::npos ? content.size() : nul;
  if (nul != std::string::npos) content.erase(nul, 1);
  std::string length(sizeof header, '\0');
  std::memcpy(length.data(), &header, sizeof header);
  return length + content;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int memory = ::memfd_create("fuzz", MFD_CLOEXEC);
  if (size == 0) return 0;
  const std::string bytes = build(data, size);
  if (::ftruncate(memory, 0) != 0 || ::pwrite(memory, bytes.data(), bytes.size(), 0) < 0) std::abort();
  try {
    const mld::SafetensorsFile file("/proc/self/fd/" + std::to_string(memory));
    std::uint64_t header = 0;
    std::memcpy(&header, bytes.data(), sizeof header);
    std::size_t end = 8 + header;
    for (const mld::TensorInfo& tensor : file.tensors()) {
      if (tensor.offset != static_cast<std::int64_t>(end)) std::abort();
      std::vector<std::byte> values(static_cast<std::size_t>(tensor.bytes()));
      file.read(tensor.name, values);
      const auto original = std::as_bytes(std::span(bytes)).subspan(end, values.size());
      if (!std::ranges::equal(values, original)) std::abort();
      end += values.size();
    }
    if (end != bytes.size()) std::abort();
  } catch (const mld::Error& error) {
    if (error.kind() != mld::ErrorKind::model) std::abort();
  }
  return 0;
}
