#include "engine/kernels/conv_patches.h"

namespace mld::cpu {

void Band::load(const Patches& p, std::int64_t first_line, std::int64_t last_line) {
  const std::int64_t row_floats = p.band_width() * p.c;
  const std::int64_t rows_below =
      (last_line - first_line) * p.sh + ((last_line - first_line) / p.ph + 2) * p.kh;
  const std::int64_t zero_rows = p.within_height() ? 0 : 1, copied_rows = p.within_width() ? 0 : rows_below;
  float* const zeros = copy_.get((zero_rows + copied_rows) * row_floats);
  std::fill_n(zeros, zero_rows * row_floats, 0.0f);
  float* copy = zeros + zero_rows * row_floats;
  rows_.resize(static_cast<std::size_t>(rows_below));
  first_.resize(static_cast<std::size_t>(last_line - first_line));
  const float** rows = rows_.data();
  for (std::int64_t line = first_line; line < last_line;) {
    const std::int64_t n = line / p.ph, from = line % p.ph, count = std::min(p.ph - from, last_line - line);
    for (std::int64_t i = 0; i < count; ++i)
      first_[static_cast<std::size_t>(line - first_line + i)] = rows + i * p.sh;
    for (std::int64_t i = 0; i < p.band_rows(count); ++i) {
      const std::int64_t row = from * p.sh - p.top + i;
      *rows++ = row < 0 || row >= p.h ? zeros : image_row(p, n, row, copy);
    }
    line += count;
  }
}

const float* Band::image_row(const Patches& p, std::int64_t n, std::int64_t row, float*& copy) const {
  const float* const image = p.images + (n * p.h + row) * p.w * p.c;
  if (p.within_width()) return image - p.left * p.c;
  const std::int64_t width = p.band_width(), from = std::clamp<std::int64_t>(p.left, 0, width);
  const std::int64_t until = std::clamp(p.w + p.left, from, width);
  float* const to = copy;
  copy += width * p.c;
  std::fill(to, to + from * p.c, 0.0f);
  std::copy_n(image + (from - p.left) * p.c, (until - from) * p.c, to + from * p.c);
  std::fill(to + until * p.c, copy, 0.0f);
  return to;
}

}  // namespace mld::cpu
