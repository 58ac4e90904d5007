// Decompression of zlib and gzip streams with a bound on what comes out, so that a small hostile file cannot
// ask for all the memory. Used by the IDX reader (gzip) and the MATLAB reader (zlib).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace mld::data {

// Deflate cannot expand by more: one code of 1 bit for a match of 258 bytes, 2 bits with its distance (zlib's
// documentation states 1032:1). A larger declared size is refused without decompressing.
inline constexpr std::int64_t kMaxInflateRatio = 1032;

class Inflater {
 public:
  enum class Format { zlib, gzip };
  // `name` starts every message. `input` must outlive the object.
  Inflater(std::span<const std::uint8_t> input, Format format, std::string name);
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // Decompresses the next bytes into `out`; returns how many, fewer than asked for only at the end of
  // the stream (concatenated gzip members count as one). A corrupt or truncated stream is an
  // ErrorKind::data error.
  std::size_t read(std::span<std::uint8_t> out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

bool is_gzip(std::span<const std::uint8_t> bytes);

// Its first bytes, at most `size`.
std::vector<std::uint8_t> gunzip_start(std::span<const std::uint8_t> input, std::size_t size,
                                       const std::string& name);
// The whole content, where its header promises `size` bytes: more, and a promise that `input` is too small
// for, are ErrorKind::data errors before memory is asked for.
std::vector<std::uint8_t> gunzip_promised(std::span<const std::uint8_t> input, std::int64_t size,
                                          const std::string& name);

// The whole content of a gzip file. More than `limit` bytes are an ErrorKind::data error.
std::vector<std::uint8_t> gunzip(std::span<const std::uint8_t> input, std::int64_t limit,
                                 const std::string& name);

}  // namespace mld::data
