// Charts as inline SVG, coloured by the page's style sheet (mld/report/style.h), so that they follow light
// and dark. Sizes are in units of the chart's own box; every chart carries a description for those who do not
// see it.
#pragma once

#include <string>
#include <vector>

#include "mld/evaluate/presentation.h"

namespace mld::report {

// A scale from values to 0 .. 1 with its ticks. Linear ones end at ticks, as round numbers; logarithmic ones
// at the data.
struct Axis {
  double low = 0, high = 1;
  bool logarithmic = false;
  std::vector<double> ticks = {};  // ascending, within [low, high]

  double position(double value) const;
};
// About `count` ticks at 1, 2 or 5 times a power of ten. An empty interval is widened.
Axis linear_axis(double low, double high, int count);
// 0 < low <= high. Ticks at powers of ten, at 1, 2 and 5 times them where these are few.
Axis log_axis(double low, double high);
std::string tick_label(double value);  // "20k", "0.05", "1e-05"

using Series = shown::Line;  // where y is not finite the line is interrupted

struct LineChart {
  std::string description, x_label, y_label;
  std::vector<Series> series;
  bool shares = false;         // y from 0 to 1, labelled in percent
  bool logarithmic_x = false;  // x > 0
  bool marks = false;          // a dot at every point
};
// The y axis is logarithmic where all values are positive and span more than a factor of 20. A legend if
// there is more than one series.
inline constexpr double kChartWidth = 360, kChartHeight = 220;
inline constexpr double kPlotLeft = 46, kPlotRight = 342, kPlotTop = 20, kPlotBottom = 182;
std::string line_chart(const LineChart& chart);

// Shares as columns with a dashed line at what they would be if all were equal.
std::string column_chart(const std::string& description, const std::vector<double>& shares);

// A share as a bar in a line of text with its interval as a whisker; box 100 x 12.
std::string interval_bar(double value, double low, double high);

}  // namespace mld::report
