#include "mld/study/compare.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "engine/base/error.h"
#include "engine/base/names.h"
#include "engine/io/file_error.h"
#include "mld/study/tables/evaluation_file.h"
#include "mld/study/tables/layout.h"

namespace mld {
namespace {

using namespace tables;

// Runs that differ in nothing but the seed, evaluated in the same way.
struct Group {
  std::vector<const Evaluation*> files;  // by seed
  std::string name;
};

struct Trait {
  std::string text;
  bool of_family = false;  // VAEs have no schedule, and no average of weights unless asked to
  bool operator==(const Trait&) const = default;
};

// What tells groups apart, in the order in which a name states it; last the settings among `varied`, of which
// those of the preset are not said.
std::vector<Trait> traits(const Evaluation& f, const std::set<std::string>& varied = {}) {
  std::vector<Trait> list{{f.preset.empty() ? "no preset" : f.preset},
                          {f.walks() ? cat("d ", f.d) : "", true},
                          {f.schedule(), true},
                          {f.generated ? f.weights : "", true},
                          {cat("N ", f.samples, f.drawn ? " drawn" : "")},
                          {f.trained_on == false ? "other data " + f.fingerprint : ""},
                          {"split " + quote(f.split)}};
  for (const std::string& key : varied) {
    const auto found = f.settings.find(key);
    list.push_back({found == f.settings.end() ? "" : key + " " + found->second});
  }
  return list;
}

// Keys of settings; the kind and d have their own place in names.
std::set<std::string> varied_settings(std::span<const Group> groups) {
  std::set<std::string> keys;
  for (const Group& g : groups)
    for (const auto& [key, unused] : g.files.front()->settings)
      if (key != "model.kind" && key != "score.d") keys.insert(key);
  return keys;
}

void check_same_data(std::span<const Evaluation> files) {
  const Evaluation& first = files.front();
  for (const Evaluation& f : files)
    MLD_CHECK_AS(ErrorKind::usage, f.dataset == first.dataset && f.modalities == first.modalities,
                 "compare: ", first.source, " is of data set ", quote(first.dataset), " (",
                 join(first.modalities), "), ", f.source, " of ", quote(f.dataset), " (", join(f.modalities),
                 "); compare runs of one data set at a time");
}

std::vector<Group> group(std::span<const Evaluation> files) {
  std::vector<Group> groups;
  const auto same = [](const Evaluation& a, const Evaluation& b) {
    return a.kind == b.kind && a.config_hash == b.config_hash && traits(a) == traits(b);
  };
  for (const Evaluation& f : files) {
    auto found = std::ranges::find_if(groups, [&](const Group& g) { return same(*g.files.front(), f); });
    if (found == groups.end()) found = groups.insert(groups.end(), Group{});
    for (const Evaluation* other : found->files)
      MLD_CHECK_AS(ErrorKind::usage, other->model_seed != f.model_seed, "compare: ", other->source, " and ",
                   f.source, " are both seed ", f.model_seed, " of configuration ", f.config_hash,
                   "; give one of them");
    found->files.push_back(&f);
  }
  for (Group& g : groups) std::ranges::sort(g.files, {}, &Evaluation::model_seed);
  return groups;
}

// The model, what not all groups share, and the configuration's hash where that still leaves two names alike.
void name_groups(std::vector<Group>& groups) {
  const std::set<std::string> varied = varied_settings(groups);
  const auto is_shared = [&](const Evaluation& f, std::size_t i) {
    const Trait own = traits(f, varied)[i];
    return std::ranges::all_of(groups, [&](const Group& other) {
      const Evaluation& o = *other.files.front();
      return (own.of_family && o.walks() != f.walks()) || traits(o, varied)[i] == own;
    });
  };
  std::map<std::string, int> uses;
  for (Group& g : groups) {
    const Evaluation& f = *g.files.front();
    g.name = model_name(f.kind);
    const std::vector<Trait> own = traits(f, varied);
    for (std::size_t i = 0; i < own.size(); ++i)
      if (!own[i].text.empty() && !is_shared(f, i)) g.name += ", " + own[i].text;
    ++uses[g.name];
  }
  for (Group& g : groups)
    if (uses[g.name] > 1) g.name += ", config " + g.files.front()->config_hash;
}

// Names, each once, in order of appearance.
class Names {
 public:
  void add(const std::string& name) {
    if (!name.empty() && std::ranges::find(list_, name) == list_.end()) list_.push_back(name);
  }
  std::string text() const { return join(list_); }

 private:
  std::vector<std::string> list_;
};

bool is_quality(const LayoutColumn& column) {
  return column.measure == Measure::quality || column.measure == Measure::mean_quality ||
         column.measure == Measure::kernel;
}

bool rests_on(const LayoutColumn& c, const QualityCell& q) {
  return is_quality(c) && c.metric == q.metric &&
         (c.measure == Measure::mean_quality || (c.given == q.given && c.target == q.target));
}

// How the numbers of one row were made, as far as the columns of its table depend on it.
std::string how_made(const Group& g, std::span<const LayoutColumn> columns) {
  const Evaluation& f = *g.files.front();
  std::string text = cat("N ", f.samples, " of split ", quote(f.split), f.drawn ? ", drawn by class" : "");
  if (f.trained_on == false) text += cat(" of other data than trained on, ", f.fingerprint);
  if (f.generated)
    text +=
        cat("; ", f.schedule(), ", ", f.network_calls, " network calls a sample, ", f.weights, " weights");
  std::vector<std::string> seeds;
  Names classifiers, features, counts;
  for (const Evaluation* file : g.files) {
    seeds.push_back(std::to_string(file->model_seed));
    for (const auto& [modality, hash] : file->classifiers()) classifiers.add(modality + " " + hash);
    for (const QualityCell& q : file->quality) {
      if (std::ranges::none_of(columns, [&](const LayoutColumn& c) { return rests_on(c, q); })) continue;
      const bool own = q.extractor == "classifier";
      const std::string& target = file->modalities[static_cast<std::size_t>(q.target)];
      features.add(q.extractor + (own ? " of " + target : "") + " " + q.hash);
      counts.add(
          cat(q.distance.made, " samples against ", q.distance.real, " real (", q.distinct, " distinct)"));
    }
  }
  text += (seeds.size() > 1 ? "; mean +- standard deviation over seeds " : "; seed ") + join(seeds);
  if (!std::ranges::all_of(columns, is_quality) && !classifiers.text().empty())
    text += "; classifiers " + classifiers.text();
  if (!features.text().empty())
    text += "; distances of " + counts.text() + " on features of " + features.text();
  return text;
}

// One table, and where its numbers were not measured alike.
class Maker {
 public:
  Maker(const TableLayout& layout, std::span<const Group> groups, const CompareOptions& options)
      : layout_(layout), groups_(groups), paper_(options.paper), samplers_(options.samplers) {
    if (paper_) add_published();
    for (const Group& g : groups)
      out_.rows.push_back({.name = g.name, .published = false, .values = {}, .made = {}});
    out_.title = layout.title;
    for (const LayoutColumn& column : layout.columns) add_column(column);
    for (std::size_t i = 0; i < groups.size(); ++i) row_of(i).made = how_made(groups[i], kept_);
    add_notes();
  }

  bool empty() const { return !measured_; }
  const Table& table() const { return out_; }
  // "runs/a and runs/b were measured differently: ...", empty if everything was measured alike.
  std::string disagreement() const {
    if (disagreements_.empty()) return {};
    const auto& [pair, what] = *disagreements_.begin();
    return cat(pair.first, " and ", pair.second, " were measured differently: ", what.text());
  }

 private:
  TableRow& row_of(std::size_t group) { return out_.rows[published_ + group]; }

  void add_published() {
    std::set<std::string> known;
    for (const std::int64_t number : layout_.shown)
      for (const PublishedTable& table : layout_.published)
        for (const PublishedRow& row : table.rows)
          if (table.number == number && known.insert(row.model).second) {
            published_rows_.push_back(&row);
            out_.rows.push_back({.name = row.model + " (paper)",
                                 .published = true,
                                 .values = {},
                                 .made = cat("Table ", number, "; ", kPublishedSeeds, " seeds")});
          }
    published_ = out_.rows.size();
  }

  void add_column(const LayoutColumn& column) {
    std::vector<std::optional<TableValue>> values(published_);
    if (column.published >= 0)
      for (std::size_t i = 0; i < published_; ++i) {
        const auto at = static_cast<std::size_t>(column.published);
        const PublishedRow& row = *published_rows_[i];
        values[i] = TableValue{.mean = row.mean[at], .deviation = {}, .runs = kPublishedSeeds};
        if (!row.deviation.empty()) values[i]->deviation = row.deviation[at];
      }
    reference_.reset();
    for (const Group& g : groups_) values.push_back(value_of(g, column));
    const auto has_value = [](const auto& value) { return value.has_value(); };
    if (std::ranges::none_of(values, has_value)) return;
    measured_ = measured_ || reference_.has_value();
    kept_.push_back(column);
    out_.columns.push_back({column.head, column.higher_is_better()});
    for (std::size_t i = 0; i < values.size(); ++i) out_.rows[i].values.push_back(values[i]);
  }

  std::optional<TableValue> value_of(const Group& g, const LayoutColumn& column) {
    std::vector<double> values;
    bool differs = false;
    for (const Evaluation* file : g.files) {
      std::optional<Reading> reading = read_cell(*file, column);
      if (!reading) continue;
      if (samplers_) reading->made.erase(kScheduleKey);
      values.push_back(reading->value);
      if (!reference_) {
        reference_ = reading->made;
        reference_source_ = file->source;
      }
      // A file that does not say of which data it is, or that walks along no schedule, can be compared, and what is
      // not alike is the rest.
      std::map<std::string, std::string> made = reading->made;
      for (const char* key : {kDataKey, kScheduleKey}) {
        if (made.contains(key) && reference_->contains(key)) continue;
        made.erase(key);
        if (const auto known = reference_->find(key); known != reference_->end()) made.insert(*known);
      }
      if (made != *reference_) {
        differs = true;
        note_disagreement(*file, made);
      }
    }
    if (values.empty()) return {};
    if (values.size() < g.files.size())
      incomplete_.add(cat(g.name, ", ", column.head, ": ", values.size(), " of ", g.files.size(), " seeds"));
    const auto n = static_cast<double>(values.size());
    TableValue out{
        .mean = 0, .deviation = {}, .runs = static_cast<std::int64_t>(values.size()), .differs = differs};
    for (const double v : values) out.mean += v / n;
    if (values.size() > 1) {
      double squares = 0;
      for (const double v : values) squares += (v - out.mean) * (v - out.mean);
      out.deviation = std::sqrt(squares / (n - 1));
    }
    return out;
  }

  void note_disagreement(const Evaluation& file, const std::map<std::string, std::string>& made) {
    Names& what = disagreements_[{reference_source_, file.source}];
    std::map<std::string, std::string> both = *reference_;
    both.insert(made.begin(), made.end());
    const auto shown = [](const std::map<std::string, std::string>& from, const std::string& name) {
      const auto found = from.find(name);
      return found == from.end() ? "none" : found->second;
    };
    for (const auto& [name, unused] : both) {
      const std::string expected = shown(*reference_, name), found = shown(made, name);
      if (expected != found) what.add(name + " " + expected + " and " + found);
    }
  }

  void add_notes() {
    std::map<std::string, Names> rows_by_made;
    std::vector<std::string> order;
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      const std::string& made = row_of(i).made;
      if (!rows_by_made.contains(made)) order.push_back(made);
      rows_by_made[made].add(row_of(i).name);
    }
    std::map<std::pair<std::string, std::string>, Names> alike;  // files by the reference and what differs
    for (const auto& [pair, what] : disagreements_) alike[{pair.first, what.text()}].add(pair.second);
    for (const auto& [difference, files] : alike)
      out_.notes.push_back({cat("Measured otherwise than ", difference.first, ": ", files.text(), " (",
                                difference.second, ")"),
                            true});
    if (!incomplete_.text().empty()) out_.notes.push_back({"Not of all seeds: " + incomplete_.text()});
    if (paper_) add_paper_notes();
    for (const std::string& made : order)
      out_.notes.push_back({(order.size() > 1 ? rows_by_made[made].text() + ": " : "") + made});
  }

  void add_paper_notes() {
    if (published_ == 0) return;
    std::vector<std::string> numbers;
    for (const std::int64_t number : layout_.shown) numbers.push_back(std::to_string(number));
    out_.notes.push_back(
        {cat("(paper): ", published_results().source, ", ", numbers.size() > 1 ? "Tables " : "Table ",
             join(numbers), "; ", kPublishedSeeds,
             " seeds. Those numbers rest on other classifiers and other test items than ours: "
             "distances between classifier features have another scale there, and small "
             "differences mean nothing. Ranks are within the paper's rows and within ours.")});
    for (const std::string& note : layout_.notes) out_.notes.push_back({"(paper): " + note});
  }

  const TableLayout& layout_;
  std::span<const Group> groups_;
  bool paper_, samplers_;
  Table out_;
  std::vector<const PublishedRow*> published_rows_;
  std::size_t published_ = 0;  // rows above ours
  std::vector<LayoutColumn> kept_;
  bool measured_ = false;
  std::optional<std::map<std::string, std::string>> reference_;  // how the column's first number was made
  std::string reference_source_;
  std::map<std::pair<std::string, std::string>, Names> disagreements_;  // by the pair of files
  Names incomplete_;
};

}  // namespace

std::string model_name(const std::string& kind) {
  static const std::map<std::string, std::string> kNames{
      {"mld", "MLD"}, {"inpaint", "MLD-Inpaint"}, {"uni", "MLD-Uni"}};
  const auto found = kNames.find(kind);
  if (found != kNames.end()) return found->second;
  std::string name = kind;
  for (char& c : name)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return name;
}

std::vector<Table> compare(std::span<const std::filesystem::path> inputs, const CompareOptions& options) {
  MLD_CHECK_AS(ErrorKind::usage, !inputs.empty(), "compare: no run is named");
  std::vector<Evaluation> files;
  for (const auto& path : inputs) files.push_back(read_evaluation(path));
  check_same_data(files);
  std::vector<Group> groups = group(files);
  name_groups(groups);

  MLD_CHECK_AS(ErrorKind::usage, !options.paper || published_of(files.front()) != nullptr,
               "compare: the paper has no table of data set ", quote(files.front().dataset),
               "; leave out --paper");
  std::vector<Table> out;
  for (const TableLayout& layout : layouts_of(files)) {
    const Maker maker(layout, groups, options);
    MLD_CHECK_AS(ErrorKind::usage, options.force || maker.disagreement().empty(),
                 "compare: ", maker.disagreement(),
                 "; --force compares them all the same and marks what differs");
    if (!maker.empty()) out.push_back(maker.table());
  }
  MLD_CHECK_AS(ErrorKind::data, !out.empty(), files.front().source, ": holds nothing to compare");
  return out;
}

}  // namespace mld
