#include "data/pictures/sample_grid.h"

#include <algorithm>
#include <cmath>

#include "data/pictures/dot_font.h"
#include "data/pictures/render.h"
#include "engine/base/error.h"

namespace mld::data {
namespace {

constexpr float kBackground = 0.35F;  // grey between the cells
constexpr std::int64_t kMaxPixels = 100'000'000;

constexpr std::uint8_t kMagma[17][3] = {
    {0, 0, 4},      {10, 8, 34},     {29, 17, 71},    {54, 16, 107},   {81, 18, 124},  {106, 28, 129},
    {131, 38, 129}, {156, 46, 127},  {183, 55, 121},  {208, 65, 111},  {231, 82, 99},  {245, 107, 92},
    {252, 137, 97}, {254, 167, 114}, {254, 196, 136}, {253, 226, 163}, {252, 253, 191}};

// The cell of one tile, [cell_height, cell_width, 3].
class Cell {
 public:
  Cell(std::int64_t height, std::int64_t width)
      : height_(height), width_(width), rgb_(static_cast<std::size_t>(height * width * 3)) {}

  void fill(const Tile& tile) {
    switch (tile.kind) {
      case TileKind::image:
        return image(tile);
      case TileKind::trajectory:
        return trajectory(tile);
      case TileKind::series:
        return series(tile);
      case TileKind::spectrogram:
        return spectrogram(tile);
      case TileKind::text:
        return text(tile);
      case TileKind::empty:
        std::fill(rgb_.begin(), rgb_.end(), kBackground);
    }
  }
  float at(std::int64_t row, std::int64_t col, std::int64_t channel) const {
    return rgb_[index(row, col, channel)];
  }

 private:
  std::size_t index(std::int64_t row, std::int64_t col, std::int64_t channel) const {
    return static_cast<std::size_t>((row * width_ + col) * 3 + channel);
  }

  void image(const Tile& tile) {
    const PictureSize& size = tile.size;
    for (std::int64_t row = 0; row < height_; ++row) {
      for (std::int64_t col = 0; col < width_; ++col) {
        const std::int64_t pixel = row * size.height / height_ * size.width + col * size.width / width_;
        for (std::int64_t c = 0; c < 3; ++c)
          rgb_[index(row, col, c)] =
              tile.values[static_cast<std::size_t>(pixel * size.channels + (size.channels == 3 ? c : 0))];
      }
    }
  }

  // Coverage by a line through points of the unit square, y down.
  std::vector<float> line(std::span<const float> x, std::span<const float> y) const {
    constexpr float kMargin = 0.045F, kRadius = 0.02F;  // of the shorter side
    const auto shorter = static_cast<float>(std::min(height_, width_));
    const auto stretch = [&](std::span<const float> units, std::int64_t length) {
      const float margin = kMargin * shorter;
      std::vector<float> pixels;
      for (const float u : units) pixels.push_back(margin + u * (static_cast<float>(length) - 2 * margin));
      return pixels;
    };
    std::vector<float> covered(static_cast<std::size_t>(height_ * width_), 0.0F);
    draw_path(stretch(x, width_), stretch(y, height_), std::max(0.5F, kRadius * shorter), 1.0F,
              {covered, height_, width_});
    return covered;
  }

  void trajectory(const Tile& tile) {
    const auto points = static_cast<std::size_t>(tile.size.width);
    const std::vector<float> grey = line(tile.values.first(points), tile.values.subspan(points));
    for (std::size_t p = 0; p < grey.size(); ++p)
      std::fill_n(rgb_.begin() + static_cast<std::ptrdiff_t>(3 * p), 3, grey[p]);
  }

  void series(const Tile& tile) {
    const auto length = static_cast<std::size_t>(tile.size.height);
    const auto channels = static_cast<std::size_t>(tile.size.width);
    std::fill(rgb_.begin(), rgb_.end(), 0.0F);
    std::vector<float> time(length), height(length);
    for (std::size_t i = 0; i < length; ++i)
      time[i] = length > 1 ? static_cast<float>(i) / static_cast<float>(length - 1) : 0.5F;
    for (std::size_t c = 0; c < channels; ++c) {
      // From the middle of the colour map, where lines are seen on black, to its bright end.
      const std::array<float, 3> colour =
          magma(1.0F - 0.6F * static_cast<float>(c) / static_cast<float>(channels));
      for (std::size_t i = 0; i < length; ++i) height[i] = 1 - tile.values[i * channels + c];
      const std::vector<float> covered = line(time, height);
      for (std::size_t p = 0; p < covered.size(); ++p)
        for (std::size_t k = 0; k < 3; ++k) rgb_[3 * p + k] += covered[p] * (colour[k] - rgb_[3 * p + k]);
    }
  }

  void spectrogram(const Tile& tile) {
    const std::int64_t frames = tile.size.height, bands = tile.size.width;
    for (std::int64_t row = 0; row < height_; ++row) {
      const std::int64_t band = bands - 1 - row * bands / height_;
      for (std::int64_t col = 0; col < width_; ++col) {
        const std::array<float, 3> colour =
            magma(tile.values[static_cast<std::size_t>(col * frames / width_ * bands + band)]);
        for (std::int64_t c = 0; c < 3; ++c) rgb_[index(row, col, c)] = colour[static_cast<std::size_t>(c)];
      }
    }
  }

  void text(const Tile& tile) {
    constexpr std::int64_t kMargin = 2, kAcross = kGlyphWidth + 1, kDown = kGlyphHeight + 1;
    constexpr float kPaper = 0.97F, kInk = 0.1F;
    std::fill(rgb_.begin(), rgb_.end(), kPaper);
    const auto fits = [](std::int64_t length, std::int64_t step) {
      return static_cast<std::size_t>(std::max<std::int64_t>(length - 2 * kMargin + 1, 0) / step);
    };
    std::int64_t top = kMargin;
    for (const std::string& line : wrap_text(tile.text, fits(width_, kAcross), fits(height_, kDown))) {
      std::int64_t left = kMargin;
      for (const char c : line) {
        for (std::int64_t row = 0; row < kGlyphHeight; ++row)
          for (std::int64_t col = 0; col < kGlyphWidth; ++col)
            if (glyph_dot(c, row, col))
              std::fill_n(rgb_.begin() + static_cast<std::ptrdiff_t>(index(top + row, left + col, 0)), 3,
                          kInk);
        left += kAcross;
      }
      top += kDown;
    }
  }

  std::int64_t height_, width_;
  std::vector<float> rgb_;
};

void check_tile(const Tile& tile, std::size_t number) {
  const PictureSize& size = tile.size;
  const bool blank = tile.kind == TileKind::empty || tile.kind == TileKind::text;
  const std::int64_t per_pixel = tile.kind == TileKind::trajectory ? 2 : blank ? 0 : 1;
  const bool grey = size.channels == 1, flat = tile.kind != TileKind::trajectory || size.height == 1;
  const bool fits =
      per_pixel == 0 || (size.height >= 1 && size.width >= 1 && size.height <= kMaxPixels / size.width &&
                         flat && (grey || (tile.kind == TileKind::image && size.channels == 3)));
  MLD_CHECK_AS(ErrorKind::usage,
               fits && tile.values.size() == static_cast<std::size_t>(per_pixel * size.count()),
               "sample grid: tile ", number, " has ", tile.values.size(), " values for ", size.height, " x ",
               size.width, " x ", size.channels);
}

}  // namespace

std::array<float, 3> magma(float value) {
  const float unit = value > 0 ? std::min(value, 1.0F) : 0.0F;
  const float at = unit * 16.0F;
  const auto low = static_cast<std::size_t>(std::min(at, 15.0F));
  const float weight = at - static_cast<float>(low);
  std::array<float, 3> colour;
  for (std::size_t c = 0; c < 3; ++c)
    colour[c] = ((1 - weight) * static_cast<float>(kMagma[low][c]) +
                 weight * static_cast<float>(kMagma[low + 1][c])) /
                255.0F;
  return colour;
}

Picture compose_grid(std::span<const Tile> tiles, std::int64_t rows, std::int64_t columns,
                     const GridStyle& style) {
  constexpr std::int64_t kMaxSide = 1'000'000;
  MLD_CHECK_AS(ErrorKind::usage,
               rows >= 1 && columns >= 1 && rows <= kMaxSide && columns <= kMaxSide &&
                   tiles.size() == static_cast<std::size_t>(rows * columns),
               "sample grid: ", tiles.size(), " tiles for ", rows, " x ", columns);
  MLD_CHECK_AS(ErrorKind::usage,
               style.cell_height >= 1 && style.cell_width >= 1 && style.padding >= 0 &&
                   std::max({style.cell_height, style.cell_width, style.padding}) <= kMaxSide,
               "sample grid: cells of ", style.cell_height, " x ", style.cell_width, " with padding ",
               style.padding);
  const std::int64_t step_y = style.cell_height + style.padding, step_x = style.cell_width + style.padding;
  const PictureSize size{rows * step_y + style.padding, columns * step_x + style.padding, 3};
  MLD_CHECK_AS(ErrorKind::usage, size.height <= kMaxPixels / size.width, "sample grid: ", size.height, " x ",
               size.width, " pixels; show fewer or smaller tiles");
  std::vector<float> sheet(static_cast<std::size_t>(size.count()), kBackground);
  Cell cell(style.cell_height, style.cell_width);
  for (std::size_t t = 0; t < tiles.size(); ++t) {
    check_tile(tiles[t], t);
    cell.fill(tiles[t]);
    const std::int64_t top = style.padding + static_cast<std::int64_t>(t) / columns * step_y;
    const std::int64_t left = style.padding + static_cast<std::int64_t>(t) % columns * step_x;
    for (std::int64_t row = 0; row < style.cell_height; ++row)
      for (std::int64_t col = 0; col < style.cell_width; ++col)
        for (std::int64_t c = 0; c < 3; ++c)
          sheet[static_cast<std::size_t>(((top + row) * size.width + left + col) * 3 + c)] =
              cell.at(row, col, c);
  }
  return to_picture(sheet, size);
}

}  // namespace mld::data
