// Contact sheets: samples of several modalities side by side in one picture.
//
// Every tile fills a cell of the same size: images by nearest neighbour, trajectories as anti-aliased pen
// paths, series as a line for each of their channels, spectrograms as colours (time to the right, pitch upwards), texts
// in small letters, cut where the cell is full.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "data/formats/image_io.h"

namespace mld::data {

enum class TileKind : std::uint8_t {
  image,        // values [height, width, channels] in [0, 1]; 1 or 3 channels
  trajectory,   // values [2 * width]: all x, then all y, in [0, 1] of the cell (y down); height 1, channels 1
  series,       // values [height = length, width = channels] in [0, 1]; channels 1
  spectrogram,  // values [height = frames, width = bands] in [0, 1]; channels 1
  text,         // no values
  empty         // neither
};

struct Tile {
  TileKind kind = TileKind::empty;
  std::span<const float> values;
  PictureSize size;
  std::string_view text = {};
};

struct GridStyle {
  std::int64_t cell_height = 84, cell_width = 84;  // pixels; 3 x 28
  std::int64_t padding = 4;                        // around every cell
};

// Composes rows * columns tiles, row-major, into an RGB picture of
// rows * (cell_height + padding) + padding by columns * (cell_width + padding) + padding pixels.
// Error (usage) if the number of tiles or a tile's size does not fit, or beyond 100 million pixels.
Picture compose_grid(std::span<const Tile> tiles, std::int64_t rows, std::int64_t columns,
                     const GridStyle& style = {});

// RGB in [0, 1] of a value in [0, 1]: 17 points of the `magma` colour map (S. van der Walt, N. Smith, 2015),
// joined linearly; values outside are clamped, NaN is 0.
std::array<float, 3> magma(float value);

}  // namespace mld::data
