#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "data/formats/npy.h"
#include "data/importers/import.h"
#include "data/importers/import_folder.h"
#include "data/store/modality_check.h"
#include "data/store/modality_json.h"
#include "data/store/store.h"
#include "data/store/store_writer.h"
#include "engine/base/error.h"
#include "engine/base/names.h"
#include "engine/io/files.h"
#include "engine/random/philox.h"

namespace mld::data {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTrain = "train";
constexpr const char* kTest = "test";
constexpr const char* kSpec = "modalities.json";
constexpr std::int64_t kMaxUndeclared = 1 << 16;  // classes, where only the labels say how many there are

// What is known of a modality before its arrays are opened.
struct Wanted {
  Modality modality;
  bool kind_given = false, range_given = false;
  NpyType type{};  // of the training array
};

struct Spec {
  std::string name;
  std::int64_t classes = -1;  // -1: from the labels
  std::vector<Wanted> modalities;
};

// One modality of one folder of arrays.
struct Column {
  NpyArray values;
  std::vector<bool> hole;  // per sample
  bool any = false;        // of a kind of floats, and some are there: from min to max
  float min = 0, max = 0;
};

struct Part {
  std::string name;
  std::int64_t samples = 0;
  std::vector<Column> columns;
  std::vector<std::int32_t> labels;  // empty: unknown
};

Spec read_spec(const fs::path& path) {
  const MmapFile file(path);
  const Json json = parse_json(file.text(), path.string());
  JsonFields f(json, path.string());
  Spec spec;
  if (f.has("name")) spec.name = f.string("name");
  if (f.has("classes")) spec.classes = f.integer("classes", 0, Description::kMaxClasses);
  for (JsonFields& entry : f.objects("modalities")) {
    Wanted wanted;
    wanted.modality.name = entry.string("name");
    check_name(wanted.modality.name, entry.place("name"));
    wanted.kind_given = entry.has("kind");
    if (wanted.kind_given) {
      wanted.modality.kind = parse_kind(entry);
      wanted.range_given = parse_kind_keys(entry, wanted.modality, false);
    }
    entry.finish();
    spec.modalities.push_back(std::move(wanted));
  }
  MLD_CHECK_AS(ErrorKind::data, !spec.modalities.empty(), f.place("modalities"), ": 0, expected 1 at least");
  f.finish();
  return spec;
}

// All arrays of the training split, which the other splits must have as well.
Spec infer_spec(const InputFolder& input) {
  const SplitFiles& train = input.splits[0];
  const std::string folder = (input.path / kTrain).string();
  MLD_CHECK_AS(ErrorKind::data, !train.arrays.empty(), folder, ": no .npy files; put one per modality there");
  Spec spec;
  for (const std::string& name : train.arrays) {
    const std::string file = folder + "/" + name + ".npy";
    check_name(name, file);
    MLD_CHECK_AS(ErrorKind::data, lower(name) != "label" && lower(name) != "labels", file,
                 ": did you mean labels.npy, the classes of the samples? Declare a modality of this name in "
                 "modalities.json");
    for (const std::string& owner : train.arrays)
      MLD_CHECK_AS(ErrorKind::data, name != owner + "_mask" && name != owner + "-mask", file,
                   ": did you mean ", owner, ".mask.npy, which marks missing samples of ", owner,
                   "? Declare a modality of this name in modalities.json");
    spec.modalities.emplace_back().modality.name = name;
  }
  for (const SplitFiles& split : input.splits)
    MLD_CHECK_AS(ErrorKind::data, split.arrays == train.arrays, (input.path / split.name).string(),
                 ": other .npy files than in ", kTrain,
                 "; give both the same modalities, or name those to read in modalities.json");
  return spec;
}

bool is_integer(NpyType type) { return type.kind == 'i' || type.kind == 'u'; }
bool is_bytes(NpyType type) { return type == npy_type(DType::u8); }

// The axes of one item; a last axis of 1 may be left out.
Shape item_shape(const Modality& m, const NpyArray& values) {
  Shape shape(values.shape().extents().subspan(1));
  if ((m.kind == ModalityKind::image && shape.rank() == 2) || shape.rank() == 0) shape.push_back(1);
  return shape;
}

// How items `found` become items `expected`, as NumPy would do it to the whole array.
std::string reshaping(const Shape& found, const Shape& expected) {
  const auto list = [](const char* call, std::span<const std::int64_t> axes) {
    std::string text = call;
    for (const std::int64_t axis : axes) text += cat(", ", axis);
    return text + ")";
  };
  if (found.numel() != expected.numel()) return "";
  std::vector<std::int64_t> axes(static_cast<std::size_t>(found.rank()));
  std::iota(axes.begin(), axes.end(), 1);
  do {
    bool fits = found.rank() == expected.rank();
    for (int i = 0; fits && i < expected.rank(); ++i)
      fits = found[static_cast<int>(axes[static_cast<std::size_t>(i)]) - 1] == expected[i];
    if (fits) return "; save " + list("array.transpose(0", axes);
  } while (std::next_permutation(axes.begin(), axes.end()));
  return "; if the values come in this order, save " + list("array.reshape(-1", expected.extents());
}

// The array of another split must be like that of the training split.
void check_alike(const Wanted& wanted, const NpyArray& values) {
  const Modality& m = wanted.modality;
  const auto sort = [&](NpyType type) {
    return is_discrete(m.kind) ? is_integer(type) ? 'i' : '?' : type.kind;
  };
  MLD_CHECK_AS(ErrorKind::data, sort(values.type()) == sort(wanted.type), values.name(), ": holds ",
               values.type().str(), ", the training array ", wanted.type.str(),
               "; save both with one dtype and in the same units");
  const Shape found = item_shape(m, values);
  MLD_CHECK_AS(ErrorKind::data, found == m.shape, values.name(), ": shape ", values.shape(),
               ", expected items ", m.shape, " as in the training data", reshaping(found, m.shape));
}

ModalityKind infer_kind(const NpyArray& values) {
  const Shape& shape = values.shape();
  const std::string& file = values.name();
  MLD_CHECK_AS(ErrorKind::data, !is_integer(values.type()) || values.type() == npy_type(DType::u8), file,
               ": holds ", values.type().str(),
               "; tokens or categories must be declared in modalities.json, other numbers saved as float32");
  if (shape.rank() == 2) return ModalityKind::vector;
  MLD_CHECK_AS(ErrorKind::data, shape.rank() == 3 || shape.rank() == 4, file, ": shape ", shape,
               ", expected [N,D], [N,H,W] or [N,H,W,C]; declare its kind in modalities.json or reshape it");
  const std::int64_t channels = shape.rank() == 4 ? shape[3] : 1;
  MLD_CHECK_AS(
      ErrorKind::data, channels == 1 || channels == 3 || channels == 4, file, ": shape ", shape, " has ",
      channels,
      " channels: the channel axis comes last (array.transpose(0, 2, 3, 1)); declare kind \"image\" in "
      "modalities.json if it does");
  return ModalityKind::image;
}

// Shape, dtype and, if not given, kind, from the training array.
void complete(Wanted& wanted, const NpyArray& values) {
  Modality& m = wanted.modality;
  const std::string& file = values.name();
  const bool integers = is_integer(values.type()), bytes = is_bytes(values.type());
  if (!wanted.kind_given) m.kind = infer_kind(values);
  m.shape = item_shape(m, values);
  wanted.type = values.type();
  if (is_discrete(m.kind)) {
    MLD_CHECK_AS(ErrorKind::data, integers, file, ": holds ", values.type().str(),
                 ", expected integers for kind ", kind_name(m.kind));
    m.dtype = DType::i32;
  } else {
    MLD_CHECK_AS(ErrorKind::data, !integers || bytes, file, ": holds ", values.type().str(), " for kind ",
                 kind_name(m.kind), ", expected floats or uint8");
    m.dtype = bytes ? DType::u8 : DType::f32;
  }
  check(m, file);
}

std::vector<bool> read_mask(const fs::path& path, std::int64_t samples) {
  std::vector<bool> hole(static_cast<std::size_t>(samples));
  const NpyArray mask(path);
  MLD_CHECK_AS(ErrorKind::data, mask.shape() == Shape{samples}, mask.name(), ": shape ", mask.shape(),
               ", expected [", samples, "]: not 0 where the sample lacks the modality");
  std::vector<std::int32_t> values(hole.size());
  mask.copy<std::int32_t>(0, values);
  for (std::size_t i = 0; i < hole.size(); ++i) hole[i] = values[i] != 0;
  return hole;
}

// Finds the rows of NaN, refuses other non-finite values, and takes minimum and maximum of the rest.
void scan_floats(Column& column, std::int64_t size) {
  std::vector<float> row(static_cast<std::size_t>(size));
  for (std::size_t i = 0; i < column.hole.size(); ++i) {
    if (column.hole[i]) continue;
    column.values.copy<float>(static_cast<std::int64_t>(i) * size, row);
    const auto nans = std::count_if(row.begin(), row.end(), [](float v) { return std::isnan(v); });
    column.hole[i] = nans == size;
    if (column.hole[i]) continue;
    const std::int64_t bad = first_non_finite(row);
    MLD_CHECK_AS(ErrorKind::data, bad < 0, column.values.name(), ": sample ", i, ", value ", bad, " is ",
                 row[static_cast<std::size_t>(bad)],
                 "; values must be finite, or all NaN where the sample lacks the modality");
    const auto [low, high] = std::minmax_element(row.begin(), row.end());
    column.min = column.any ? std::min(column.min, *low) : *low;
    column.max = column.any ? std::max(column.max, *high) : *high;
    column.any = true;
  }
}

Column read_column(const fs::path& folder, const SplitFiles& files, const Modality& m, NpyArray values,
                   std::int64_t samples) {
  Column column{.values = std::move(values), .hole = {}};
  MLD_CHECK_AS(ErrorKind::data, column.values.shape()[0] == samples, column.values.name(), ": shape ",
               column.values.shape(), ", expected ", samples, " samples as in the other files of the folder");
  if (files.has_mask(m.name))
    column.hole = read_mask(folder / (m.name + ".mask.npy"), samples);
  else
    column.hole.resize(static_cast<std::size_t>(samples));
  if (m.dtype == DType::f32) scan_floats(column, m.shape.numel());
  return column;
}

std::vector<std::int32_t> read_labels(const fs::path& path, std::int64_t samples, std::int64_t classes) {
  const NpyArray array(path);
  MLD_CHECK_AS(ErrorKind::data, array.shape() == Shape{samples}, array.name(), ": shape ", array.shape(),
               ", expected [", samples, "], one class per sample");
  std::vector<std::int32_t> labels(static_cast<std::size_t>(samples));
  array.copy<std::int32_t>(0, labels);
  const std::int64_t last = (classes >= 0 ? classes : kMaxUndeclared) - 1;
  const std::int64_t bad = first_outside(labels, -1, last);
  MLD_CHECK_AS(ErrorKind::data, bad < 0, array.name(), ": sample ", bad, " is of class ",
               labels[static_cast<std::size_t>(bad)], ", expected ",
               last < 0 ? "" : cat("0 to ", last, " or "),
               "-1 for an unknown one; number the classes from 0, or give their number as \"classes\" in "
               "modalities.json");
  return labels;
}

// The array of a modality. Where its file is missing, the error names the most similar one there is.
NpyArray open_array(const fs::path& folder, const SplitFiles& files, const std::string& name) {
  const fs::path path = folder / (name + ".npy");
  const std::string near = path_exists(path) ? "" : nearest(name, files.arrays);
  MLD_CHECK_AS(ErrorKind::data, near.empty(), path.string(), ": no such file, did you mean ", near, ".npy?");
  NpyArray values(path);
  MLD_CHECK_AS(ErrorKind::data, values.shape().rank() >= 1 && values.shape().numel() > 0, values.name(),
               ": shape ", values.shape(), " holds nothing; leave out a split without samples");
  MLD_CHECK_AS(ErrorKind::data, values.shape()[0] <= INT32_MAX, values.name(), ": shape ", values.shape(),
               ": more than ", INT32_MAX, " samples");
  return values;
}

// Opens the arrays of one split; the first one is the training split, whose arrays define the modalities.
Part read_part(const fs::path& folder, const SplitFiles& files, Spec& spec) {
  Part part;
  part.name = files.name;
  const fs::path at = folder / part.name;
  for (Wanted& wanted : spec.modalities) {
    NpyArray values = open_array(at, files, wanted.modality.name);
    if (part.name == kTrain)
      complete(wanted, values);
    else
      check_alike(wanted, values);
    if (part.columns.empty()) part.samples = values.shape()[0];
    part.columns.push_back(read_column(at, files, wanted.modality, std::move(values), part.samples));
  }
  if (files.labels) part.labels = read_labels(at / "labels.npy", part.samples, spec.classes);
  return part;
}

// Where the values of a vector without a declared range lie, compared with those of the training split.
void compare_units(const Modality& m, const Column& train, const Column& column,
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
void settle_ranges(Spec& spec, const std::vector<Part>& parts, std::vector<std::string>& notes) {
  for (std::size_t i = 0; i < spec.modalities.size(); ++i) {
    Modality& m = spec.modalities[i].modality;
    if (m.dtype != DType::f32) continue;
    const Column& train = parts[0].columns[i];
    const bool measured = !spec.modalities[i].range_given && m.kind == ModalityKind::vector;
    if (measured) m.range = train.min < train.max ? ValueRange{train.min, train.max} : around(train.min);
    for (const Part& part : parts) {
      const Column& column = part.columns[i];
      MLD_CHECK_AS(ErrorKind::data,
                   measured || !column.any || (column.min >= m.range.min && column.max <= m.range.max),
                   column.values.name(), ": values from ", column.min, " to ", column.max, ", expected ",
                   m.range.min, " to ", m.range.max, "; scale them or give \"range\" in modalities.json");
      if (&part != &parts[0] && column.any) compare_units(m, train, column, notes);
    }
  }
}

std::int64_t count_classes(const std::vector<Part>& parts) {
  std::int64_t classes = 0;
  for (const Part& part : parts)
    for (std::int32_t label : part.labels) classes = std::max<std::int64_t>(classes, label + std::int64_t{1});
  return classes;
}

template <class T>
void write_column(StoreWriter& writer, const std::string& split, int m, const Column& column,
                  std::int64_t size, std::span<const std::int32_t> rows) {
  std::vector<T> item(static_cast<std::size_t>(size));
  writer.add_items(split, m, std::span<const T>());
  for (std::int32_t row : rows) {
    if (column.hole[static_cast<std::size_t>(row)]) continue;
    column.values.template copy<T>(row * size, item);
    writer.add_items(split, m, std::span<const T>(item));
  }
}

// Writes the given samples of a part, in that order, as a split of the store.
void write_split(StoreWriter& writer, const std::string& split, const Part& part, const Spec& spec,
                 std::span<const std::int32_t> rows) {
  const std::size_t modalities = part.columns.size();
  std::vector<std::int32_t> index(rows.size() * modalities, -1), labels;
  if (!part.labels.empty())
    for (std::int32_t row : rows) labels.push_back(part.labels[static_cast<std::size_t>(row)]);
  for (std::size_t i = 0; i < modalities; ++i) {
    const Column& column = part.columns[i];
    const Modality& m = spec.modalities[i].modality;
    const int number = static_cast<int>(i);
    std::int32_t next = 0;
    std::vector<std::int32_t> item_labels;
    for (std::size_t s = 0; s < rows.size(); ++s) {
      if (column.hole[static_cast<std::size_t>(rows[s])]) continue;
      index[s * modalities + i] = next++;
      if (!labels.empty()) item_labels.push_back(labels[s]);
    }
    if (m.dtype == DType::u8)
      write_column<std::uint8_t>(writer, split, number, column, m.shape.numel(), rows);
    if (m.dtype == DType::f32) write_column<float>(writer, split, number, column, m.shape.numel(), rows);
    if (m.dtype == DType::i32)
      write_column<std::int32_t>(writer, split, number, column, m.shape.numel(), rows);
    writer.set_item_labels(split, number, item_labels);
  }
  for (std::size_t s = 0; s < rows.size(); ++s)
    MLD_CHECK_AS(ErrorKind::data,
                 std::any_of(part.columns.begin(), part.columns.end(),
                             [&](const Column& c) { return !c.hole[static_cast<std::size_t>(rows[s])]; }),
                 part.name, ": sample ", rows[s], " lacks every modality; leave it out");
  writer.set_samples(split, index, labels);
}

// Rows of the seeded test split and of what stays in training, each in the order of the files.
std::array<std::vector<std::int32_t>, 2> divide(std::int64_t samples, const NpyImport& options) {
  const auto test =
      static_cast<std::int64_t>(std::llround(options.test_fraction * static_cast<double>(samples)));
  MLD_CHECK_AS(ErrorKind::usage, test >= 0 && test < samples, "import: test fraction ", options.test_fraction,
               " of ", samples, " samples leaves nothing to train on");
  const Permutation order(static_cast<std::uint64_t>(samples), options.seed, 0);
  std::vector<bool> in_test(order.size());
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(test); ++i) in_test[order(i)] = true;
  std::array<std::vector<std::int32_t>, 2> rows;
  for (std::size_t i = 0; i < in_test.size(); ++i) rows[in_test[i]].push_back(static_cast<std::int32_t>(i));
  return rows;
}

std::set<std::int32_t> classes_of(const Part& part) {
  std::set<std::int32_t> classes(part.labels.begin(), part.labels.end());
  classes.erase(-1);
  return classes;
}

void note_classes(const std::vector<Part>& parts, std::int64_t classes, std::vector<std::string>& notes) {
  const Part& train = parts[0];
  if (train.labels.empty()) return;
  const std::set<std::int32_t> trained = classes_of(train);
  if (trained.empty()) {
    notes.push_back(cat(kTrain, ": labels.npy names no class, all are -1"));
    return;
  }
  for (const Part& part : std::span(parts).subspan(1)) {
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
void note_sizes(const std::vector<Part>& parts, const Spec& spec, std::vector<std::string>& notes) {
  for (const Part& part : parts) {
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

Description describe(const Spec& spec, const InputFolder& input, const std::vector<Part>& parts,
                     std::uint64_t seed) {
  Description d;
  std::error_code ignored;
  const fs::path path = fs::absolute(input.path, ignored).lexically_normal();
  d.name =
      !spec.name.empty() ? spec.name : (path.has_filename() ? path : path.parent_path()).filename().string();
  d.classes = spec.classes >= 0 ? spec.classes : count_classes(parts);
  for (const Wanted& wanted : spec.modalities) d.modalities.push_back(wanted.modality);
  d.provenance = {"npy", seed, {}};
  for (const Part& part : parts)
    for (const Column& column : part.columns) {
      d.provenance.sources.push_back(describe_source(column.values.name()));
      d.provenance.sources.back().file = part.name + "/" + d.provenance.sources.back().file;
    }
  return d;
}

}  // namespace

std::vector<std::string> import_npy(const fs::path& folder, const fs::path& out, const NpyImport& options) {
  MLD_CHECK_AS(ErrorKind::usage, options.test_fraction >= 0 && options.test_fraction < 1,
               "import: test fraction ", options.test_fraction, ", expected 0 to below 1");
  const InputFolder input = list_input(folder);
  MLD_CHECK_AS(ErrorKind::usage, !input.has(kTest) || options.test_fraction == 0, folder.string(),
               ": has a test folder and a test fraction was asked for; leave one out");
  StoreWriter writer(out);
  const fs::path spec_path = options.spec.empty() ? folder / kSpec : options.spec;
  const bool inferred = options.spec.empty() && !path_exists(spec_path);
  Spec spec = inferred ? infer_spec(input) : read_spec(spec_path);
  std::vector<std::string> notes, names, read{spec_path.filename().string()};
  for (const Wanted& wanted : spec.modalities) {
    names.push_back(wanted.modality.name);
    read.push_back(wanted.modality.vocabulary);
  }
  check_unread(input, names, read, notes);

  std::vector<Part> parts;
  for (const SplitFiles& files : input.splits) parts.push_back(read_part(folder, files, spec));
  settle_ranges(spec, parts, notes);
  const auto rows = divide(parts[0].samples, options);
  std::vector<std::vector<std::string>> vocabularies;
  for (const Wanted& wanted : spec.modalities) {
    const Modality& m = wanted.modality;
    vocabularies.push_back(m.vocabulary.empty()
                               ? std::vector<std::string>()
                               : read_vocabulary(folder / m.vocabulary, m.categories, notes));
  }

  const Description description = describe(spec, input, parts, options.seed);
  writer.describe(description);
  write_split(writer, kTrain, parts[0], spec, rows[0]);
  if (!rows[1].empty()) write_split(writer, kTest, parts[0], spec, rows[1]);
  for (const Part& part : std::span(parts).subspan(1)) {
    std::vector<std::int32_t> all(static_cast<std::size_t>(part.samples));
    std::iota(all.begin(), all.end(), 0);
    write_split(writer, part.name, part, spec, all);
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
