#include "data/store/store_info.h"

#include <algorithm>
#include <iomanip>
#include <sstream>

#include "data/store/json_fields.h"

namespace mld::data {
namespace {

ClassCounts count_classes(std::span<const std::int32_t> labels, std::int64_t classes) {
  ClassCounts counts{std::vector<std::int64_t>(static_cast<std::size_t>(classes)), 0};
  for (std::int32_t label : labels)
    ++(label < 0 ? counts.unknown : counts.of_class[static_cast<std::size_t>(label)]);
  return counts;
}

SplitInfo inspect_split(const Split& split, const Description& d) {
  SplitInfo info{split.name(),
                 split.num_samples(),
                 split.num_distinct(),
                 0,
                 count_classes(split.labels(), d.classes),
                 {}};
  const std::size_t modalities = d.modalities.size();
  std::vector<std::vector<bool>> used(modalities);
  for (std::size_t m = 0; m < modalities; ++m) {
    const int number = static_cast<int>(m);
    info.modalities.push_back(
        {split.num_items(number), 0, 0, count_classes(split.item_labels(number), d.classes)});
    used[m].resize(static_cast<std::size_t>(split.num_items(number)));
  }
  for (std::int64_t row = 0; row < split.num_samples(); ++row) {
    const std::span<const std::int32_t> items = split.sample(row);
    std::size_t present = 0;
    for (std::size_t m = 0; m < modalities; ++m) {
      const std::int32_t item = items[m];
      present += item >= 0;
      info.modalities[m].holes += item < 0;
      if (item >= 0) used[m][static_cast<std::size_t>(item)] = true;
    }
    info.complete += present == modalities;
  }
  for (std::size_t m = 0; m < modalities; ++m)
    info.modalities[m].used_items = std::count(used[m].begin(), used[m].end(), true);
  return info;
}

void write_modality(std::ostream& out, const Modality& m) {
  out << "  " << m.name << ": " << kind_name(m.kind) << ' ' << m.shape << ' ' << dtype_name(m.dtype);
  if (is_discrete(m.kind)) {
    out << ", " << m.categories << " categories";
  } else {
    out << ", values " << m.range.min << " to " << m.range.max;
  }
  if (m.original_range) out << " standing for " << m.original_range->min << " to " << m.original_range->max;
  if (m.audio)
    out << ", " << m.audio->sample_rate << " Hz, n_fft " << m.audio->n_fft << ", hop " << m.audio->hop;
  out << '\n';
}

constexpr std::int64_t kMaxClassColumns = 20;

// One row per set of labels, one column per class.
class ClassTable {
 public:
  explicit ClassTable(std::int64_t classes) : classes_(classes) {}

  void add(const std::string& name, const ClassCounts& counts) {
    rows_.push_back({name, &counts});
    for (std::int64_t count : counts.of_class) width_ = std::max(width_, std::to_string(count).size());
    unknown_ = unknown_ || counts.unknown > 0;
    name_width_ = std::max(name_width_, name.size());
  }
  void write(std::ostream& out) const {
    const auto cell = [&](auto value) {
      out << "  " << std::right << std::setw(static_cast<int>(width_)) << value;
    };
    const auto head = [&](const std::string& text) {
      out << "  " << std::left << std::setw(static_cast<int>(name_width_)) << text;
    };
    head("class");
    for (std::int64_t c = 0; c < classes_; ++c) cell(c);
    out << (unknown_ ? "  unknown\n" : "\n");
    for (const auto& [name, counts] : rows_) {
      head(name);
      for (std::int64_t count : counts->of_class) cell(count);
      if (unknown_) out << "  " << counts->unknown;
      out << '\n';
    }
  }

 private:
  std::int64_t classes_;
  std::vector<std::pair<std::string, const ClassCounts*>> rows_;
  std::size_t width_ = 1, name_width_ = 7;
  bool unknown_ = false;
};

Json counts_json(const ClassCounts& counts) {
  return {{"of_class", counts.of_class}, {"unknown", counts.unknown}};
}

}  // namespace

StoreInfo inspect(const Store& store) {
  StoreInfo info{store.description(), {}};
  for (const Split& split : store.splits()) info.splits.push_back(inspect_split(split, info.description));
  return info;
}

std::string to_text(const StoreInfo& info) {
  const Description& d = info.description;
  std::ostringstream out;
  out << d.name << ": " << d.modalities.size() << " modalities, " << d.classes << " classes, imported by "
      << d.provenance.importer << " with seed " << d.provenance.seed;
  out << (d.fingerprint.empty() ? "" : ", fingerprint ") << d.fingerprint << '\n';
  for (std::size_t a = 0; a < d.attributes.size(); ++a)
    out << (a == 0 ? "classes are combinations of " : ", ") << d.attributes[a].name << " ("
        << d.attributes[a].values.size() << ')';
  if (!d.attributes.empty()) out << '\n';
  for (const Modality& m : d.modalities) write_modality(out, m);
  for (const SplitInfo& split : info.splits) {
    out << split.name << ": " << split.samples << " samples";
    if (split.distinct != split.samples)
      out << " (" << split.samples / split.distinct << " pairings of " << split.distinct << ')';
    if (split.complete != split.samples) out << ", " << split.complete << " of them complete";
    out << '\n';
    ClassTable table(d.classes);
    table.add("samples", split.sample_classes);
    for (std::size_t m = 0; m < d.modalities.size(); ++m) {
      const ModalityInfo& counts = split.modalities[m];
      out << "  " << d.modalities[m].name << ": " << counts.items << " items, " << counts.used_items
          << " of them in samples, " << counts.holes << " holes\n";
      table.add(d.modalities[m].name, counts.item_classes);
    }
    if (d.classes > 0 && d.classes <= kMaxClassColumns) table.write(out);
  }
  return out.str();
}

std::string to_json(const StoreInfo& info) {
  Json splits = Json::object();
  for (const SplitInfo& split : info.splits) {
    Json s{{"samples", split.samples},
           {"distinct", split.distinct},
           {"complete", split.complete},
           {"sample_classes", counts_json(split.sample_classes)},
           {"modalities", Json::object()}};
    for (std::size_t m = 0; m < split.modalities.size(); ++m) {
      const ModalityInfo& counts = split.modalities[m];
      s["modalities"][info.description.modalities[m].name] = {
          {"items", counts.items},
          {"used_items", counts.used_items},
          {"holes", counts.holes},
          {"item_classes", counts_json(counts.item_classes)}};
    }
    splits[split.name] = std::move(s);
  }
  Json description = Json::parse(to_json(info.description));
  description.erase("crc32");  // of the file, not of this text
  const Json j{{"description", std::move(description)}, {"splits", std::move(splits)}};
  return j.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace mld::data
