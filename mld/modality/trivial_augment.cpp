#include "mld/modality/trivial_augment.h"

#include <cmath>
#include <numbers>

#include "engine/loops/drivers.h"
#include "mld/modality/change_draw.h"

namespace mld {
namespace {

constexpr std::int32_t kLevels = 256, kColours = 3;
constexpr std::int64_t kWorkPerValue = 4;

// Rounded by itself, so that a sum of products has the same bits on a GPU: its compiler would fuse them.
MLD_HD float times(float a, float b) {
#if defined(__CUDA_ARCH__)
  return __fmul_rn(a, b);
#else
  return a * b;
#endif
}

// As torch makes bytes of what is in their range: cut off, not rounded.
MLD_HD std::int32_t cut(float value) {
  return static_cast<std::int32_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

struct DrawChange {
  TrivialChange* changes;
  DrawKey key;
  MLD_HD void operator()(std::int64_t b) const {
    const Words drawn = change_words(key, b, 1);  // block 0 is augment's
    changes[b] = {static_cast<TrivialOperation>(below(drawn.v[0], kTrivialOperations)),
                  below(drawn.v[1], kTrivialBins), below(drawn.v[2], 2)};
  }
  MLD_HD static std::int32_t below(std::uint32_t word, std::uint32_t n) {
    return static_cast<std::int32_t>(std::uint64_t{word} * n >> 32);
  }
};

// One picture as bytes, colour by colour.
struct Bytes {
  const std::uint8_t* at;
  std::int32_t height, width;

  MLD_HD std::int32_t pixels() const { return height * width; }
  MLD_HD std::int32_t operator()(std::int32_t c, std::int32_t pixel) const {
    return at[c * pixels() + pixel];
  }
  MLD_HD std::int32_t grey(std::int32_t pixel) const {
    const auto of = [&](float weight, std::int32_t c) {
      return times(weight, static_cast<float>((*this)(c, pixel)));
    };
    return cut(of(0.2989f, 0) + of(0.587f, 1) + of(0.114f, 2));
  }
  // The weighted mean of 3x3 pixels, the middle five times; never halfway between two bytes, as 13 is odd.
  MLD_HD std::int32_t smoothed(std::int32_t c, std::int32_t pixel) const {
    const std::int32_t row = pixel / width, column = pixel % width;
    if (row == 0 || column == 0 || row == height - 1 || column == width - 1) return (*this)(c, pixel);
    std::int32_t sum = 4 * (*this)(c, pixel);
    for (std::int32_t line = pixel - width; line <= pixel + width; line += width)
      for (std::int32_t p = line - 1; p <= line + 1; ++p) sum += (*this)(c, p);
    return (2 * sum + 13) / 26;
  }
};

// Where a coordinate of a pixel comes from: x by_x + y by_y + moved, around the middle of the picture.
struct Source {
  float by_x, by_y, moved;
  float half;  // of the picture's extent

  // In the steps of torchvision's affine grid, which has coordinates from -1 to 1.
  MLD_HD Source scaled() const { return {by_x / half, by_y / half, moved / half, half}; }
  MLD_HD std::int32_t operator()(float x, float y) const {
    const float relative = std::fma(y, by_y, times(x, by_x)) + moved;
    return static_cast<std::int32_t>(std::nearbyint(times(relative + 1, half) - 0.5f));
  }
};

struct Grid {
  Source column, row;

  // Black from outside.
  MLD_HD std::int32_t read(const Bytes& from, std::int32_t c, std::int32_t pixel) const {
    const float x = static_cast<float>(pixel % from.width) + 0.5f - column.half;
    const float y = static_cast<float>(pixel / from.width) + 0.5f - row.half;
    const std::int32_t i = row(x, y), j = column(x, y);
    const bool inside = i >= 0 && i < from.height && j >= 0 && j < from.width;
    return inside ? from(c, i * from.width + j) : 0;
  }
};

// What a bin stands for. Made by the host, whose cosine is another than a GPU's.
struct Magnitude {
  float share;     // of shears and blends
  float places;    // of shifts
  float cos, sin;  // of turns
};

// The change of one picture in numbers, and a byte of its result.
struct Operation {
  TrivialOperation kind;
  Bytes from;
  const std::int32_t* table;  // [kColours, kLevels], of operations that look at the histogram
  Grid grid = {};
  float ratio = 1, rest = 0;  // of a blend of the picture with another
  float mean = 0;             // of contrast
  std::int32_t keep = 255;    // bits, of posterize
  float threshold = 0;        // of solarize

  MLD_HD std::int32_t blend(std::int32_t value, float other) const {
    return cut(times(ratio, static_cast<float>(value)) + times(rest, other));
  }
  MLD_HD std::int32_t operator()(std::int32_t c, std::int32_t pixel) const {
    const std::int32_t value = from(c, pixel);
    switch (kind) {
      case TrivialOperation::identity:
        return value;
      case TrivialOperation::shear_x:
      case TrivialOperation::shear_y:
      case TrivialOperation::translate_x:
      case TrivialOperation::translate_y:
      case TrivialOperation::rotate:
        return grid.read(from, c, pixel);
      case TrivialOperation::brightness:
        return blend(value, 0);
      case TrivialOperation::color:
        return blend(value, static_cast<float>(from.grey(pixel)));
      case TrivialOperation::contrast:
        return blend(value, mean);
      case TrivialOperation::sharpness:
        if (from.width <= 2 || from.height <= 2) return value;
        return blend(value, static_cast<float>(from.smoothed(c, pixel)));
      case TrivialOperation::posterize:
        return value & keep;
      case TrivialOperation::solarize:
        return static_cast<float>(value) >= threshold ? 255 - value : value;
      case TrivialOperation::auto_contrast:
      case TrivialOperation::equalize:
        return table[c * kLevels + value];
    }
    return value;
  }
};

// Counts of the levels of one colour become what each level is mapped to.
MLD_HD void stretch(std::int32_t* table) {
  std::int32_t least = 0, most = kLevels - 1;
  while (table[least] == 0) ++least;
  while (table[most] == 0) --most;
  const float scale = 255 / static_cast<float>(most - least);
  for (std::int32_t v = 0; v < kLevels; ++v)
    table[v] = most == least ? v : cut(times(static_cast<float>(v - least), scale));
}

MLD_HD void equalize(std::int32_t* table, std::int32_t pixels) {
  std::int32_t most = kLevels - 1;
  while (table[most] == 0) --most;
  const std::int32_t step = (pixels - table[most]) / 255;
  std::int32_t before = 0;
  for (std::int32_t v = 0; v < kLevels; ++v) {
    const std::int32_t level = step == 0 ? v : (before + step / 2) / step;
    before += table[v];
    table[v] = level < 255 ? level : 255;
  }
}

struct ChangePicture {
  const float* x;
  float* out;
  const TrivialChange* changes;
  std::uint8_t* bytes;   // [B, kColours, H W]
  std::int32_t* tables;  // [B, kColours, kLevels]
  std::int32_t height, width;
  float low, high;
  Magnitude magnitudes[kTrivialBins];

  template <class Team>
  MLD_HD void operator()(std::int64_t b, const Team& team) const {
    const std::int32_t pixels = height * width, size = kColours * pixels;
    team.each(size, [=, from = x + b * size, to = bytes + b * size, least = low,
                     extent = high - low](std::int64_t i) {
      const auto j = static_cast<std::int32_t>(i);
      to[j % kColours * pixels + j / kColours] =
          static_cast<std::uint8_t>(cut(times((from[j] - least) / extent, 255) + 0.5f));
    });
    team.sync();
    const Operation f = operation(b, team);
    team.each(size, [=, to = out + b * size, least = low, extent = high - low](std::int64_t i) {
      const auto j = static_cast<std::int32_t>(i);
      const std::int32_t level = f(j % kColours, j / kColours);
      to[j] = least + times(static_cast<float>(level) / 255, extent);  // as a store yields bytes
    });
  }

  MLD_HD Grid grid(const TrivialChange& by) const {
    const Magnitude size = magnitudes[by.bin];
    const float sign = by.negative ? -1.0f : 1.0f;
    const float half_width = 0.5f * static_cast<float>(width),
                half_height = 0.5f * static_cast<float>(height);
    Source column{1, 0, 0, half_width}, row{0, 1, 0, half_height};
    switch (by.operation) {
      case TrivialOperation::shear_x:  // about the upper left corner, as shear_y
        column.by_y = sign * size.share;
        column.moved = column.by_y * half_height;
        break;
      case TrivialOperation::shear_y:
        row.by_x = sign * size.share;
        row.moved = row.by_x * half_width;
        break;
      case TrivialOperation::translate_x:
        column.moved = -sign * size.places;
        break;
      case TrivialOperation::translate_y:
        row.moved = -sign * size.places;
        break;
      case TrivialOperation::rotate:
        column.by_x = row.by_y = size.cos;
        row.by_x = sign * size.sin;
        column.by_y = -row.by_x;
        break;
      default:
        break;
    }
    return {column.scaled(), row.scaled()};
  }

  template <class Team>
  MLD_HD Operation operation(std::int64_t b, const Team& team) const {
    const TrivialChange by = changes[b];
    std::int32_t* table = tables + b * kColours * kLevels;
    const Bytes from{bytes + b * kColours * height * width, height, width};
    Operation f{by.operation, from, table, grid(by)};
    // Of a blend, in double as torchvision's.
    const double ratio = 1 + static_cast<double>((by.negative ? -1.0f : 1.0f) * magnitudes[by.bin].share);
    f.ratio = static_cast<float>(ratio);
    f.rest = static_cast<float>(1 - ratio);
    f.keep = 256 - (1 << (by.bin + 2) / 5);  // one bit less with every five bins
    f.threshold = 255 - 8.5f * static_cast<float>(by.bin);
    if (by.operation == TrivialOperation::contrast)
      f.mean =
          static_cast<float>(team.fold(
              from.pixels(), std::int64_t{0},
              [=](std::int64_t pixel) { return std::int64_t{from.grey(static_cast<std::int32_t>(pixel))}; },
              Plus{})) /
          static_cast<float>(from.pixels());
    const bool equal = by.operation == TrivialOperation::equalize;
    if (equal || by.operation == TrivialOperation::auto_contrast) map_levels(from, equal, table, team);
    return f;
  }

  template <class Team>
  MLD_HD static void map_levels(const Bytes& from, bool equal, std::int32_t* table, const Team& team) {
    const std::int32_t pixels = from.pixels();
    team.each(kColours * kLevels, [=](std::int64_t j) {
      const std::uint8_t* colour = from.at + j / kLevels * pixels;
      const auto level = static_cast<std::uint8_t>(j % kLevels);
      std::int32_t count = 0;
      for (std::int32_t p = 0; p < pixels; ++p) count += colour[p] == level;
      table[j] = count;
    });
    team.sync();
    team.each(kColours, [=](std::int64_t c) {
      if (equal)
        equalize(table + c * kLevels, pixels);
      else
        stretch(table + c * kLevels);
    });
    team.sync();
  }
};

}  // namespace

Tensor draw_trivial_changes(std::int64_t pictures, const DrawKey& key, Device device) {
  static_assert(sizeof(TrivialChange) == 3 * sizeof(std::int32_t));
  const Tensor changes = Tensor::empty({pictures, 3}, DType::i32, device);
  for_each(device, pictures, DrawChange{reinterpret_cast<TrivialChange*>(changes.ptr<std::int32_t>()), key});
  return changes;
}

void trivial_augment(const Tensor& x, const Tensor& out, const data::ValueRange& range,
                     const Tensor& changes) {
  const Shape& s = x.shape();
  MLD_CHECK(s.rank() == 4 && s[3] == kColours && out.shape() == s && out.raw() != x.raw() &&
                changes.shape() == Shape({s[0], 3}),
            "trivial_augment: x ", s, ", out ", out.shape(), ", changes ", changes.shape(),
            "; expected two tensors [B,H,W,3] and one [B,3]");
  const Tensor bytes = Tensor::empty(s, DType::u8, x.device()),
               tables = Tensor::empty({s[0], kColours * kLevels}, DType::i32, x.device());
  ChangePicture f{x.ptr<float>(),
                  out.ptr<float>(),
                  reinterpret_cast<const TrivialChange*>(changes.ptr<std::int32_t>()),
                  bytes.ptr<std::uint8_t>(),
                  tables.ptr<std::int32_t>(),
                  static_cast<std::int32_t>(s[1]),
                  static_cast<std::int32_t>(s[2]),
                  range.min,
                  range.max,
                  {}};
  for (std::int32_t bin = 0; bin < kTrivialBins; ++bin) {
    const double steps = kTrivialBins - 1, angle = 135 * bin / steps * std::numbers::pi / 180;
    f.magnitudes[bin] = {static_cast<float>(0.99 * bin / steps),
                         std::floor(static_cast<float>(32 * bin / steps)),
                         static_cast<float>(std::cos(angle)), static_cast<float>(std::sin(angle))};
  }
  for_each_row(x.device(), s[0], kWorkPerValue * s.product(1, 4), f);
}

}  // namespace mld
