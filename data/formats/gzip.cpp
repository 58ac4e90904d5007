#include "data/formats/gzip.h"

#include <zlib.h>

#include <algorithm>

#include "engine/base/error.h"

namespace mld::data {

struct Inflater::State {
  std::span<const std::uint8_t> input;
  Format format;
  std::string name;
  z_stream stream{};
  std::size_t consumed = 0;  // bytes of `input` handed to zlib
  bool ended = false;

  void feed() {  // zlib counts in unsigned int, so a large input goes in pieces
    const std::size_t piece = std::min<std::size_t>(input.size() - consumed, std::size_t{1} << 30);
    stream.next_in = const_cast<Bytef*>(input.data() + consumed);
    stream.avail_in = static_cast<uInt>(piece);
    consumed += piece;
  }

  // After one gzip member: go on with the next one, or end.
  void next_member() {
    if (stream.avail_in == 0) feed();
    if (format == Format::zlib || stream.avail_in == 0) {
      ended = true;
      return;
    }
    MLD_CHECK_AS(ErrorKind::data, inflateReset(&stream) == Z_OK, name, ": cannot restart decompression");
  }
};

Inflater::Inflater(std::span<const std::uint8_t> input, Format format, std::string name)
    : state_(std::make_unique<State>()) {
  state_->input = input;
  state_->format = format;
  state_->name = std::move(name);
  const int window_bits = format == Format::gzip ? 15 + 16 : 15;
  MLD_CHECK_AS(ErrorKind::io, inflateInit2(&state_->stream, window_bits) == Z_OK, state_->name,
               ": out of memory for decompression");
}

Inflater::~Inflater() { inflateEnd(&state_->stream); }

std::size_t Inflater::read(std::span<std::uint8_t> out) {
  State& s = *state_;
  std::size_t written = 0;
  while (written < out.size() && !s.ended) {
    if (s.stream.avail_in == 0) s.feed();
    const auto room = static_cast<uInt>(std::min<std::size_t>(out.size() - written, std::size_t{1} << 30));
    s.stream.next_out = out.data() + written;
    s.stream.avail_out = room;
    const int code = inflate(&s.stream, Z_NO_FLUSH);
    written += room - s.stream.avail_out;
    if (code == Z_STREAM_END) {
      s.next_member();
      continue;
    }
    MLD_CHECK_AS(ErrorKind::data, code == Z_OK || code == Z_BUF_ERROR, s.name, ": corrupt compressed data (",
                 s.stream.msg ? s.stream.msg : "unknown reason", ") after ", written,
                 " bytes; fetch the file again");
    const bool starved = s.stream.avail_in == 0 && s.consumed == s.input.size() && s.stream.avail_out > 0;
    MLD_CHECK_AS(ErrorKind::data, !starved, s.name, ": compressed data ends too early after ", written,
                 " bytes: the file is truncated; fetch it again");
  }
  return written;
}

bool is_gzip(std::span<const std::uint8_t> bytes) {
  return bytes.size() >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
}

std::vector<std::uint8_t> gunzip_start(std::span<const std::uint8_t> input, std::size_t size,
                                       const std::string& name) {
  std::vector<std::uint8_t> out(size);
  out.resize(Inflater(input, Inflater::Format::gzip, name).read(out));
  return out;
}

std::vector<std::uint8_t> gunzip_promised(std::span<const std::uint8_t> input, std::int64_t size,
                                          const std::string& name) {
  MLD_CHECK_AS(ErrorKind::data, size / kMaxInflateRatio <= std::ssize(input), name, ": its header promises ",
               size, " bytes, more than ", input.size(), " compressed bytes can hold: truncated or corrupt");
  return gunzip(input, size, name);
}

std::vector<std::uint8_t> gunzip(std::span<const std::uint8_t> input, std::int64_t limit,
                                 const std::string& name) {
  Inflater inflater(input, Inflater::Format::gzip, name);
  std::vector<std::uint8_t> out;
  std::size_t filled = 0;
  std::size_t chunk = std::max<std::size_t>(4 * input.size(), 1024);
  for (;;) {
    chunk = std::min(chunk, static_cast<std::size_t>(limit) + 1 - filled);
    out.resize(filled + chunk);
    const std::size_t got = inflater.read(std::span(out).subspan(filled));
    filled += got;
    MLD_CHECK_AS(ErrorKind::data, filled <= static_cast<std::size_t>(limit), name,
                 ": decompresses to more than ", limit, " bytes");
    if (got < chunk) break;
    chunk = filled;
  }
  out.resize(filled);
  return out;
}

}  // namespace mld::data
