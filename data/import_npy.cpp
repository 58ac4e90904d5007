#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "data/import.h"
#include "data/modality_json.h"
#include "data/npy.h"
#include "data/store.h"
#include "data/store_writer.h"
#include "engine/core/error.h"
#include "engine/io/files.h"
#include "engine/random/philox.h"

namespace mld::data {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTrain = "train";
constexpr const char* kTest = "test";
constexpr const char* kMask = ".mask";

// What is known of a modality before its arrays are opened.
struct Wanted {
  Modality modality;
  bool kind_given = false, range_given = false;
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
  float min = 0, max = 0;  // of the values that are there, real-valued kinds
};

struct Part {
  std::string name;
  std::int64_t samples = 0;
  std::vector<Column> columns;
  std::vector<std::int32_t> labels;  // empty: unknown
};

std::vector<std::string> list_modalities(const fs::path& folder) {
  std::vector<std::string> names;
  for (const fs::path& entry : list_folder(folder)) {
    const std::string name = entry.stem().string();
    if (entry.extension() == ".npy" && name != "labels" && !name.ends_with(kMask))
      names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  MLD_CHECK_AS(ErrorKind::data, !names.empty(), folder.string(),
               ": no .npy files; put one per modality there");
  return names;
}

Spec read_spec(const fs::path& path) {
  const MmapFile file(path);
  const Json json = parse_json(file.text(), path.string());
  JsonFields f(json, path.string());
  Spec spec;
  if (f.has("name")) spec.name = f.string("name");
  if (f.has("classes")) spec.classes = f.integer("classes", 0, INT32_MAX);
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
  f.finish();
  return spec;
}

Spec infer_spec(const fs::path& folder) {
  Spec spec;
  for (const std::string& name : list_modalities(folder / kTrain)) {
    check_name(name, (folder / kTrain / (name + ".npy")).string());
    spec.modalities.emplace_back().modality.name = name;
  }
  MLD_CHECK_AS(
      ErrorKind::data,
      !path_exists(folder / kTest) || list_modalities(folder / kTest) == list_modalities(folder / kTrain),
      (folder / kTest).string(), ": other .npy files than in ", kTrain,
      "; give both the same modalities, or name those to read in modalities.json");
  return spec;
}

bool is_integer(NpyType type) { return type.kind == 'i' || type.kind == 'u'; }

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
  const bool integers = is_integer(values.type()), bytes = values.type() == npy_type(DType::u8);
  if (!wanted.kind_given) m.kind = infer_kind(values);
  m.shape = Shape(values.shape().extents().subspan(1));
  if (m.kind == ModalityKind::image && m.shape.rank() == 2) m.shape.push_back(1);
  if (m.shape.rank() == 0) m.shape.push_back(1);  // [N] is one value per sample
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
  if (!path_exists(path)) return hole;
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
  bool first = true;
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
    column.min = first ? *low : std::min(column.min, *low);
    column.max = first ? *high : std::max(column.max, *high);
    first = false;
  }
}

Column read_column(const fs::path& folder, const Modality& m, NpyArray values, std::int64_t samples) {
  Column column{std::move(values), {}, 0, 0};
  MLD_CHECK_AS(ErrorKind::data, column.values.shape()[0] == samples, column.values.name(), ": shape ",
               column.values.shape(), ", expected ", samples, " samples as in the other files of the folder");
  MLD_CHECK_AS(ErrorKind::data, column.values.shape().numel() == samples * m.shape.numel(),
               column.values.name(), ": shape ", column.values.shape(), ", expected items ", m.shape,
               " as in the training data");
  column.hole = read_mask(folder / (m.name + kMask + ".npy"), samples);
  if (m.dtype == DType::f32) scan_floats(column, m.shape.numel());
  return column;
}

std::vector<std::int32_t> read_labels(const fs::path& path, std::int64_t samples) {
  if (!path_exists(path)) return {};
  const NpyArray array(path);
  MLD_CHECK_AS(ErrorKind::data, array.shape() == Shape{samples}, array.name(), ": shape ", array.shape(),
               ", expected [", samples, "], one class per sample");
  std::vector<std::int32_t> labels(static_cast<std::size_t>(samples));
  array.copy<std::int32_t>(0, labels);
  return labels;
}

// Opens the arrays of one folder; `complete_spec` for the training data, which define the modalities.
Part read_part(const fs::path& folder, const std::string& name, Spec& spec, bool complete_spec) {
  Part part;
  part.name = name;
  const fs::path at = folder / name;
  for (Wanted& wanted : spec.modalities) {
    NpyArray values(at / (wanted.modality.name + ".npy"));
    MLD_CHECK_AS(ErrorKind::data, values.shape().rank() >= 1 && values.shape().numel() > 0, values.name(),
                 ": shape ", values.shape(), " holds nothing");
    if (complete_spec) complete(wanted, values);
    MLD_CHECK_AS(ErrorKind::data, wanted.modality.dtype != DType::u8 || values.type() == npy_type(DType::u8),
                 values.name(), ": holds ", values.type().str(),
                 ", the training data uint8; save both alike");
    if (part.columns.empty()) part.samples = values.shape()[0];
    part.columns.push_back(read_column(at, wanted.modality, std::move(values), part.samples));
  }
  part.labels = read_labels(at / "labels.npy", part.samples);
  return part;
}

// The range of real values: given, or [0, 1] for pictures, or that of the training values.
void settle_ranges(Spec& spec, const std::vector<Part>& parts) {
  for (std::size_t i = 0; i < spec.modalities.size(); ++i) {
    Modality& m = spec.modalities[i].modality;
    if (m.dtype != DType::f32) continue;
    const Column& train = parts[0].columns[i];
    const bool measured = !spec.modalities[i].range_given && m.kind == ModalityKind::vector;
    if (measured) m.range = {train.min, train.max > train.min ? train.max : train.min + 1};
    for (const Part& part : parts) {
      const Column& column = part.columns[i];
      MLD_CHECK_AS(ErrorKind::data, measured || (column.min >= m.range.min && column.max <= m.range.max),
                   column.values.name(), ": values from ", column.min, " to ", column.max, ", expected ",
                   m.range.min, " to ", m.range.max, "; scale them or give \"range\" in modalities.json");
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

}  // namespace

void import_npy(const fs::path& folder, const fs::path& out, const NpyImport& options) {
  const fs::path train = folder / kTrain;
  MLD_CHECK_AS(ErrorKind::data, is_folder(train), train.string(),
               ": no such folder; put the training arrays there");
  MLD_CHECK_AS(ErrorKind::usage, options.test_fraction >= 0 && options.test_fraction < 1,
               "import: test fraction ", options.test_fraction, ", expected 0 to below 1");
  const bool has_test = is_folder(folder / kTest);
  MLD_CHECK_AS(ErrorKind::usage, !has_test || options.test_fraction == 0, folder.string(),
               ": has a test folder and a test fraction was asked for; leave one out");
  const fs::path default_spec = folder / "modalities.json";
  const fs::path spec_path = !options.spec.empty()      ? options.spec
                             : path_exists(default_spec) ? default_spec
                                                        : fs::path();
  Spec spec = spec_path.empty() ? infer_spec(folder) : read_spec(spec_path);

  std::vector<Part> parts;
  parts.push_back(read_part(folder, kTrain, spec, true));
  if (has_test) parts.push_back(read_part(folder, kTest, spec, false));
  settle_ranges(spec, parts);

  Description d;
  d.name = !spec.name.empty() ? spec.name : fs::absolute(folder).lexically_normal().filename().string();
  d.classes = spec.classes >= 0 ? spec.classes : count_classes(parts);
  for (const Wanted& wanted : spec.modalities) d.modalities.push_back(wanted.modality);
  d.provenance = {"npy", options.seed, {}};
  for (const Part& part : parts)
    for (const Column& column : part.columns) {
      d.provenance.sources.push_back(describe_source(column.values.name()));
      d.provenance.sources.back().file = part.name + "/" + d.provenance.sources.back().file;
    }

  StoreWriter writer(out, d);
  const auto rows = divide(parts[0].samples, options);
  write_split(writer, kTrain, parts[0], spec, rows[0]);
  if (!rows[1].empty()) write_split(writer, kTest, parts[0], spec, rows[1]);
  if (has_test) write_split(writer, kTest, parts[1], spec, divide(parts[1].samples, options)[0]);
  for (std::size_t m = 0; m < d.modalities.size(); ++m)
    if (!d.modalities[m].vocabulary.empty())
      writer.set_vocabulary(static_cast<int>(m), read_lines(folder / d.modalities[m].vocabulary));
  writer.commit();
}

}  // namespace mld::data
