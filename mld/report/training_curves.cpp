#include "mld/report/training_curves.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/io/files.h"
#include "mld/report/chart.h"
#include "mld/report/html.h"
#include "mld/run/run_files.h"

namespace mld::report {
namespace {

constexpr std::size_t kCurvePoints = 300;

struct Curve {
  std::string stage;
  Series loss;
  double first_rate = 0, last_rate = 0;
};

// Lines that are cut off or no metrics are left out: a run may be writing.
std::vector<Curve> read_curves(const std::filesystem::path& file) {
  std::vector<Curve> curves;
  if (!path_exists(file)) return curves;
  std::istringstream lines(read_text(file));
  for (std::string line; std::getline(lines, line);) {
    const nlohmann::json j = nlohmann::json::parse(line, nullptr, false);
    if (!j.is_object() || !j.contains("stage") || !j["stage"].is_string() || !j.contains("step") ||
        !j["step"].is_number() || !j.contains("loss"))
      continue;
    const std::string stage = j["stage"].get<std::string>();
    const double rate = j.contains("lr") && j["lr"].is_number() ? j["lr"].get<double>() : std::nan("");
    auto it = std::ranges::find(curves, stage, &Curve::stage);
    if (it == curves.end()) it = curves.insert(it, Curve{stage, {stage, {}, {}}, rate, rate});
    it->loss.x.push_back(j["step"].get<double>());
    it->loss.y.push_back(j["loss"].is_number() ? j["loss"].get<double>() : std::nan(""));
    it->last_rate = rate;
  }
  return curves;
}

// Means of neighbouring points, so that no more than kCurvePoints are left; the first and the last stay.
Series thinned(const Series& all) {
  const std::size_t n = all.x.size();
  if (n <= kCurvePoints) return all;
  Series out{all.name, {all.x.front()}, {all.y.front()}};
  const std::size_t inner = n - 2, groups = kCurvePoints - 2;
  for (std::size_t g = 0; g < groups; ++g) {
    const std::size_t first = 1 + inner * g / groups, last = 1 + inner * (g + 1) / groups;
    double x = 0, y = 0;
    for (std::size_t i = first; i < last; ++i) {
      x += all.x[i];
      y += all.y[i];
    }
    const auto count = static_cast<double>(last - first);
    out.x.push_back(x / count);
    out.y.push_back(y / count);
  }
  out.x.push_back(all.x.back());
  out.y.push_back(all.y.back());
  return out;
}

}  // namespace

std::string training_curves(const std::filesystem::path& file) {
  std::string out;
  for (const Curve& curve : read_curves(file)) {
    const double steps = curve.loss.x.back(), loss = curve.loss.y.back();
    const std::string summary =
        cat(number(steps, 9), " steps, loss ", number(curve.loss.y.front()), " to ", number(loss),
            ", learning rate ", number(curve.first_rate),
            curve.first_rate == curve.last_rate ? "" : " to " + number(curve.last_rate));
    out +=
        figure(curve.stage, line_chart({.description = cat("Training loss of ", curve.stage, ": ", summary),
                                        .x_label = "step",
                                        .y_label = "loss",
                                        .series = {thinned(curve.loss)}}) +
                                paragraph(summary));
  }
  if (out.empty()) return out;
  return remark("Training losses, each point the mean since the one before it.") +
         "<div class=\"charts\">\n" + out + "</div>\n";
}

}  // namespace mld::report
