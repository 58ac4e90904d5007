// The patches that a convolution multiplies by its weights, read where they lie: no im2col matrix exists.
// Shared by the three convolution kernels.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/kernels/gemm_tiles.h"

namespace mld::cpu {

// Patches of images [n,h,w,c]: position (p, q) of positions [ph,pw] sees the kh x kw pixels whose upper left
// one is (p * sh - top, q * sw - left), zeros outside the image; top and left may be negative. The lines of
// all samples are numbered through: line n * ph + p.
struct Patches {
  const float* images;
  std::int64_t n, h, w, c;
  std::int64_t kh, kw, sh, sw, top, left;
  std::int64_t ph, pw;

  std::int64_t lines() const { return n * ph; }
  std::int64_t size() const { return kh * kw * c; }  // of one patch: k of the product
  // Rows of an image below `count` lines, and columns below a line.
  std::int64_t band_rows(std::int64_t count) const { return (count - 1) * sh + kh; }
  std::int64_t band_width() const { return (pw - 1) * sw + kw; }
  bool within_width() const { return left <= 0 && band_width() - left <= w; }
  bool within_height() const { return top <= 0 && band_rows(ph) - top <= h; }
  // Lines that hold about `positions` positions: whole samples if these are small.
  std::int64_t lines_of(std::int64_t positions) const {
    return ph * pw <= positions ? positions / (ph * pw) * ph : std::max<std::int64_t>(1, positions / pw);
  }
};

// Pointers to the image rows below some lines. A row lies in the image itself if no patch sticks out to the
// left or right, else in a copy with its borders; rows above and below the image are one row of zeros.
class Band {
 public:
  void load(const Patches& p, std::int64_t first_line, std::int64_t last_line);

  // The pixels that row r of the kernel meets at the first position of line i, counted from the first line.
  // The next position lies sw * c floats further.
  const float* row(std::int64_t i, std::int64_t r) const { return first_[static_cast<std::size_t>(i)][r]; }

 private:
  const float* image_row(const Patches& p, std::int64_t n, std::int64_t row, float*& copy) const;

  Scratch copy_;
  std::vector<const float*> rows_;
  std::vector<const float* const*> first_;  // of the rows below line i
};

}  // namespace mld::cpu
