#include "data/sources/mnist_strokes.h"

#include <algorithm>
#include <cmath>

#include "engine/base/error.h"
#include "engine/threads/threads.h"

namespace mld::data {
namespace {

constexpr std::int64_t kPoints = kTrajectory / 2;
enum : std::size_t { kDx, kDy, kEndOfStroke, kEndOfDigit, kColumns };

std::vector<std::int32_t> integers(const NpyArray& array) {
  std::vector<std::int32_t> values(static_cast<std::size_t>(array.shape().numel()));
  array.copy<std::int32_t>(0, values);
  return values;
}

// `rows` [*,4] of digit `i`, where the array is called `name`.
std::vector<StrokePoint> absolute(std::span<const std::int32_t> rows, const std::string& name,
                                  std::int64_t i) {
  std::vector<StrokePoint> points;
  std::int64_t x = -1, y = -1;  // files count from 1
  for (std::size_t r = 0; r < rows.size(); r += kColumns) {
    x += rows[r + kDx], y += rows[r + kDy];
    MLD_CHECK_AS(ErrorKind::data, x >= 0 && x < kDigitSide && y >= 0 && y < kDigitSide, name, ": digit ", i,
                 ": the pen is at (", x, ", ", y, "), expected 0 to ", kDigitSide - 1);
    points.push_back(
        {static_cast<float>(x) + 0.5F, static_cast<float>(y) + 0.5F, rows[r + kEndOfStroke] != 0});
  }
  return points;
}

}  // namespace

std::array<float, kTrajectory> equal_steps(std::span<const StrokePoint> strokes) {
  MLD_CHECK(!strokes.empty(), "equal_steps: no point");
  std::vector<double> reached(strokes.size(), 0.0);  // distance, with the pen down
  for (std::size_t i = 1; i < strokes.size(); ++i) {
    const StrokePoint &a = strokes[i - 1], &b = strokes[i];
    reached[i] = reached[i - 1] + (a.last ? 0.0 : std::hypot(b.x - a.x, b.y - a.y));
  }
  std::array<float, kTrajectory> path{};
  std::size_t next = 0;  // the first point that is reached no sooner
  for (std::int64_t k = 0; k < kPoints; ++k) {
    const double target = reached.back() * static_cast<double>(k) / static_cast<double>(kPoints - 1);
    while (reached[next] < target) ++next;
    StrokePoint at = strokes[next];
    if (next > 0 && reached[next] > reached[next - 1]) {
      const StrokePoint& before = strokes[next - 1];
      const double u = (target - reached[next - 1]) / (reached[next] - reached[next - 1]);
      at.x = static_cast<float>(before.x + u * (at.x - before.x));
      at.y = static_cast<float>(before.y + u * (at.y - before.y));
    }
    path[static_cast<std::size_t>(k)] = at.x;
    path[static_cast<std::size_t>(kPoints + k)] = at.y;
  }
  return path;
}

LabelledPaths read_mnist_strokes(const NpzFile& file, const std::string& part) {
  return read_mnist_strokes(file.array(part + "_steps"), file.array(part + "_offsets"),
                            file.array(part + "_labels"));
}

LabelledPaths read_mnist_strokes(const NpyArray& steps, const NpyArray& offsets, const NpyArray& labels) {
  const auto bad_shape = [](const NpyArray& array, const char* expected) {
    return cat(array.name(), ": shape ", array.shape(), ", expected ", expected);
  };
  MLD_CHECK_AS(ErrorKind::data, steps.shape().rank() == 2 && steps.shape()[1] == kColumns,
               bad_shape(steps, "[T,4]: dx, dy, end of stroke, end of digit"));
  MLD_CHECK_AS(ErrorKind::data, labels.shape().rank() == 1, bad_shape(labels, "[N]"));
  const std::int64_t digits = labels.shape()[0];
  MLD_CHECK_AS(ErrorKind::data, offsets.shape() == Shape{digits + 1}, offsets.name(), ": shape ",
               offsets.shape(), ", expected [", digits + 1, "], one more than there are labels");
  const std::vector<std::int32_t> rows = integers(steps), first = integers(offsets);
  for (std::int64_t i = 0; i < digits; ++i) {
    const auto begin = first[static_cast<std::size_t>(i)], end = first[static_cast<std::size_t>(i + 1)];
    MLD_CHECK_AS(ErrorKind::data, begin >= 0 && begin < end && end <= steps.shape()[0], offsets.name(),
                 ": digit ", i, " is rows ", begin, " to ", end, " of ", steps.shape()[0]);
    MLD_CHECK_AS(ErrorKind::data,
                 rows[static_cast<std::size_t>(end) * kColumns - kColumns + kEndOfDigit] != 0, steps.name(),
                 ": row ", end - 1, " does not end digit ", i);
  }
  LabelledPaths out{std::vector<float>(static_cast<std::size_t>(digits * kTrajectory)), integers(labels)};
  parallel_for(digits, [&](std::int64_t i) {
    const auto begin = static_cast<std::size_t>(first[static_cast<std::size_t>(i)]) * kColumns,
               end = static_cast<std::size_t>(first[static_cast<std::size_t>(i + 1)]) * kColumns;
    const std::vector<StrokePoint> points =
        absolute(std::span(rows).subspan(begin, end - begin), steps.name(), i);
    std::ranges::copy(equal_steps(points), out.paths.begin() + i * kTrajectory);
  });
  return out;
}

}  // namespace mld::data
