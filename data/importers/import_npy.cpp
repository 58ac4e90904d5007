#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "data/importers/import.h"
#include "data/sources/npy_arrays.h"
#include "data/sources/test_rows.h"
#include "data/store/modality_check.h"
#include "data/store/store_writer.h"
#include "engine/base/error.h"
#include "engine/base/names.h"
#include "engine/io/files.h"

namespace mld::data {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTest = "test";
constexpr const char* kSpec = "modalities.json";

// Where the values of a vector or series without a declared range lie, compared with those of the training split.
void compare_units(const Modality& m, const NpyColumn& train, const NpyColumn& column,
                   std::vector<std::string>& notes) {
  const float ends[] = {column.min, column.max};
  const std::string problem = value_problem(m, ends);
  MLD_CHECK_AS(ErrorKind::data, problem.empty(), column.values.name(), ": ", problem,
               ", or give \"range\" in modalities.json");
  constexpr std::int64_t kFew = 16;  // so few may lie anywhere
  if (column.values.shape()[0] >= kFew && (column.max - column.min) * kVectorSlack < train.max - train.min)
    notes.push_back(cat(column.values.name(), ": values from ", column.min, " to ", column.max,
                        ", those of the training split from ", train.min, " to ", train.max,
                        "; are both in the same units?"));
}

// The range of a constant: one wide, or more where floats of this size have no number that near.
ValueRange around(float constant) {
  constexpr float kMost = std::numeric_limits<float>::max();
  if (constant == kMost) return {std::nextafter(constant, 0.0F), constant};
  return {constant, std::max(constant + 1, std::nextafter(constant, kMost))};
}

// The range of real values: given, or [0, 1] for pictures, or that of the training values.
void settle_ranges(NpySpec& spec, const std::vector<NpyPart>& parts, std::vector<std::string>& notes) {
  for (std::size_t i = 0; i < spec.modalities.size(); ++i) {
    Modality& m = spec.modalities[i].modality;
    if (m.dtype != DType::f32) continue;
    const NpyColumn& train = parts[0].columns[i];
    const bool measured = !spec.modalities[i].range_given && has_measured_range(m.kind);
    if (measured) m.range = train.min < train.max ? ValueRange{train.min, train.max} : around(train.min);
    for (const NpyPart& part : parts) {
      const NpyColumn& column = part.columns[i];
      MLD_CHECK_AS(ErrorKind::data,
                   measured || !column.any || (column.min >= m.range.min && column.max <= m.range.max),
                   column.values.name(), ": values from ", column.min, " to ", column.max, ", expected ",
                   m.range.min, " to ", m.range.max, "; scale them or give \"range\" in modalities.json");
      if (&part != &parts[0] && column.any) compare_units(m, train, column, notes);
    }
  }
}

std::int64_t count_classes(const std::vector<NpyPart>& parts) {
  std::int64_t classes = 0;
  for (const NpyPart& part : parts)
    for (std::int32_t label : part.labels) classes = std::max<std::int64_t>(classes, label + std::int64_t{1});
  return classes;
}

// Values written, of all there are.
struct Written {
  const ImportProgress& progress;
  std::int64_t done = 0, total = 0;

  void add(std::int64_t values) {
    done += values;
    if (progress) progress("writing values", done, total);
  }
};

std::int64_t count_values(const NpySpec& spec, const std::vector<NpyPart>& parts) {
  std::int64_t of_sample = 0, samples = 0;
  for (const WantedModality& wanted : spec.modalities) of_sample += wanted.modality.shape.numel();
  for (const NpyPart& part : parts) samples += part.samples;
  return samples * of_sample;
}

template <class T>
void write_column(StoreWriter& writer, const std::string& split, int m, const NpyColumn& column,
                  std::int64_t size, std::span<const std::int32_t> rows, Written& written) {
  std::vector<T> item(static_cast<std::size_t>(size));
  writer.add_items(split, m, std::span<const T>());
  for (std::int32_t row : rows) {
    written.add(size);
    if (column.hole[static_cast<std::size_t>(row)]) continue;
    column.values.template copy<T>(row * size, item);
    writer.add_items(split, m, std::span<const T>(item));
  }
}

// Writes the given samples of a part, in that order, as a split of the store.
void write_split(StoreWriter& writer, const std::string& split, const NpyPart& part, const NpySpec& spec,
                 std::span<const std::int32_t> rows, Written& written) {
  const std::size_t modalities = part.columns.size();
  std::vector<std::int32_t> index(rows.size() * modalities, -1), labels;
  if (!part.labels.empty())
    for (std::int32_t row : rows) labels.push_back(part.labels[static_cast<std::size_t>(row)]);
  for (std::size_t i = 0; i < modalities; ++i) {
    const NpyColumn& column = part.columns[i];
    const Modality& m = spec.modalities[i].modality;
    const int number = static_cast<int>(i);
    std::int32_t next = 0;
    std::vector<std::int32_t> item_labels;
    for (std::size_t s = 0; s < rows.size(); ++s) {
      if (column.hole[static_cast<std::size_t>(rows[s])]) continue;
      index[s * modalities + i] = next++;
      if (!labels.empty()) item_labels.push_back(labels[s]);
    }
    const auto write = [&]<class T>(T) {
      write_column<T>(writer, split, number, column, m.shape.numel(), rows, written);
    };
    if (m.dtype == DType::u8) write(std::uint8_t{});
    if (m.dtype == DType::f32) write(float{});
    if (m.dtype == DType::i32) write(std::int32_t{});
    writer.set_item_labels(split, number, item_labels);
  }
  for (std::size_t s = 0; s < rows.size(); ++s)
    MLD_CHECK_AS(ErrorKind::data,
                 std::any_of(part.columns.begin(), part.columns.end(),
                             [&](const NpyColumn& c) { return !c.hole[static_cast<std::size_t>(rows[s])]; }),
                 part.name, ": sample ", rows[s], " lacks every modality; leave it out");
  writer.set_samples(split, index, labels);
}

std::set<std::int32_t> classes_of(const NpyPart& part) {
  std::set<std::int32_t> classes(part.labels.begin(), part.labels.end());
  classes.erase(-1);
  return classes;
}

void note_classes(const std::vector<NpyPart>& parts, std::int64_t classes, std::vector<std::string>& notes) {
  const NpyPart& train = parts[0];
  if (train.labels.empty()) return;
  const std::set<std::int32_t> trained = classes_of(train);
  if (trained.empty()) {
    notes.push_back(cat(kTrain, ": labels.npy names no class, all are -1"));
    return;
  }
  for (const NpyPart& part : std::span(parts).subspan(1)) {
    std::vector<std::string> unknown;
    for (const std::int32_t label : classes_of(part))
      if (!trained.contains(label)) unknown.push_back(std::to_string(label));
    if (!unknown.empty())
      notes.push_back(cat(part.name, ": of classes that no sample of ", kTrain, " has: ", join(unknown)));
  }
  if (static_cast<std::int64_t>(trained.size()) < classes)
    notes.push_back(cat(kTrain, ": has samples of ", trained.size(), " of the ", classes, " classes, 0 to ",
                        classes - 1));
}

// What training and evaluation will miss.
void note_sizes(const std::vector<NpyPart>& parts, const NpySpec& spec, std::vector<std::string>& notes) {
  for (const NpyPart& part : parts) {
    for (std::size_t i = 0; i < part.columns.size(); ++i) {
      const auto items = std::count(part.columns[i].hole.begin(), part.columns[i].hole.end(), false);
      if (items == 0 || (items == 1 && &part == &parts[0]))
        notes.push_back(cat(part.name, ": modality '", spec.modalities[i].modality.name, "' has ",
                            items == 0 ? "no items" : "one item, too few to train on"));
    }
    if (part.labels.empty() != parts[0].labels.empty())
      notes.push_back(cat("only one of ", kTrain, " and ", part.name, " has labels.npy"));
  }
}

Description describe(const NpySpec& spec, const InputFolder& input, const std::vector<NpyPart>& parts,
                     std::uint64_t seed) {
  Description d;
  std::error_code ignored;
  const fs::path path = fs::absolute(input.path, ignored).lexically_normal();
  d.name =
      !spec.name.empty() ? spec.name : (path.has_filename() ? path : path.parent_path()).filename().string();
  d.classes = spec.classes >= 0 ? spec.classes : count_classes(parts);
  d.attributes = spec.attributes;
  for (const WantedModality& wanted : spec.modalities) d.modalities.push_back(wanted.modality);
  d.provenance = {"npy", seed, {}};
  for (const NpyPart& part : parts)
    for (const NpyColumn& column : part.columns) {
      d.provenance.sources.push_back(describe_source(column.values.name()));
      d.provenance.sources.back().file = part.name + "/" + d.provenance.sources.back().file;
    }
  return d;
}

}  // namespace

std::vector<std::string> import_npy(const fs::path& folder, const fs::path& out, const NpyImport& options) {
  const InputFolder input = list_input(folder);
  MLD_CHECK_AS(ErrorKind::usage, !input.has(kTest) || options.test_fraction == 0, folder.string(),
               ": has a test folder and a test fraction was asked for; leave one out");
  StoreWriter writer(out);
  const fs::path spec_path = options.spec.empty() ? folder / kSpec : options.spec;
  const bool inferred = options.spec.empty() && !path_exists(spec_path);
  NpySpec spec = inferred ? infer_spec(input) : read_spec(spec_path);
  std::vector<std::string> notes, names, read{spec_path.filename().string()};
  for (const WantedModality& wanted : spec.modalities) {
    names.push_back(wanted.modality.name);
    read.push_back(wanted.modality.vocabulary);
  }
  check_unread(input, names, read, notes);

  std::vector<NpyPart> parts;
  for (const SplitFiles& files : input.splits) parts.push_back(read_part(folder, files, spec));
  settle_ranges(spec, parts, notes);
  const auto rows = split_rows(parts[0].samples, options.test_fraction, options.seed);
  std::vector<std::vector<std::string>> vocabularies;
  for (const WantedModality& wanted : spec.modalities) {
    const Modality& m = wanted.modality;
    vocabularies.push_back(m.vocabulary.empty()
                               ? std::vector<std::string>()
                               : read_vocabulary(folder / m.vocabulary, m.categories, notes));
  }

  const Description description = describe(spec, input, parts, options.seed);
  writer.describe(description);
  Written written{options.progress, 0, count_values(spec, parts)};
  write_split(writer, kTrain, parts[0], spec, rows[0], written);
  if (!rows[1].empty()) write_split(writer, kTest, parts[0], spec, rows[1], written);
  for (const NpyPart& part : std::span(parts).subspan(1)) {
    std::vector<std::int32_t> all(static_cast<std::size_t>(part.samples));
    std::iota(all.begin(), all.end(), 0);
    write_split(writer, part.name, part, spec, all, written);
  }
  for (std::size_t m = 0; m < vocabularies.size(); ++m)
    if (!spec.modalities[m].modality.vocabulary.empty())
      writer.set_vocabulary(static_cast<int>(m), vocabularies[m]);
  note_sizes(parts, spec, notes);
  note_classes(parts, description.classes, notes);
  writer.commit();
  return notes;
}

}  // namespace mld::data
