#include "data/sources/npy_arrays.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <utility>

#include "data/store/store.h"
#include "engine/base/error.h"
#include "engine/base/names.h"
#include "engine/io/files.h"

namespace mld::data {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMaxUndeclared = 1 << 16;  // classes, where only the labels say how many there are

bool is_integer(NpyType type) { return type.kind == 'i' || type.kind == 'u'; }
bool is_bytes(NpyType type) { return type == npy_type(DType::u8); }

// The axes of one item; a last axis of 1 may be left out.
Shape item_shape(const Modality& m, const NpyArray& values) {
  Shape shape(values.shape().extents().subspan(1));
  const bool channel_left_out = (m.kind == ModalityKind::image && shape.rank() == 2) ||
                                (m.kind == ModalityKind::series && shape.rank() == 1);
  if (channel_left_out || shape.rank() == 0) shape.push_back(1);
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
void check_alike(const WantedModality& wanted, const NpyArray& values) {
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
void complete(WantedModality& wanted, const NpyArray& values) {
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
void scan_floats(NpyColumn& column, std::int64_t size) {
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

NpyColumn read_column(const fs::path& folder, const SplitFiles& files, const Modality& m, NpyArray values,
                      std::int64_t samples) {
  NpyColumn column{.values = std::move(values), .hole = {}};
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

// The array of a modality; where there is none, of which name there is one.
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

}  // namespace

NpyPart read_part(const std::filesystem::path& folder, const SplitFiles& files, NpySpec& spec) {
  NpyPart part;
  part.name = files.name;
  const fs::path at = folder / part.name;
  for (WantedModality& wanted : spec.modalities) {
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

}  // namespace mld::data
