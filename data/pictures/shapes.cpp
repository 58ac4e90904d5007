#include "data/pictures/shapes.h"

#include <algorithm>
#include <cmath>

#include "data/pictures/render.h"
#include "engine/math/vecmath.h"

namespace mld::data {
namespace {

constexpr int kLines = 5;  // scan lines a pixel
constexpr int kEllipsePoints = 32, kCurvePoints = 8;

struct Crossing {
  double x;
  int direction;
};

std::vector<Crossing> crossings(const Outline& outline, double y) {
  std::vector<Crossing> found;
  for (std::size_t i = 0; i < outline.size(); ++i) {
    const Point a = outline[i], b = outline[(i + 1) % outline.size()];
    if ((a.y <= y) == (b.y <= y)) continue;
    found.push_back({a.x + (b.x - a.x) * ((y - a.y) / (b.y - a.y)), a.y < b.y ? 1 : -1});
  }
  std::ranges::sort(found, {}, &Crossing::x);
  return found;
}

void add_span(double from, double to, std::span<float> row) {
  from = std::max(from, 0.0), to = std::min(to, static_cast<double>(row.size()));
  for (auto column = static_cast<std::size_t>(from); static_cast<double>(column) < to; ++column) {
    const double left = static_cast<double>(column);
    row[column] += static_cast<float>((std::min(to, left + 1) - std::max(from, left)) / kLines);
  }
}

}  // namespace

Colour mix(Colour a, Colour b, double t) {
  return {a.red + t * (b.red - a.red), a.green + t * (b.green - a.green), a.blue + t * (b.blue - a.blue)};
}

Colour shade(Colour c, double factor) { return {c.red * factor, c.green * factor, c.blue * factor}; }

Point on_ellipse(Point centre, double across, double down, double turns) {
  const auto unit = math::sincos_2pi(static_cast<float>(turns));
  return {centre.x + across * double{unit.cos}, centre.y + down * double{unit.sin}};
}

Outline ellipse(Point centre, double across, double down) {
  Outline outline;
  for (int i = 0; i < kEllipsePoints; ++i)
    outline.push_back(on_ellipse(centre, across, down, static_cast<double>(i) / kEllipsePoints));
  return outline;
}

Outline smooth(std::span<const Point> knots) {
  Outline outline;
  const std::size_t n = knots.size();
  for (std::size_t i = 0; i < n; ++i) {
    const Point a = knots[(i + n - 1) % n], b = knots[i], c = knots[(i + 1) % n], d = knots[(i + 2) % n];
    for (int k = 0; k < kCurvePoints; ++k) {
      const double t = static_cast<double>(k) / kCurvePoints;
      const auto at = [t](double p, double q, double r, double s) {
        return q + 0.5 * t * (r - p + t * (2 * p - 5 * q + 4 * r - s + t * (3 * (q - r) + s - p)));
      };
      outline.push_back({at(a.x, b.x, c.x, d.x), at(a.y, b.y, c.y, d.y)});
    }
  }
  return outline;
}

Mask both(const Mask& a, const Mask& b) {
  Mask result(a.size());
  std::ranges::transform(a, b, result.begin(), [](float x, float y) { return x * y; });
  return result;
}

Painting::Painting(std::int64_t height, std::int64_t width)
    : height_(height), width_(width), values_(static_cast<std::size_t>(height * width * 3)) {}

Mask Painting::filled(const Outline& outline) const {
  Mask mask(static_cast<std::size_t>(height_ * width_));
  for (std::int64_t line = 0; line < height_ * kLines; ++line) {
    const std::span row = std::span(mask).subspan(static_cast<std::size_t>(line / kLines * width_),
                                                  static_cast<std::size_t>(width_));
    int winding = 0;
    double from = 0;
    for (const Crossing& c : crossings(outline, (static_cast<double>(line) + 0.5) / kLines)) {
      if (winding == 0) from = c.x;
      winding += c.direction;
      if (winding == 0) add_span(from, c.x, row);
    }
  }
  return mask;
}

Mask Painting::stroked(const Outline& path, double radius) const {
  Mask mask(static_cast<std::size_t>(height_ * width_));
  std::vector<float> x, y;
  for (const Point p : path) {
    x.push_back(static_cast<float>(p.x));
    y.push_back(static_cast<float>(p.y));
  }
  draw_path(x, y, static_cast<float>(radius), 1, {mask, height_, width_});
  return mask;
}

Mask Painting::glow(Point centre, double across, double down) const {
  Mask mask(static_cast<std::size_t>(height_ * width_));
  for (std::int64_t row = 0; row < height_; ++row)
    for (std::int64_t column = 0; column < width_; ++column) {
      const double u = (static_cast<double>(column) + 0.5 - centre.x) / across,
                   v = (static_cast<double>(row) + 0.5 - centre.y) / down;
      const double inside = std::max(0.0, 1 - u * u - v * v);
      mask[static_cast<std::size_t>(row * width_ + column)] = static_cast<float>(inside * inside);
    }
  return mask;
}

void Painting::paint(const Mask& mask, Colour top, Colour bottom, double opacity) {
  const auto row_of = [this](std::size_t pixel) { return static_cast<std::int64_t>(pixel) / width_; };
  const auto covered = [](float v) { return v > 0; };
  const auto first = std::ranges::find_if(mask, covered);
  if (first == mask.end()) return;
  std::size_t end = mask.size();
  while (!covered(mask[end - 1])) --end;
  const auto begin = static_cast<std::size_t>(first - mask.begin());
  const std::int64_t from = row_of(begin), rows = std::max<std::int64_t>(1, row_of(end - 1) - from);
  for (std::size_t i = begin; i < end; ++i) {
    if (!covered(mask[i])) continue;
    const Colour c = mix(top, bottom, static_cast<double>(row_of(i) - from) / static_cast<double>(rows));
    const double part = opacity * std::min(1.0, double{mask[i]});
    float* pixel = &values_[3 * i];
    for (const double v : {c.red, c.green, c.blue}) {
      *pixel = static_cast<float>(double{*pixel} + part * (v - double{*pixel}));
      ++pixel;
    }
  }
}

}  // namespace mld::data
