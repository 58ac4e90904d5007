// Compression for the fuzz targets.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <cstdlib>
#include <vector>

inline constexpr int kZlib = 15, kGzip = 15 + 16;  // window bits, as zlib wants them

inline std::vector<std::uint8_t> pack(const std::vector<std::uint8_t>& bytes, int window_bits) {
  z_stream stream{};
  if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    std::abort();
  std::vector<std::uint8_t> out(deflateBound(&stream, static_cast<uLong>(bytes.size())));
  stream.next_in = const_cast<Bytef*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) std::abort();
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}
