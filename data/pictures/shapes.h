// Coloured shapes on a picture, anti-aliased: outlines and pen strokes become masks of coverage, and a mask is painted
// with a colour. Arithmetic, square roots and the engine's own sine alone: the bits are the same on every machine.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mld::data {

struct Point {  // pixels, in the units of data/pictures/render.h
  double x, y;
};
using Outline = std::vector<Point>;

struct Colour {  // 0 .. 1
  double red, green, blue;
};
Colour mix(Colour a, Colour b, double part_of_b);
Colour shade(Colour colour, double factor);

// The point `turns` around an ellipse; (1, 0) is its first.
Point on_ellipse(Point centre, double across, double down, double turns);
Outline ellipse(Point centre, double across, double down);
// A closed curve through the knots (Catmull and Rom, 1974).
Outline smooth(std::span<const Point> knots);

using Mask = std::vector<float>;  // [height, width] coverage, 0 .. 1
Mask both(const Mask& a, const Mask& b);

class Painting {
 public:
  Painting(std::int64_t height, std::int64_t width);

  Mask filled(const Outline& outline) const;  // of all that the outline goes around, however often
  Mask stroked(const Outline& path, double radius) const;
  Mask glow(Point centre, double across, double down) const;  // 1 in the middle, 0 from the ellipse on

  // From `top` in the mask's first row to `bottom` in its last one.
  void paint(const Mask& mask, Colour top, Colour bottom, double opacity = 1);
  void paint(const Mask& mask, Colour colour, double opacity = 1) { paint(mask, colour, colour, opacity); }
  Mask everything() const { return Mask(static_cast<std::size_t>(height_ * width_), 1.0F); }

  std::span<const float> values() const { return values_; }  // [height, width, 3]

 private:
  std::int64_t height_, width_;
  std::vector<float> values_;
};

}  // namespace mld::data
