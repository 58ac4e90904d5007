#include "mld/study/tables/layout.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "data/store/json_fields.h"
#include "engine/base/error.h"
#include "engine/base/names.h"
#include "mld/config/config.h"
#include "mld/study/tables/evaluation_file.h"

namespace mld::tables {
namespace {

using data::JsonFields;

constexpr const char* kFile = "paper_results.json";
constexpr std::array kMeasureNames{"joint",        "conditional", "self",       "leave_one_out", "quality",
                                   "mean_quality", "kernel",      "clip_score", "attributes"};
constexpr const char* kFallback = "CFD";  // stands in where an extractor's weights are absent

int index_of(const std::vector<std::string>& modalities, const std::string& name) {
  const auto found = std::ranges::find(modalities, name);
  MLD_CHECK(found != modalities.end(), kFile, ": no modality ", name);
  return static_cast<int>(found - modalities.begin());
}

Subset subset_of(const std::vector<std::string>& modalities, const std::string& names) {
  for (Subset set = 0; set <= full_set(static_cast<int>(modalities.size())); ++set)
    if (subset_name(set, modalities) == names) return set;
  fail(ErrorKind::internal, kFile, ": no modalities ", names);
}

LayoutColumn parse_column(JsonFields& f, const std::vector<std::string>& modalities) {
  LayoutColumn column;
  column.head = f.string("head");
  column.measure = static_cast<Measure>(f.choice("measure", kMeasureNames));
  if (f.has("given")) column.given = subset_of(modalities, f.string("given"));
  if (f.has("target")) column.target = index_of(modalities, f.string("target"));
  if (column.measure == Measure::self && column.given == 0) column.given = Subset{1} << column.target;
  column.own_suffices = contains(column.given, column.target);
  if (f.has("size")) column.size = f.integer("size", 0, kMaxModalities);
  if (f.has("metric")) column.metric = f.string("metric");
  f.finish();
  return column;
}

PublishedTable parse_published(JsonFields& f, std::size_t columns) {
  PublishedTable table;
  table.number = f.integer("number", 1, 1000);
  for (JsonFields& r : f.objects("rows")) {
    PublishedRow row;
    row.model = r.string("model");
    row.mean = r.numbers("mean");
    if (r.has("std")) row.deviation = r.numbers("std");
    r.finish();
    MLD_CHECK(row.mean.size() == columns && (row.deviation.empty() || row.deviation.size() == columns), kFile,
              ": table ", table.number, ", ", row.model, ": not a number a column");
    table.rows.push_back(std::move(row));
  }
  f.finish();
  return table;
}

TableLayout parse_table(JsonFields& f, const std::vector<std::string>& modalities) {
  TableLayout table;
  table.title = f.string("title");
  for (JsonFields& c : f.objects("columns")) {
    table.columns.push_back(parse_column(c, modalities));
    table.columns.back().published = static_cast<int>(table.columns.size()) - 1;
  }
  for (double number : f.numbers("shown")) table.shown.push_back(static_cast<std::int64_t>(number));
  for (JsonFields& p : f.objects("paper"))
    table.published.push_back(parse_published(p, table.columns.size()));
  table.notes = f.strings("notes");
  f.finish();
  return table;
}

PublishedResults parse_results() {
  const data::Json json = data::parse_json(kPublishedJson, kFile);
  JsonFields root(json, kFile);
  PublishedResults results;
  results.source = root.string("source");
  for (JsonFields& f : root.objects("data_sets")) {
    PublishedDataSet set;
    set.names = f.strings("names");
    set.modalities = f.strings("modalities");
    for (JsonFields& t : f.objects("tables")) set.tables.push_back(parse_table(t, set.modalities));
    f.finish();
    results.data_sets.push_back(std::move(set));
  }
  root.finish();
  return results;
}

// "joint image", "image,sound->trajectory"
std::string place_name(Subset given, int target, const std::vector<std::string>& modalities) {
  const std::string& name = modalities[static_cast<std::size_t>(target)];
  return given == 0 ? "joint " + name : subset_name(given, modalities) + "->" + name;
}

// The column's head with what it measures, unless that is coherence.
void complete_head(LayoutColumn& column) {
  switch (column.measure) {
    case Measure::quality:
    case Measure::mean_quality:
      column.head += " " + column.metric;
      break;
    case Measure::kernel:
      column.head += column.metric == "FID" ? " KID" : " " + column.metric + " kernel";
      break;
    case Measure::clip_score:
      column.head += " CLIP-S";
      break;
    default:
      break;
  }
}

// What occurs in the files' quality sections.
struct QualityKey {
  int target = 0;
  std::size_t order = 0;  // of the set that is given: as all_subsets, after the empty one
  Subset given = 0;
  std::string metric;
  auto operator<=>(const QualityKey&) const = default;
};

std::set<QualityKey> quality_keys(std::span<const Evaluation> files, bool with_kernel) {
  std::set<QualityKey> keys;
  const std::vector<Subset> subsets = all_subsets(static_cast<int>(files.front().modalities.size()));
  for (const Evaluation& file : files)
    for (const auto& q : file.quality) {
      if (with_kernel && std::isnan(q.distance.kernel.value)) continue;
      const auto place = std::ranges::find(subsets, q.given) - subsets.begin();
      keys.insert({q.target, q.given == 0 ? 0 : static_cast<std::size_t>(place) + 1, q.given, q.metric});
    }
  return keys;
}

constexpr std::size_t kMostSpeltOut = 3;  // modalities: with more, conditionals are averaged by size

class Generic {
 public:
  explicit Generic(std::span<const Evaluation> files)
      : files_(files), modalities_(files.front().modalities), averaged_(modalities_.size() > kMostSpeltOut) {}

  std::vector<TableLayout> tables() const {
    const std::string& name = files_.front().dataset;
    return {{name + ": coherence (%)", coherence(), {}, {}, {}},
            {name + ": quality", quality(), {}, {}, {}},
            {name + ": autoencoders, coherence (%) and quality", self(), {}, {}, {}}};
  }

  TableLayout kernels() const {
    TableLayout table{files_.front().dataset + ": kernel distances", {}, {}, {}, {}};
    for (const QualityKey& key : quality_keys(files_, true))
      if (!averaged_ || key.given == 0) table.columns.push_back(column(Measure::kernel, key));
    return table;
  }

  TableLayout attributes() const {
    TableLayout table{files_.front().dataset + ": attributes that are right, mean (%)", {}, {}, {}, {}};
    table.columns.push_back({.head = "joint", .measure = Measure::attributes});
    for (const LayoutColumn& c : coherence())
      if (c.measure == Measure::conditional) {
        table.columns.push_back(c);
        table.columns.back().measure = Measure::attributes;
      }
    return table;
  }

 private:
  std::string spelt(Subset given, int target) const { return place_name(given, target, modalities_); }

  LayoutColumn column(Measure measure, const QualityKey& key) const {
    return {spelt(key.given, key.target), measure, key.given, key.target, 0, key.metric};
  }

  std::vector<LayoutColumn> coherence() const {
    const int count = static_cast<int>(modalities_.size());
    std::vector<LayoutColumn> columns{{.head = "joint", .measure = Measure::joint}};
    if (averaged_) {
      for (int size = 1; size < count; ++size)
        columns.push_back({.head = cat(size, " given"), .measure = Measure::leave_one_out, .size = size});
      return columns;
    }
    for (const Subset given : all_subsets(count))
      for (int target = 0; target < count; ++target)
        if (!contains(given, target))
          columns.push_back({spelt(given, target), Measure::conditional, given, target});
    return columns;
  }

  std::vector<LayoutColumn> quality() const {
    std::vector<LayoutColumn> columns;
    std::set<std::string> metrics;
    for (const QualityKey& key : quality_keys(files_, false)) {
      metrics.insert(key.metric);
      if (!contains(key.given, key.target) && (!averaged_ || key.given == 0))
        columns.push_back(column(Measure::quality, key));
    }
    if (!averaged_) return columns;
    for (const std::string& metric : metrics)
      for (int size = 1; size < static_cast<int>(modalities_.size()); ++size)
        columns.push_back(
            {.head = cat(size, " given"), .measure = Measure::mean_quality, .size = size, .metric = metric});
    return columns;
  }

  std::vector<LayoutColumn> self() const {
    std::vector<LayoutColumn> columns;
    const int count = static_cast<int>(modalities_.size());
    const auto is_known = [&](int target) {
      return std::ranges::any_of(files_, [&](const Evaluation& file) {
        return std::ranges::any_of(
            file.self, [&](const auto& c) { return c.given == full_set(count) && c.target == target; });
      });
    };
    for (int target = 0; target < count; ++target) {
      const Subset own = Subset{1} << target;
      columns.push_back({spelt(own, target), Measure::self, own, target});
      if (count > 1 && is_known(target))
        columns.push_back({spelt(full_set(count), target), Measure::self, full_set(count), target});
    }
    for (const QualityKey& key : quality_keys(files_, false))
      if (key.given == Subset{1} << key.target || key.given == full_set(count))
        columns.push_back(column(Measure::quality, key));
    return columns;
  }

  std::span<const Evaluation> files_;
  const std::vector<std::string>& modalities_;
  bool averaged_;
};

// Columns of the fallback behind those of the published metrics.
void add_fallbacks(std::vector<LayoutColumn>& columns) {
  std::vector<LayoutColumn> all;
  for (const LayoutColumn& column : columns) {
    all.push_back(column);
    if (column.measure != Measure::quality && column.measure != Measure::mean_quality) continue;
    all.push_back(column);
    all.back().metric = kFallback;
    all.back().published = -1;
  }
  columns = std::move(all);
}

}  // namespace

const PublishedResults& published_results() {
  static const PublishedResults results = parse_results();
  return results;
}

const PublishedDataSet* published_of(const Evaluation& file) {
  for (const PublishedDataSet& set : published_results().data_sets) {
    const auto named = [&](const std::string& name) {
      return std::ranges::find(set.names, name) != set.names.end();
    };
    if (set.modalities == file.modalities && (named(lower(file.dataset)) || named(file.preset))) return &set;
  }
  return nullptr;
}

std::vector<TableLayout> layouts_of(std::span<const Evaluation> files) {
  std::vector<TableLayout> tables;
  if (const PublishedDataSet* set = published_of(files.front())) {
    tables = set->tables;
    for (TableLayout& table : tables) add_fallbacks(table.columns);
  }
  const Generic generic(files);
  const bool classes = std::ranges::any_of(tables, [](const TableLayout& table) {
    return std::ranges::any_of(table.columns,
                               [](const LayoutColumn& c) { return c.measure == Measure::joint; });
  });
  if (!tables.empty() && !classes) tables.push_back(generic.tables().front());
  if (tables.empty()) tables = generic.tables();
  tables.push_back(generic.attributes());
  tables.push_back(generic.kernels());
  for (TableLayout& table : tables)
    for (LayoutColumn& column : table.columns) complete_head(column);
  return tables;
}

}  // namespace mld::tables
