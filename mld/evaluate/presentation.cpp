#include "mld/evaluate/presentation.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "engine/base/error.h"

namespace mld::shown {

std::string number(double value, int digits) {
  if (!std::isfinite(value)) return "–";
  char text[40];
  std::snprintf(text, sizeof text, "%.*g", digits, value);
  return text;
}

std::string fixed(double value, int decimals) {
  if (!std::isfinite(value)) return "–";
  char text[400];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

std::string percent(double share) { return std::isfinite(share) ? fixed(100 * share, 1) + " %" : "–"; }

std::string count(std::int64_t value) {
  return value == record::kNoCount ? "–" : number(static_cast<double>(value), 12);
}

std::string with_error(double value, double error) {
  return std::isnan(error) ? number(value) : cat(number(value), " ± ", number(error, 2));
}

std::string format(const char* pattern, double a, double b, double c) {
  char text[128];
  std::snprintf(text, sizeof text, pattern, a, b, c);
  return text;
}

std::string interval(const Share& share) {
  return std::isnan(share.low) ? "" : cat(fixed(100 * share.low, 1), " … ", fixed(100 * share.high, 1));
}

std::string with_interval(const Share& share) {
  return format("%6.2f %%   [%6.2f, %6.2f]", 100 * share.value, 100 * share.low, 100 * share.high);
}

std::string row(std::string name, const std::string& value) {
  name.resize(std::max<std::size_t>(name.size() + 1, 40), ' ');
  return "  " + name + value + "\n";
}

std::string interval_head() { return row("", "value      95 % interval"); }

std::string under(const std::string& heading, const std::string& rows) {
  return rows.empty() ? "" : heading + "\n" + rows;
}

std::string names(const Evaluation& e, Subset set) {
  std::string out;
  for (const char c : e.names(set)) out += c == ',' ? ", " : std::string(1, c);
  return out;
}

std::string source(const Evaluation& e, Subset given, int target) {
  if (given == 0) return "nothing (joint)";
  const bool itself = target >= 0 && given == Subset{1} << target;
  return itself && e.walks() ? "itself (decode of encode)" : names(e, given);
}

void Lines::add(const std::string& name, double x, double y) {
  if (std::isnan(x)) return;
  auto it = std::ranges::find(lines, name, &Line::name);
  if (it == lines.end()) it = lines.insert(it, Line{name, {}, {}});
  it->x.push_back(x);
  it->y.push_back(y);
}

}  // namespace mld::shown
