#include "data/audio/wav_header.h"

#include <bit>
#include <cstddef>
#include <cstring>

#include "engine/base/error.h"

namespace mld::data {
namespace {

using Bytes = std::span<const std::uint8_t>;

std::uint32_t number_at(Bytes bytes, std::size_t at) {
  static_assert(std::endian::native == std::endian::little);
  std::uint32_t number = 0;
  std::memcpy(&number, bytes.data() + at, sizeof number);
  return number;
}

bool tagged(Bytes bytes, std::size_t at, const char* tag) {
  return bytes.size() >= at + 8 && std::memcmp(bytes.data() + at, tag, 4) == 0;
}

// What programs that stream write for a length that they do not know yet.
bool unknown(std::uint32_t length) { return length == 0 || length == 0x7FFFFFFF || length == 0xFFFFFFFF; }

}  // namespace

void check_riff_length(std::span<const std::uint8_t> bytes, const std::string& name) {
  if (!tagged(bytes, 0, "RIFF")) return;
  const std::uint32_t promised = number_at(bytes, 4);
  MLD_CHECK_AS(ErrorKind::data, unknown(promised) || std::uint64_t{promised} + 8 <= bytes.size() + 1, name,
               ": truncated: the header promises ", std::uint64_t{promised} + 8, " bytes, the file has ",
               bytes.size(), "; fetch or export it again");
}

std::vector<std::uint8_t> completed_wave(std::span<const std::uint8_t> bytes) {
  constexpr std::size_t kChunk = 8;  // tag and length
  if (!tagged(bytes, 0, "RIFF") || std::uint64_t{number_at(bytes, 4)} + kChunk == bytes.size()) return {};
  for (std::size_t at = 12; at + kChunk <= bytes.size();) {
    const std::uint32_t length = number_at(bytes, at + 4);
    const std::size_t rest = bytes.size() - at - kChunk;
    if (tagged(bytes, at, "data")) {
      if (rest == 0 || rest > INT32_MAX || (!unknown(length) && length <= rest)) return {};
      std::vector<std::uint8_t> whole(bytes.begin(), bytes.end());
      const auto write = [&](std::size_t place, std::size_t value) {
        const auto word = static_cast<std::uint32_t>(value);
        std::memcpy(whole.data() + place, &word, sizeof word);
      };
      write(4, bytes.size() - kChunk);
      write(at + 4, rest);
      return whole;
    }
    if (length >= rest) break;
    at += kChunk + length + length % 2;
  }
  return {};
}

}  // namespace mld::data
