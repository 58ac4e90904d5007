#include "mld/report/ablation_page.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>

#include "engine/base/error.h"
#include "engine/base/names.h"
#include "engine/base/statistics.h"
#include "engine/io/files.h"
#include "mld/report/chart.h"
#include "mld/report/html.h"
#include "mld/report/side_by_side.h"
#include "mld/run/run_files.h"
#include "mld/study/compare.h"
#include "mld/study/tables/evaluation_file.h"

namespace mld::report {
namespace {

std::optional<double> numeric(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

// Numbers of one kind by the value of the setting; what several seeds found is averaged.
class Curves {
 public:
  void add(const std::string& name, double x, double y) {
    const auto found = std::ranges::find(names_, name);
    if (found == names_.end()) names_.push_back(name);
    points_[name][x].add(y);
  }
  std::vector<Series> series() const {
    std::vector<Series> out;
    for (const std::string& name : names_) {
      Series s{name, {}, {}};
      for (const auto& [x, values] : points_.at(name)) {
        s.x.push_back(x);
        s.y.push_back(values.mean());
      }
      out.push_back(std::move(s));
    }
    return out;
  }

 private:
  std::vector<std::string> names_;  // in order of appearance
  std::map<std::string, std::map<double, Moments>> points_;
};

std::string names_of(Subset set, const std::vector<std::string>& modalities) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < modalities.size(); ++i)
    if (contains(set, static_cast<int>(i))) names.push_back(modalities[i]);
  return join(names);
}

// Of the charts of one ablation, by their titles in order of appearance.
struct Charts {
  std::vector<std::string> titles;
  std::map<std::string, Curves> curves;
  Curves& operator[](const std::string& title) {
    if (!curves.contains(title)) titles.push_back(title);
    return curves[title];
  }
};

const std::string kCoherence = "Coherence", kDiversity = "Diversity";

void add_points(const Evaluation& file, double x, Charts& charts) {
  constexpr std::size_t kFew = 4;  // conditional cells that fit a chart
  Curves& coherence = charts[kCoherence];
  if (const double joint = file.joint.all_equal.value; !std::isnan(joint)) coherence.add("joint", x, joint);
  const auto direction = [&](Subset given, int target) {
    return cat(names_of(given, file.modalities), " → ", file.modalities[static_cast<std::size_t>(target)]);
  };
  if (file.conditional.size() <= kFew)
    for (const auto& c : file.conditional) coherence.add(direction(c.given, c.target), x, c.coherence.value);
  else
    for (const auto& [size, value] : file.leave_one_out) coherence.add(cat("given ", size), x, value);
  for (const auto& q : file.quality) {
    const Subset target = Subset{1} << q.target;
    const Subset others = full_set(static_cast<int>(file.modalities.size())) & ~target;
    if (q.given != 0 && q.given != others && std::popcount(q.given) != 1) continue;
    if (q.given == target) continue;
    charts[cat(q.metric, " of ", file.modalities[static_cast<std::size_t>(q.target)])].add(
        q.given == 0 ? "joint" : "given " + names_of(q.given, file.modalities), x, q.distance.frechet);
  }
  if (file.diversity.size() <= kFew)
    for (const auto& c : file.diversity) charts[kDiversity].add(direction(c.given, c.target), x, c.ratio);
}

std::string curves(const std::string& key, std::span<const AblationCell> cells) {
  Charts charts;
  for (const AblationCell& cell : cells) {
    const std::optional<double> x = numeric(cell.value);
    if (!x) return "";
    add_points(tables::read_evaluation(cell.evaluation), *x, charts);
  }
  std::string out;
  for (const std::string& title : charts.titles) {
    const bool shares = title == kCoherence || title == kDiversity;
    out += figure(title, line_chart({.description = cat(title, " against ", key),
                                     .x_label = key,
                                     .y_label = title == kCoherence   ? "right class"
                                                : title == kDiversity ? "share of the spread"
                                                                      : "distance",
                                     .series = charts.curves[title].series(),
                                     .shares = shares}));
  }
  return "<div class=\"charts\">" + out + "</div>\n" +
         remark("Where there are several seeds, the curves are their means; the table has the deviations.");
}

// Runs of the first seed that are there, each once.
std::vector<Contender> contenders(const std::string& key, std::span<const AblationCell> cells) {
  std::vector<Contender> found;
  for (const AblationCell& cell : cells) {
    const bool shared =
        std::ranges::any_of(found, [&](const Contender& other) { return other.run == cell.run; });
    if (cell.seed == cells.front().seed && !shared && path_exists(RunFiles{cell.run}.config()))
      found.push_back({key == "model.kind" ? model_name(cell.value) : cat(key, " ", cell.value), cell.run});
  }
  return found;
}

// They illustrate the table: what keeps them from being drawn is said in their place.
std::string samples(const AblationPage& p, std::span<const AblationCell> cells,
                    const ReportProgress& progress) {
  try {
    return side_by_side(contenders(p.key, cells), p.device, progress);
  } catch (const Error& error) {
    return remark(cat("No samples are shown: ", error.what()));
  }
}

}  // namespace

std::string ablation_page(const AblationPage& p, std::span<const AblationCell> cells,
                          const ReportProgress& progress) {
  const std::string table =
      tables::write_tables(ablation_tables(p.key, cells, p.paper), tables::TableFormat::table);
  return page(p.title.empty() ? "Ablation of " + p.key : p.title, cat(cells.size(), " runs"),
              {{"curves", "Curves", curves(p.key, cells)},
               {"table", "Table", preformatted(table)},
               {"samples", "Samples", samples(p, cells, progress)}});
}

}  // namespace mld::report
