#include "data/formats/encode.h"

#include <zlib.h>
#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <string_view>

#include "engine/base/error.h"
#include "engine/io/atomic_file.h"
#include "engine/io/crc32.h"

namespace mld::data {
namespace {

using Bytes = std::vector<std::uint8_t>;

void append(Bytes& out, std::string_view text) {
  for (const char c : text) out.push_back(static_cast<std::uint8_t>(c));
}

void append_big(Bytes& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(value >> shift));
}

void append_little(Bytes& out, std::uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

void append_chunk(Bytes& out, std::string_view type, std::span<const std::uint8_t> content) {
  append_big(out, static_cast<std::uint32_t>(content.size()));
  const std::size_t first = out.size();
  append(out, type);
  out.insert(out.end(), content.begin(), content.end());
  append_big(out, crc32(std::as_bytes(std::span(out).subspan(first))));
}

// Every row as its difference from the one above, behind the number of that filter.
Bytes filtered(const Picture& picture) {
  constexpr std::uint8_t kUp = 2;
  const auto stride = static_cast<std::size_t>(picture.size.width * picture.size.channels);
  Bytes out;
  out.reserve(picture.bytes.size() + static_cast<std::size_t>(picture.size.height));
  for (std::size_t i = 0; i < picture.bytes.size(); ++i) {
    if (i % stride == 0) out.push_back(kUp);
    const int above = i < stride ? 0 : picture.bytes[i - stride];
    out.push_back(static_cast<std::uint8_t>(picture.bytes[i] - above));
  }
  return out;
}

Bytes deflated(const Bytes& raw) {
  uLongf size = compressBound(static_cast<uLong>(raw.size()));
  Bytes out(size);
  const int done = compress2(out.data(), &size, raw.data(), static_cast<uLong>(raw.size()), 9);
  MLD_CHECK(done == Z_OK, "encode_png: zlib says ", done);
  out.resize(size);
  return out;
}

}  // namespace

Bytes encode_png(const Picture& picture) {
  constexpr std::int64_t kMaxPixels = 100'000'000;
  const PictureSize& size = picture.size;
  MLD_CHECK(size.height >= 1 && size.width >= 1 && size.height <= kMaxPixels / size.width &&
                (size.channels == 1 || size.channels == 3) &&
                picture.bytes.size() == static_cast<std::size_t>(size.count()),
            "encode_png: ", picture.bytes.size(), " bytes for ", size.height, " x ", size.width, " x ",
            size.channels);
  constexpr std::uint8_t kGrey = 0, kRgb = 2;
  Bytes header;
  append_big(header, static_cast<std::uint32_t>(size.width));
  append_big(header, static_cast<std::uint32_t>(size.height));
  for (const std::uint8_t byte : {std::uint8_t{8}, size.channels == 3 ? kRgb : kGrey, std::uint8_t{0},
                                  std::uint8_t{0}, std::uint8_t{0}})  // bits; deflate, filters, no interlace
    header.push_back(byte);
  Bytes out;
  append(out, "\x89PNG\r\n\x1a\n");
  append_chunk(out, "IHDR", header);
  append_chunk(out, "IDAT", deflated(filtered(picture)));
  append_chunk(out, "IEND", {});
  return out;
}

Bytes encode_wave(std::span<const float> samples, std::int64_t rate) {
  constexpr std::uint32_t kHeader = 44;
  constexpr std::int64_t kMaxRate = 768000;
  MLD_CHECK(rate >= 1 && rate <= kMaxRate && samples.size() < (std::size_t{1} << 30),
            "encode_wave: ", samples.size(), " samples at ", rate, " Hz");
  const auto size = static_cast<std::uint32_t>(2 * samples.size()), hertz = static_cast<std::uint32_t>(rate);
  Bytes out;
  out.reserve(kHeader + size);
  append(out, "RIFF");
  append_little(out, kHeader - 8 + size, 4);
  append(out, "WAVEfmt ");
  append_little(out, 16, 4);  // of this chunk
  append_little(out, 1, 2);   // PCM
  append_little(out, 1, 2);   // channel
  append_little(out, hertz, 4);
  append_little(out, 2 * hertz, 4);  // bytes a second
  append_little(out, 2, 2);          // bytes of a frame
  append_little(out, 16, 2);         // bits of a sample
  append(out, "data");
  append_little(out, size, 4);
  for (const float sample : samples) {
    const float value = std::isnan(sample) ? 0.0F : std::clamp(sample, -1.0F, 1.0F);
    append_little(out, static_cast<std::uint32_t>(std::lround(value * 32767.0F)), 2);
  }
  return out;
}

void write_file(const std::filesystem::path& path, std::span<const std::uint8_t> bytes) {
  AtomicFile file(path, Links::replace, Flush::later);
  file.write(std::as_bytes(bytes));
  file.commit();
}

}  // namespace mld::data
