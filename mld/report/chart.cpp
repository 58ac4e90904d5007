#include "mld/report/chart.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "engine/base/error.h"
#include "mld/report/html.h"

namespace mld::report {
namespace {

// A length in the box of a chart.
std::string at(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", value);
  return text;
}

std::string line(const char* style, double x1, double y1, double x2, double y2) {
  return cat("<line class=\"", style, "\" x1=\"", at(x1), "\" y1=\"", at(y1), "\" x2=\"", at(x2), "\" y2=\"",
             at(y2), "\"/>");
}

std::string text(const char* anchor, double x, double y, const std::string& content) {
  return cat("<text text-anchor=\"", anchor, "\" x=\"", at(x), "\" y=\"", at(y), "\">", escape(content),
             "</text>");
}

std::string rectangle(const char* style, double x, double y, double width, double height) {
  return cat("<rect class=\"", style, "\" x=\"", at(x), "\" y=\"", at(y), "\" width=\"", at(width),
             "\" height=\"", at(height), "\"/>");
}

std::string drawing(const std::string& description, double width, double height, const std::string& content) {
  return cat("<svg class=\"chart\" role=\"img\" aria-label=\"", escape(description), "\" viewBox=\"0 0 ",
             width, ' ', height, "\">", content, "</svg>\n");
}

double across(const Axis& axis, double value) {
  return kPlotLeft + (kPlotRight - kPlotLeft) * axis.position(value);
}
double down(const Axis& axis, double value) {
  return kPlotBottom - (kPlotBottom - kPlotTop) * axis.position(value);
}

struct Extent {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  void add(double value) {
    if (!std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return !(low <= high); }
};

Axis value_axis(const Extent& extent, bool shares) {
  constexpr double kLogarithmic = 20;
  if (shares) return linear_axis(0, 1, 5);
  if (extent.empty()) return linear_axis(0, 1, 4);
  if (extent.low > 0 && extent.high / extent.low > kLogarithmic) return log_axis(extent.low, extent.high);
  return linear_axis(extent.low, extent.high, 4);
}

Axis x_axis(const Extent& extent, bool logarithmic) {
  if (extent.empty()) return linear_axis(0, 1, 5);
  if (logarithmic) return log_axis(extent.low, extent.high);
  Axis axis = linear_axis(std::min(0.0, extent.low), extent.high, 5);
  axis.high = std::max(extent.high, axis.low + 1e-12);  // no empty room at the right
  std::erase_if(axis.ticks, [&](double tick) { return tick > axis.high; });
  return axis;
}

std::string frame(const LineChart& chart, const Axis& x, const Axis& y) {
  std::string out;
  for (const double tick : y.ticks) {
    const double height = down(y, tick);
    out += line("grid", kPlotLeft, height, kPlotRight, height);
    out +=
        text("end", kPlotLeft - 5, height + 3.5, chart.shares ? number(100 * tick) + " %" : tick_label(tick));
  }
  for (const double tick : x.ticks) {
    const double place = across(x, tick);
    out += line("axis", place, kPlotBottom, place, kPlotBottom + 4);
    out += text("middle", place, kPlotBottom + 15, tick_label(tick));
  }
  out += line("axis", kPlotLeft, kPlotBottom, kPlotRight, kPlotBottom);
  out += text("middle", (kPlotLeft + kPlotRight) / 2, kChartHeight - 6, chart.x_label);
  return out;
}

constexpr std::size_t kStyles = 8;  // of lines, in the style sheet

std::string curve(const Series& series, std::size_t number, const Axis& x, const Axis& y, bool marks) {
  std::string out, points;
  std::size_t count = 0;
  double last_x = 0, last_y = 0;
  const auto dot = [&] {
    out += cat("<circle class=\"s", number % kStyles, "\" cx=\"", at(last_x), "\" cy=\"", at(last_y),
               "\" r=\"2\"/>");
  };
  const auto flush = [&] {
    if (count == 1 && !marks) dot();
    if (count > 1) out += cat("<polyline class=\"s", number % kStyles, "\" points=\"", points, "\"/>");
    points.clear();
    count = 0;
  };
  for (std::size_t i = 0; i < series.x.size(); ++i) {
    if (!std::isfinite(series.y[i]) || (y.logarithmic && series.y[i] <= 0)) {
      flush();
      continue;
    }
    last_x = across(x, series.x[i]);
    last_y = down(y, series.y[i]);
    points += cat(count > 0 ? " " : "", at(last_x), ',', at(last_y));
    ++count;
    if (marks) dot();
  }
  flush();
  return out;
}

std::string legend(const std::vector<Series>& series) {
  std::string out = "<ul class=\"legend\">";
  for (std::size_t i = 0; i < series.size(); ++i)
    out += cat("<li><svg aria-hidden=\"true\" viewBox=\"0 0 28 10\"><polyline class=\"s", i % kStyles,
               "\" points=\"0,5 28,5\"/></svg>", escape(series[i].name), "</li>");
  return out + "</ul>\n";
}

}  // namespace

double Axis::position(double value) const {
  const double unit =
      logarithmic ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
  return std::clamp(unit, 0.0, 1.0);
}

Axis linear_axis(double low, double high, int count) {
  if (!(low < high)) {
    const double wide = low == 0 ? 1 : std::abs(low) / 10;
    low -= wide;
    high += wide;
  }
  const double raw = (high - low) / count, power = std::pow(10, std::floor(std::log10(raw)));
  const double step = power * (raw / power <= 1 ? 1 : raw / power <= 2 ? 2 : raw / power <= 5 ? 5 : 10);
  constexpr double kSlack = 1e-9;  // of a step: 0.3 is three times 0.1
  const double first = std::floor(low / step + kSlack), last = std::ceil(high / step - kSlack);
  Axis axis{first * step, last * step};
  for (double k = first; k <= last; ++k) axis.ticks.push_back(k * step);
  return axis;
}

Axis log_axis(double low, double high) {
  MLD_CHECK(low > 0 && low <= high, "log_axis: from ", low, " to ", high);
  if (low == high) {
    low /= 2;
    high *= 2;
  }
  Axis axis{low, high, true};
  constexpr double kFew = 3;
  const bool few = std::log10(high / low) < kFew;
  for (double k = std::floor(std::log10(low)); k <= std::ceil(std::log10(high)); ++k)
    for (const double factor : {1, 2, 5}) {
      const double tick = factor * std::pow(10, k);
      if ((few || factor == 1) && tick >= low && tick <= high) axis.ticks.push_back(tick);
    }
  return axis;
}

std::string tick_label(double value) {
  const double size = std::abs(value);
  if (size >= 1e6 && size < 1e12) return number(value / 1e6) + "M";
  if (size >= 1e4 && size < 1e6) return number(value / 1e3) + "k";
  return number(std::abs(value) < 1e-12 ? 0 : value, 4);
}

std::string line_chart(const LineChart& chart) {
  Extent steps, values;
  for (const Series& s : chart.series)
    for (std::size_t i = 0; i < s.x.size(); ++i) {
      steps.add(s.x[i]);
      values.add(s.y[i]);
    }
  const Axis x = x_axis(steps, chart.logarithmic_x);
  const Axis y = value_axis(values, chart.shares);
  std::string content = frame(chart, x, y);
  for (std::size_t i = 0; i < chart.series.size(); ++i)
    content += curve(chart.series[i], i, x, y, chart.marks);
  content += text("start", 2, 10, chart.y_label);
  return drawing(chart.description, kChartWidth, kChartHeight, content) +
         (chart.series.size() > 1 ? legend(chart.series) : "");
}

std::string column_chart(const std::string& description, const std::vector<double>& shares) {
  constexpr double kHeight = 110, kBase = 92, kTop = 14;
  const double equal = 1 / static_cast<double>(std::max<std::size_t>(1, shares.size()));
  const double highest =
      std::max(equal, shares.empty() ? 0 : *std::max_element(shares.begin(), shares.end()));
  const double step = (kPlotRight - 10) / static_cast<double>(std::max<std::size_t>(1, shares.size()));
  const double level = kBase - (kBase - kTop) * equal / highest;
  std::string bars, labels;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const double height = (kBase - kTop) * shares[i] / highest, left = 10 + step * static_cast<double>(i);
    bars += rectangle("bar", left + step * 0.12, kBase - height, step * 0.76, height);
    if (shares.size() > 20) continue;
    labels += text("middle", left + step / 2, kBase + 13, std::to_string(i));
    labels += text("middle", left + step / 2, kBase - height - 3, number(100 * shares[i]));
  }
  const std::string content = bars + line("reference", 10, level, kPlotRight, level) +
                              line("axis", 10, kBase, kPlotRight, kBase) + labels;
  return drawing(description, kChartWidth, kHeight, content);
}

std::string interval_bar(double value, double low, double high) {
  const auto percentage = [](double share) { return 100 * std::clamp(share, 0.0, 1.0); };
  if (!std::isfinite(value)) return "";
  std::string content = rectangle("track", 0, 2, 100, 8) + rectangle("bar", 0, 2, percentage(value), 8);
  const bool interval = std::isfinite(low) && std::isfinite(high);
  if (interval)
    content += line("whisker", percentage(low), 6, percentage(high), 6) +
               line("whisker", percentage(low), 3, percentage(low), 9) +
               line("whisker", percentage(high), 3, percentage(high), 9);
  return cat("<svg class=\"interval\" role=\"img\" aria-label=\"", percent(value),
             interval ? cat(", from ", percent(low), " to ", percent(high)) : "",
             "\" viewBox=\"0 0 100 12\" preserveAspectRatio=\"none\">", content, "</svg>");
}

}  // namespace mld::report
