#include "data/pictures/render.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "engine/base/error.h"

namespace mld::data {
namespace {

struct Point {
  float x, y;
};

float squared_distance(Point p, Point a, Point b) {
  const float abx = b.x - a.x, aby = b.y - a.y, apx = p.x - a.x, apy = p.y - a.y;
  const float length2 = abx * abx + aby * aby;
  const float t = length2 > 0 ? std::clamp((apx * abx + apy * aby) / length2, 0.0F, 1.0F) : 0.0F;
  const float dx = apx - t * abx, dy = apy - t * aby;
  return dx * dx + dy * dy;
}

// First and one past the last pixel whose centre can be within `reach` of [low, high].
std::pair<std::int64_t, std::int64_t> pixel_range(float low, float high, float reach, std::int64_t size) {
  const float limit = static_cast<float>(size);
  const float first = std::clamp(std::floor(low - reach), 0.0F, limit);
  const float last = std::clamp(std::ceil(high + reach), 0.0F, limit);
  return {static_cast<std::int64_t>(first), static_cast<std::int64_t>(last)};
}

void approach_segment(Point a, Point b, float reach, const Canvas& canvas, std::vector<float>& nearest2) {
  const auto [row_begin, row_end] = pixel_range(std::min(a.y, b.y), std::max(a.y, b.y), reach, canvas.height);
  const auto [col_begin, col_end] = pixel_range(std::min(a.x, b.x), std::max(a.x, b.x), reach, canvas.width);
  for (std::int64_t row = row_begin; row < row_end; ++row) {
    for (std::int64_t col = col_begin; col < col_end; ++col) {
      const Point centre{static_cast<float>(col) + 0.5F, static_cast<float>(row) + 0.5F};
      float& best = nearest2[static_cast<std::size_t>(row * canvas.width + col)];
      best = std::min(best, squared_distance(centre, a, b));
    }
  }
}

std::vector<bool> inked(std::span<const float> image) {
  const float threshold = 0.5F * *std::max_element(image.begin(), image.end());
  std::vector<bool> mask(image.size());
  for (std::size_t i = 0; i < image.size(); ++i) mask[i] = image[i] > threshold;
  return mask;
}

}  // namespace

void draw_path(std::span<const float> x, std::span<const float> y, float radius, float ink,
               const Canvas& canvas) {
  MLD_CHECK(x.size() == y.size(), "draw_path: ", x.size(), " x values but ", y.size(), " y values");
  const float reach = radius + 0.5F;
  MLD_CHECK(canvas.height >= 0 && canvas.width >= 0 &&
                canvas.values.size() == static_cast<std::size_t>(canvas.height * canvas.width),
            "draw_path: canvas of ", canvas.height, " x ", canvas.width, " with ", canvas.values.size(),
            " values");
  std::vector<Point> path;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (std::isfinite(x[i]) && std::isfinite(y[i])) path.push_back({x[i], y[i]});
  if (path.size() == 1) path.push_back(path.front());
  std::vector<float> nearest2(canvas.values.size(), reach * reach);
  for (std::size_t i = 1; i < path.size(); ++i)
    approach_segment(path[i - 1], path[i], reach, canvas, nearest2);
  for (std::size_t i = 0; i < nearest2.size(); ++i) {
    const float coverage = std::min(1.0F, reach - std::sqrt(nearest2[i]));
    canvas.values[i] = std::max(canvas.values[i], ink * coverage);
  }
}

void render_trajectory(std::span<const float> trajectory, ValueRange range, float radius,
                       std::span<float> image) {
  MLD_CHECK(trajectory.size() == kTrajectory && image.size() == kDigitSide * kDigitSide,
            "render_trajectory: needs a trajectory of 200 and an image of 784 values, got ",
            trajectory.size(), " and ", image.size());
  std::array<float, kTrajectory> path;
  for (std::size_t i = 0; i < path.size(); ++i) path[i] = range.from_unit(trajectory[i]);
  std::fill(image.begin(), image.end(), 0.0F);
  const std::span<const float> points(path);
  draw_path(points.first(kTrajectory / 2), points.last(kTrajectory / 2), radius, 1.0F,
            {image, kDigitSide, kDigitSide});
}

double pen_image_agreement(std::span<const float> image, std::span<const float> trajectory,
                           ValueRange range) {
  MLD_CHECK(image.size() == kDigitSide * kDigitSide,
            "pen_image_agreement: needs an image of 784 values, got ", image.size());
  constexpr float kBlank = 0.1F;
  if (!(*std::max_element(image.begin(), image.end()) >= kBlank)) return 0;
  const std::vector<bool> wanted = inked(image);
  std::vector<float> drawn(image.size());
  double best = 0;
  for (const float radius : {0.9F, 1.1F, 1.3F, 1.5F}) {
    render_trajectory(trajectory, range, radius, drawn);
    const std::vector<bool> got = inked(drawn);
    std::int64_t both = 0, either = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      both += wanted[i] && got[i];
      either += wanted[i] || got[i];
    }
    if (either > 0) best = std::max(best, static_cast<double>(both) / static_cast<double>(either));
  }
  return best;
}

}  // namespace mld::data
