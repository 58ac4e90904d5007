#include "data/digits/digits_pen.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>
#include <vector>

#include "data/pictures/render.h"

namespace mld::data {
namespace {

struct Vec {
  double x, y;
};

struct Knot {
  double x, y;
  bool corner = false;  // the path may turn sharply here
};

using Style = std::vector<Knot>;
constexpr bool kCorner = true;

// Styles in a box of about [-0.35, 0.35] x [-0.5, 0.5], y down; every digit is one stroke.
// clang-format off
const std::vector<Style> kStyles[10] = {
    {// 0: counter-clockwise from the top; from the upper right with an overlap; clockwise
     {{0.02, -0.50}, {-0.22, -0.36}, {-0.31, 0.00}, {-0.22, 0.37}, {0.00, 0.50}, {0.23, 0.36},
      {0.31, 0.00}, {0.22, -0.36}, {0.00, -0.50}},
     {{0.20, -0.40}, {0.00, -0.50}, {-0.24, -0.32}, {-0.31, 0.02}, {-0.20, 0.38}, {0.03, 0.50},
      {0.25, 0.32}, {0.30, -0.04}, {0.18, -0.40}, {-0.04, -0.46}},
     {{-0.12, -0.46}, {0.10, -0.50}, {0.28, -0.26}, {0.30, 0.06}, {0.18, 0.40}, {-0.04, 0.50},
      {-0.25, 0.32}, {-0.30, -0.04}, {-0.20, -0.38}, {-0.06, -0.48}}},
    {// 1: a bar; with a flag; with a flag and a foot
     {{0.01, -0.50}, {0.00, -0.17}, {-0.01, 0.17}, {0.00, 0.50}},
     {{-0.20, -0.26}, {-0.08, -0.36}, {0.03, -0.50, kCorner}, {0.03, -0.17}, {0.02, 0.17}, {0.02, 0.50}},
     {{-0.18, -0.30}, {-0.06, -0.40}, {0.02, -0.50, kCorner}, {0.02, -0.15}, {0.01, 0.20},
      {0.00, 0.48, kCorner}, {-0.22, 0.49, kCorner}, {0.02, 0.49}, {0.24, 0.48}}},
    {// 2: round with a straight base; with a loop at the base; with a wave at the base
     {{-0.28, -0.30}, {-0.16, -0.46}, {0.06, -0.50}, {0.26, -0.34}, {0.20, -0.08}, {-0.04, 0.20},
      {-0.30, 0.48, kCorner}, {0.00, 0.47}, {0.32, 0.46}},
     {{-0.26, -0.28}, {-0.14, -0.46}, {0.08, -0.48}, {0.24, -0.30}, {0.14, 0.00}, {-0.10, 0.32},
      {-0.28, 0.44}, {-0.30, 0.30}, {-0.14, 0.28}, {0.06, 0.44}, {0.32, 0.42}},
     {{-0.24, -0.40}, {0.02, -0.50}, {0.25, -0.36}, {0.22, -0.10}, {0.00, 0.16}, {-0.26, 0.42, kCorner},
      {-0.08, 0.38}, {0.12, 0.48}, {0.32, 0.38}}},
    {// 3: two bowls; a flat top; a small loop in the middle
     {{-0.26, -0.36}, {-0.08, -0.49}, {0.18, -0.44}, {0.22, -0.22}, {0.06, -0.06}, {-0.08, -0.03, kCorner},
      {0.12, 0.00}, {0.27, 0.18}, {0.20, 0.40}, {-0.04, 0.50}, {-0.28, 0.38}},
     {{-0.26, -0.48}, {0.00, -0.49}, {0.24, -0.48, kCorner}, {0.10, -0.26}, {-0.06, -0.08, kCorner},
      {0.14, -0.06}, {0.27, 0.14}, {0.20, 0.40}, {-0.04, 0.50}, {-0.28, 0.40}},
     {{-0.24, -0.38}, {-0.04, -0.50}, {0.19, -0.40}, {0.17, -0.16}, {0.00, -0.02}, {-0.12, 0.00},
      {-0.06, -0.10}, {0.12, 0.02}, {0.27, 0.22}, {0.14, 0.46}, {-0.10, 0.49}, {-0.28, 0.36}}},
    {// 4: open; closed, from below; open with a long bar
     {{-0.20, -0.48}, {-0.25, -0.20}, {-0.29, 0.06, kCorner}, {-0.06, 0.07}, {0.20, 0.05, kCorner},
      {0.21, -0.18}, {0.22, -0.40, kCorner}, {0.20, 0.04}, {0.18, 0.50}},
     {{0.12, 0.50}, {0.14, 0.00}, {0.17, -0.50, kCorner}, {-0.06, -0.18}, {-0.30, 0.16, kCorner},
      {0.02, 0.16}, {0.34, 0.15}},
     {{0.02, -0.50}, {-0.12, -0.20}, {-0.30, 0.12, kCorner}, {-0.02, 0.12}, {0.30, 0.10, kCorner},
      {0.16, -0.22, kCorner}, {0.13, 0.12}, {0.10, 0.50}}},
    {// 5: from the flag; from the corner, flag first; rounded
     {{0.26, -0.48}, {0.02, -0.48}, {-0.20, -0.47, kCorner}, {-0.22, -0.26}, {-0.24, -0.06, kCorner},
      {-0.02, -0.14}, {0.22, -0.02}, {0.26, 0.24}, {0.08, 0.46}, {-0.26, 0.44}},
     {{-0.20, -0.46}, {0.04, -0.47}, {0.28, -0.49, kCorner}, {0.04, -0.47}, {-0.20, -0.46, kCorner},
      {-0.22, -0.10, kCorner}, {0.02, -0.14}, {0.24, 0.04}, {0.22, 0.32}, {0.00, 0.49}, {-0.26, 0.38}},
     {{0.24, -0.44}, {0.00, -0.49}, {-0.20, -0.38}, {-0.16, -0.16}, {0.08, -0.06}, {0.25, 0.14},
      {0.18, 0.40}, {-0.06, 0.50}, {-0.28, 0.40}}},
    {// 6: curved back; straight back; small bowl closed far inside
     {{0.20, -0.48}, {-0.08, -0.34}, {-0.26, 0.00}, {-0.22, 0.34}, {0.00, 0.50}, {0.24, 0.38},
      {0.24, 0.12}, {0.04, 0.00}, {-0.20, 0.14}},
     {{0.06, -0.50}, {-0.10, -0.20}, {-0.24, 0.14}, {-0.18, 0.42}, {0.02, 0.49}, {0.22, 0.36},
      {0.18, 0.12}, {-0.02, 0.06}, {-0.22, 0.24}},
     {{0.26, -0.40}, {0.08, -0.50}, {-0.16, -0.30}, {-0.28, 0.08}, {-0.18, 0.42}, {0.06, 0.50},
      {0.26, 0.28}, {0.12, 0.04}, {-0.08, 0.10}, {-0.12, 0.28}}},
    {// 7: straight; with a hook; curved
     {{-0.28, -0.46}, {0.00, -0.47}, {0.28, -0.48, kCorner}, {0.10, -0.02}, {-0.08, 0.50}},
     {{-0.28, -0.30}, {-0.26, -0.46, kCorner}, {0.00, -0.44}, {0.28, -0.48, kCorner}, {0.14, -0.12},
      {0.02, 0.50}},
     {{-0.28, -0.38}, {-0.12, -0.48}, {0.10, -0.42}, {0.28, -0.46, kCorner}, {0.10, -0.16}, {-0.02, 0.14},
      {-0.06, 0.50}}},
    {// 8: from the upper right, first to the left; mirrored; two circles from the waist
     {{0.18, -0.38}, {0.00, -0.50}, {-0.20, -0.38}, {-0.18, -0.16}, {0.04, 0.00}, {0.24, 0.22},
      {0.16, 0.44}, {-0.04, 0.50}, {-0.24, 0.36}, {-0.20, 0.14}, {0.04, -0.04}, {0.20, -0.22},
      {0.20, -0.40}},
     {{-0.14, -0.44}, {0.06, -0.50}, {0.21, -0.34}, {0.14, -0.12}, {-0.06, 0.02}, {-0.23, 0.22},
      {-0.14, 0.45}, {0.06, 0.50}, {0.24, 0.34}, {0.16, 0.10}, {-0.06, -0.06}, {-0.21, -0.24},
      {-0.14, -0.44}},
     {{0.02, -0.04}, {-0.18, -0.18}, {-0.16, -0.42}, {0.02, -0.50}, {0.19, -0.38}, {0.16, -0.14},
      {0.00, -0.03}, {-0.20, 0.10}, {-0.22, 0.38}, {0.00, 0.50}, {0.22, 0.38}, {0.20, 0.10}, {0.02, -0.03}}},
    {// 9: straight tail; curved tail; tail hooked to the left
     {{0.22, -0.30}, {0.04, -0.49}, {-0.20, -0.36}, {-0.18, -0.12}, {0.04, -0.06}, {0.22, -0.24},
      {0.24, -0.42, kCorner}, {0.22, 0.04}, {0.18, 0.50}},
     {{0.24, -0.36}, {0.06, -0.50}, {-0.20, -0.38}, {-0.22, -0.14}, {-0.02, -0.02}, {0.20, -0.16},
      {0.25, -0.34}, {0.24, 0.02}, {0.10, 0.34}, {-0.10, 0.50}},
     {{0.22, -0.40}, {0.02, -0.50}, {-0.22, -0.32}, {-0.16, -0.08}, {0.08, -0.08}, {0.24, -0.36, kCorner},
      {0.24, 0.10}, {0.18, 0.42}, {-0.04, 0.50}, {-0.26, 0.38}}}};
// clang-format on

// Catmull-Rom spline through the knots, cut into independent pieces at the corners.
std::vector<Vec> spline(std::span<const Knot> knots) {
  constexpr int kSteps = 12;
  std::vector<Vec> curve{{knots[0].x, knots[0].y}};
  const auto tangent = [&](std::size_t i, std::size_t from, std::size_t to) {
    const bool cut = i == 0 || i + 1 == knots.size() || knots[i].corner;
    const std::size_t a = cut ? from : i - 1, b = cut ? to : i + 1;
    const double scale = cut ? 1.0 : 0.5;
    return Vec{scale * (knots[b].x - knots[a].x), scale * (knots[b].y - knots[a].y)};
  };
  for (std::size_t i = 0; i + 1 < knots.size(); ++i) {
    const Vec t0 = tangent(i, i, i + 1), t1 = tangent(i + 1, i, i + 1);
    const Knot &p = knots[i], &q = knots[i + 1];
    for (int k = 1; k <= kSteps; ++k) {
      const double u = static_cast<double>(k) / kSteps, u2 = u * u, u3 = u2 * u;
      const double h0 = 2 * u3 - 3 * u2 + 1, h1 = u3 - 2 * u2 + u, h2 = 3 * u2 - 2 * u3, h3 = u3 - u2;
      curve.push_back(
          {h0 * p.x + h1 * t0.x + h2 * q.x + h3 * t1.x, h0 * p.y + h1 * t0.y + h2 * q.y + h3 * t1.y});
    }
  }
  return curve;
}

// The writer's hand: a smooth quadratic bend of the box, then proportions, slant, rotation and size.
struct Hand {
  double bend[4];
  double width, height, slant, cosine, sine;

  explicit Hand(ItemRandom& random) {
    for (double& b : bend) b = random.normal(0, 0.13);
    height = random.uniform(14.5, 20.5);
    width = height * random.uniform(0.8, 1.2);
    slant = random.normal(0.08, 0.16);
    const double angle = random.normal(0, 0.10);
    cosine = std::cos(angle);
    sine = std::sin(angle);
  }

  Vec operator()(Vec p) const {
    const double x = p.x + bend[0] * p.x * p.y + bend[1] * (p.y * p.y - 0.1);
    const double y = p.y + bend[2] * p.x * p.y + bend[3] * (p.x * p.x - 0.05);
    const double px = width * (x - slant * y), py = height * y;
    return {cosine * px - sine * py, sine * px + cosine * py};
  }
};

// Points at the arc lengths the pen has reached at equal times; the speed varies smoothly along the way.
std::vector<Vec> walk(const std::vector<Vec>& curve, ItemRandom& random) {
  std::vector<double> length(curve.size(), 0.0);
  for (std::size_t i = 1; i < curve.size(); ++i)
    length[i] = length[i - 1] + std::hypot(curve[i].x - curve[i - 1].x, curve[i].y - curve[i - 1].y);
  const double ease = random.uniform(-0.45, 0.45), sway = random.uniform(-0.45, 0.45);
  std::vector<Vec> points(kPathPoints);
  std::size_t segment = 1;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const double t = static_cast<double>(i) / static_cast<double>(kPathPoints - 1);
    const double pi = std::numbers::pi;
    const double reached =
        t + (ease * std::sin(pi * t) * std::sin(pi * t) + sway * 0.5 * std::sin(2 * pi * t)) / pi;
    const double target = length.back() * std::clamp(reached, 0.0, 1.0);
    while (segment + 1 < curve.size() && length[segment] < target) ++segment;
    const double span = length[segment] - length[segment - 1];
    const double u = span > 0 ? std::clamp((target - length[segment - 1]) / span, 0.0, 1.0) : 0.0;
    const Vec &a = curve[segment - 1], &b = curve[segment];
    points[i] = {a.x + u * (b.x - a.x), a.y + u * (b.y - a.y)};
  }
  return points;
}

void add_tremor(std::vector<Vec>& points, ItemRandom& random) {
  const double amplitude = random.uniform(0.0, 0.22);  // pixels
  for (int wave = 0; wave < 2; ++wave) {
    const double turns = random.uniform(5, 11), px = random.uniform(0, 2 * std::numbers::pi),
                 py = random.uniform(0, 2 * std::numbers::pi);
    for (std::size_t i = 0; i < points.size(); ++i) {
      const double angle =
          2 * std::numbers::pi * turns * static_cast<double>(i) / static_cast<double>(kPathPoints);
      points[i].x += amplitude * 0.5 * std::sin(angle + px);
      points[i].y += amplitude * 0.5 * std::sin(angle + py);
    }
  }
}

constexpr double kWander = 2.0;  // pixels from the centre

// Where the path may start so that the disc stays on the paper: shifts [low, high] of one coordinate.
double place(double low, double high, double margin, double wander, ItemRandom& random) {
  const double side = static_cast<double>(kDigitSide);
  const double free_low = margin - low, free_high = side - margin - high, centre = 0.5 * (side - low - high);
  return std::clamp(centre + random.uniform(-wander, wander), std::min(free_low, free_high),
                    std::max(free_low, free_high));
}

}  // namespace

PenItem draw_pen_item(int digit, ItemRandom& random) {
  const std::vector<Style>& styles = kStyles[digit];
  Style knots = styles[random.below(static_cast<std::uint32_t>(styles.size()))];
  for (Knot& knot : knots) {
    knot.x += random.normal(0, 0.012);
    knot.y += random.normal(0, 0.012);
  }
  std::vector<Vec> curve = spline(knots);
  const Hand hand(random);
  for (Vec& p : curve) p = hand(p);
  std::vector<Vec> points = walk(curve, random);
  add_tremor(points, random);

  PenItem item;
  item.radius = static_cast<float>(random.uniform(0.9, 1.5));
  item.ink = static_cast<float>(random.uniform(0.8, 1.0));
  const auto [left, right] =
      std::minmax_element(points.begin(), points.end(), [](Vec a, Vec b) { return a.x < b.x; });
  const auto [top, bottom] =
      std::minmax_element(points.begin(), points.end(), [](Vec a, Vec b) { return a.y < b.y; });
  const double margin = item.radius + 0.5;
  const double dx = place(left->x, right->x, margin, kWander, random),
               dy = place(top->y, bottom->y, margin, kWander, random);
  for (std::size_t i = 0; i < points.size(); ++i) {
    item.x[i] = static_cast<float>(points[i].x + dx);
    item.y[i] = static_cast<float>(points[i].y + dy);
  }
  return item;
}

}  // namespace mld::data
