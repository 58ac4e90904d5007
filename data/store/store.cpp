#include "data/store/store.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>

#include "data/formats/mmap_file.h"
#include "engine/base/error.h"
#include "engine/io/file_error.h"
#include "engine/io/files.h"
#include "engine/threads/threads.h"

namespace mld::data {
namespace {

// In values; below, starting threads costs more than it saves.
constexpr std::size_t kParallelFrom = std::size_t{1} << 16;
// Bytes; below, an array stays in memory once it is read, and to ask for its parts costs more than it saves.
constexpr std::size_t kReadAheadFrom = std::size_t{1} << 26;
constexpr const char* kRemedy = "; import the data again";

void check_values(const NpyArray& array, std::int64_t lowest, std::int64_t highest, const char* what) {
  const std::span<const std::int32_t> values = array.view<std::int32_t>();
  const std::int64_t bad = first_outside(values, lowest, highest);
  MLD_CHECK_AS(ErrorKind::data, bad < 0, array.name(), ": element ", bad, ": ", what, " ",
               values[static_cast<std::size_t>(bad)], ", expected ", lowest, " to ", highest, kRemedy);
}

// samples [S, M]: every index names an item or is -1, and no row is empty.
void check_index(const NpyArray& samples, std::span<const std::int64_t> num_items) {
  const std::span<const std::int32_t> index = samples.view<std::int32_t>();
  const std::size_t modalities = num_items.size();
  for (std::size_t row = 0; row * modalities < index.size(); ++row) {
    bool empty = true;
    for (std::size_t m = 0; m < modalities; ++m) {
      const std::int32_t item = index[row * modalities + m];
      MLD_CHECK_AS(ErrorKind::data, item >= -1 && item < num_items[m], samples.name(), ": row ", row,
                   ", modality ", m, ": item ", item, ", expected -1 to ", num_items[m] - 1, kRemedy);
      empty = empty && item < 0;
    }
    MLD_CHECK_AS(ErrorKind::data, !empty, samples.name(), ": row ", row, " has no modality at all", kRemedy);
  }
}

// value = lo + byte / 255 * (hi - lo); exactly byte / 255 for [0, 1].
void bytes_to_floats(const std::uint8_t* in, std::int64_t count, ValueRange range, float* out) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = range.from_unit(static_cast<float>(in[i]) / 255.0F);
}

}  // namespace

std::int64_t first_non_finite(std::span<const float> values) {
  constexpr std::uint32_t kExponent = 0x7f800000U;
  constexpr std::size_t kBlock = 4096;  // a whole block is tested without a branch, so that it vectorises
  for (std::size_t start = 0; start < values.size(); start += kBlock) {
    const std::span<const float> block = values.subspan(start, std::min(kBlock, values.size() - start));
    int bad = 0;
    for (float v : block) bad |= (std::bit_cast<std::uint32_t>(v) & kExponent) == kExponent;
    for (std::size_t i = 0; bad && i < block.size(); ++i)
      if ((std::bit_cast<std::uint32_t>(block[i]) & kExponent) == kExponent)
        return static_cast<std::int64_t>(start + i);
  }
  return -1;
}

std::int64_t first_outside(std::span<const std::int32_t> values, std::int64_t lowest, std::int64_t highest) {
  for (std::size_t i = 0; i < values.size(); ++i)
    if (values[i] < lowest || values[i] > highest) return static_cast<std::int64_t>(i);
  return -1;
}

std::size_t Split::number(int modality) const {
  MLD_CHECK(modality >= 0 && static_cast<std::size_t>(modality) < arrays_.size(), "split ", name_,
            ": modality ", modality, " of ", arrays_.size());
  return static_cast<std::size_t>(modality);
}

std::span<const std::int32_t> Split::sample(std::int64_t row) const {
  MLD_CHECK(row >= 0 && row < num_samples_, "split ", name_, ": row ", row, " of ", num_samples_);
  return samples().subspan(static_cast<std::size_t>(row) * arrays_.size(), arrays_.size());
}

std::int32_t Split::item(std::int64_t row, int modality) const { return sample(row)[number(modality)]; }

std::span<const std::int32_t> Split::item_labels(int modality) const {
  return array(modality).labels.view<std::int32_t>();
}

void Split::check_request(const Array& a, std::span<const std::int32_t> items, std::size_t out_size) const {
  MLD_CHECK(out_size == items.size() * static_cast<std::size_t>(a.size), "gather ", a.modality.name,
            ": room for ", out_size, " values, need ", items.size(), " x ", a.size);
  const std::int64_t bad = first_outside(items, -1, a.items - 1);
  MLD_CHECK(bad < 0, "gather ", a.modality.name, ": item ", items[static_cast<std::size_t>(bad)], " of ",
            a.items);
}

void Split::expect_any_order(int modality) const {
  const NpyArray& values = array(modality).values;
  if (values.bytes().size() >= kReadAheadFrom) values.expect_any_order();
}

// Items that lie one behind the other are one piece.
void Split::read_ahead(int modality, std::span<const std::int32_t> items) const {
  const Array& a = array(modality);
  if (a.values.bytes().size() < kReadAheadFrom) return;
  const auto size = static_cast<std::size_t>(a.size * dtype_size(a.modality.dtype));
  const std::span<const std::uint8_t> values =
      a.values.bytes().last(static_cast<std::size_t>(a.items) * size);
  for (std::size_t i = 0, next = 0; i < items.size(); i = next) {
    next = i + 1;
    if (items[i] < 0) continue;
    while (next < items.size() && items[next] == items[next - 1] + 1) ++next;
    data::read_ahead(values.subspan(static_cast<std::size_t>(items[i]) * size, (next - i) * size));
  }
}

void Split::gather(int modality, std::span<const std::int32_t> items, std::span<float> out) const {
  const Array& a = array(modality);
  MLD_CHECK(!is_discrete(a.modality.kind), "gather ", a.modality.name, ": of kind ",
            kind_name(a.modality.kind), "; use gather_tokens");
  check_request(a, items, out.size());
  a.checked.check_rows(items, a.size * dtype_size(a.modality.dtype));
  const bool is_bytes = a.modality.dtype == DType::u8;
  const std::uint8_t* bytes = is_bytes ? a.values.view<std::uint8_t>().data() : nullptr;
  const float* floats = is_bytes ? nullptr : a.values.view<float>().data();
  const auto rows = static_cast<std::int64_t>(items.size());
  const auto fill = [&](std::int64_t row) {
    float* target = out.data() + row * a.size;
    const std::int64_t item = items[static_cast<std::size_t>(row)];
    if (item < 0) {
      std::fill_n(target, a.size, 0.0F);
    } else if (is_bytes) {
      bytes_to_floats(bytes + item * a.size, a.size, a.modality.range, target);
    } else {
      std::copy_n(floats + item * a.size, a.size, target);
    }
  };
  parallel_for(rows, fill, out.size() >= kParallelFrom ? max_threads() : 1);
}

void Split::gather_tokens(int modality, std::span<const std::int32_t> items,
                          std::span<std::int32_t> out) const {
  const Array& a = array(modality);
  MLD_CHECK(is_discrete(a.modality.kind), "gather_tokens ", a.modality.name, ": of kind ",
            kind_name(a.modality.kind), "; use gather");
  check_request(a, items, out.size());
  a.checked.check_rows(items, a.size * dtype_size(a.modality.dtype));
  const auto size = static_cast<std::size_t>(a.size);
  const std::span<const std::int32_t> values = a.values.view<std::int32_t>();
  for (std::size_t row = 0; row < items.size(); ++row) {
    const std::span<std::int32_t> target = out.subspan(row * size, size);
    if (items[row] < 0) {
      std::fill(target.begin(), target.end(), -1);
      continue;
    }
    const auto source = values.subspan(static_cast<std::size_t>(items[row]) * size, size);
    const std::int64_t bad = first_outside(source, 0, a.modality.categories - 1);
    MLD_CHECK_AS(ErrorKind::data, bad < 0, a.values.name(), ": item ", items[row], ", position ", bad,
                 ": token ", source[static_cast<std::size_t>(bad)], ", expected 0 to ",
                 a.modality.categories - 1, kRemedy);
    std::copy(source.begin(), source.end(), target.begin());
  }
}

void Split::validate() const {
  for (const Array& a : arrays_) {
    a.checked.check_all();
    if (a.modality.dtype == DType::f32) {
      const std::int64_t bad = first_non_finite(a.values.view<float>());
      MLD_CHECK_AS(ErrorKind::data, bad < 0, a.values.name(), ": item ", bad / a.size, ", value ",
                   bad % a.size, " is not finite", kRemedy);
    } else if (a.modality.dtype == DType::i32) {
      check_values(a.values, 0, a.modality.categories - 1, "token");
    }
  }
}

NpyArray Store::open_array(const std::string& file, DType dtype, const Shape& shape) const {
  const std::filesystem::path path = path_ / file;
  MLD_CHECK_AS(ErrorKind::data, path_exists(path), path.string(), ": missing, though dataset.json lists it",
               kRemedy);
  NpyArray array(path);
  MLD_CHECK_AS(ErrorKind::data, array.type() == npy_type(dtype) && array.shape() == shape, path.string(),
               ": holds ", array.type().str(), " ", array.shape(), ", dataset.json says ",
               npy_type(dtype).str(), " ", shape, kRemedy);
  return array;
}

CheckedBytes Store::checked_bytes(const std::string& file, std::span<const std::uint8_t> bytes) const {
  const auto sums = std::find_if(checksums_.begin(), checksums_.end(),
                                 [&](const FileChecksums& s) { return s.file == file; });
  return sums == checksums_.end() ? CheckedBytes() : CheckedBytes(bytes, *sums, (path_ / file).string());
}

// An array of int32 that is read anyway.
NpyArray Store::open_checked(const std::string& file, const Shape& shape) const {
  NpyArray array = open_array(file, DType::i32, shape);
  checked_bytes(file, array.bytes()).check_all();
  return array;
}

Split Store::open_split(const SplitSize& size) const {
  const Description& d = description_;
  const std::string at = size.name + "/";
  Split split;
  split.name_ = size.name;
  split.num_samples_ = size.samples;
  split.repetitions_ = size.repetitions;
  for (std::size_t m = 0; m < d.modalities.size(); ++m) {
    const Modality& modality = d.modalities[m];
    const std::string file = at + modality.name + ".npy";
    Split::Array array{open_array(file, modality.dtype, batch_shape(size.items[m], modality.shape)),
                       open_checked(at + modality.name + ".labels.npy", {size.items[m]}), modality,
                       size.items[m], modality.shape.numel()};
    check_values(array.labels, -1, d.classes - 1, "label");
    array.checked = checked_bytes(file, array.values.bytes());
    split.arrays_.push_back(std::move(array));
  }
  split.samples_ = open_checked(at + "samples.npy", {size.samples, std::ssize(d.modalities)});
  split.labels_ = open_checked(at + "labels.npy", {size.samples});
  check_index(split.samples_, size.items);
  check_values(split.labels_, -1, d.classes - 1, "label");
  return split;
}

Store Store::open(const std::filesystem::path& folder) {
  const std::filesystem::path json = folder / "dataset.json";
  MLD_CHECK_AS(ErrorKind::data, is_folder(folder), folder.string(),
               ": no such data set folder; make one with 'mldctl data import'");
  MLD_CHECK_AS(ErrorKind::data, path_exists(json), folder.string(),
               ": no dataset.json: this folder is no imported data set; make one with 'mldctl data import'");
  Store store;
  store.path_ = folder;
  store.description_ = parse_description(MmapFile(json).text(), json.string());
  const Description& d = store.description_;
  if (store.checked()) {
    const std::filesystem::path path = folder / kChecksumsFile;
    store.checksums_ = parse_checksums(MmapFile(path).text(), d, path.string());
    const std::string found = fingerprint(d, store.checksums_);
    MLD_CHECK_AS(ErrorKind::data, found == d.fingerprint, json.string(), ": fingerprint ", d.fingerprint,
                 ", but that of ", kChecksumsFile, " is ", found, ": the files are of different stores",
                 kRemedy);
  }
  for (const SplitSize& size : d.splits) store.splits_.push_back(store.open_split(size));
  for (int m = 0; m < store.num_modalities(); ++m) store.vocabulary(m);
  return store;
}

std::string Store::unchecked_note() const {
  if (checked()) return "";
  return path_.string() +
         ": a store of version 1, without checksums: damaged or exchanged data go unnoticed; import it again";
}

const Modality& Store::modality(int m) const {
  MLD_CHECK(m >= 0 && m < num_modalities(), path_.string(), ": modality ", m, " of ", num_modalities());
  return description_.modalities[static_cast<std::size_t>(m)];
}

bool Store::has_split(std::string_view name) const {
  return std::any_of(splits_.begin(), splits_.end(), [&](const Split& s) { return s.name() == name; });
}

const Split& Store::split(std::string_view name) const {
  std::string known;
  for (const Split& split : splits_) {
    if (split.name() == name) return split;
    known += (known.empty() ? "" : ", ") + split.name();
  }
  fail(ErrorKind::usage, path_.string(), ": no split ", quote(name), "; it has ", known);
}

std::vector<std::string> Store::vocabulary(int m) const {
  const Modality& modality_m = modality(m);
  if (modality_m.vocabulary.empty()) return {};
  const std::filesystem::path path = path_ / modality_m.vocabulary;
  checked_bytes(modality_m.vocabulary, MmapFile(path).bytes()).check_all();
  std::vector<std::string> tokens = read_lines(path);
  MLD_CHECK_AS(ErrorKind::data, static_cast<std::int64_t>(tokens.size()) == modality_m.categories,
               path.string(), ": holds ", tokens.size(), " tokens, dataset.json says ", modality_m.categories,
               kRemedy);
  return tokens;
}

void Store::validate() const {
  for (const Split& split : splits_) split.validate();
}

}  // namespace mld::data
