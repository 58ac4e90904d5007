#include "data/store/store_writer.h"

#include <algorithm>

#include "data/formats/mmap_file.h"
#include "data/formats/npy.h"
#include "data/store/store.h"
#include "engine/base/error.h"

namespace mld::data {
namespace {

namespace fs = std::filesystem;

// Room for the header of any number of items, so that it can be written last without moving the data.
std::size_t header_room(const Modality& m) {
  return npy_header(npy_type(m.dtype), batch_shape(INT64_MAX, m.shape)).size();
}

}  // namespace

StoreWriter::StoreWriter(const fs::path& destination) : folder_(destination, IfExists::refuse) {}

StoreWriter::StoreWriter(const fs::path& destination, Description description) : StoreWriter(destination) {
  describe(std::move(description));
}

void StoreWriter::describe(Description description) {
  MLD_CHECK(description.splits.empty() && description_.modalities.empty(), folder_.destination().string(),
            ": described twice; the splits are counted here");
  check(description, "data set " + description.name);
  description_ = std::move(description);
}

const Modality& StoreWriter::modality(int m) const {
  MLD_CHECK(m >= 0 && static_cast<std::size_t>(m) < description_.modalities.size(),
            folder_.destination().string(), ": modality ", m, " of ", description_.modalities.size());
  return description_.modalities[static_cast<std::size_t>(m)];
}

std::string StoreWriter::place(const SplitData& split, int m) const {
  return cat("data set ", description_.name, ": ", split.name, '/', modality(m).name);
}

StoreWriter::SplitData& StoreWriter::split(std::string_view name) {
  MLD_CHECK(!committed_, folder_.destination().string(), ": written after commit");
  for (const auto& split : splits_)
    if (split->name == name) return *split;
  check_name(name, "data set " + description_.name);
  make_folder(folder_.path() / name);
  splits_.push_back(std::make_unique<SplitData>());
  splits_.back()->name = name;
  splits_.back()->items.resize(description_.modalities.size());
  return *splits_.back();
}

template <class T>
void StoreWriter::append(std::string_view split_name, int m, std::span<const T> values) {
  SplitData& to = split(split_name);
  const Modality& mod = modality(m);
  Items& items = to.items[static_cast<std::size_t>(m)];
  const std::int64_t size = mod.shape.numel();
  const auto count = static_cast<std::int64_t>(values.size());
  MLD_CHECK(mod.dtype == dtype_of<T>() && count % size == 0, place(to, m), ": ", count, " values of ",
            dtype_name(dtype_of<T>()), " for items ", mod.shape, " of ", dtype_name(mod.dtype));
  std::int64_t bad = -1;
  if constexpr (std::is_same_v<T, float>) bad = first_non_finite(values);
  if constexpr (std::is_same_v<T, std::int32_t>) bad = first_outside(values, 0, mod.categories - 1);
  MLD_CHECK_AS(ErrorKind::data, bad < 0, place(to, m), ": item ", items.count + bad / size, ", value ",
               bad % size, ": found ", +values[static_cast<std::size_t>(bad)], ", expected ",
               is_discrete(mod.kind) ? cat("0 to ", mod.categories - 1) : "a finite number");
  if (!items.file) {
    items.file = std::make_unique<AtomicFile>(folder_.path() / to.name / (mod.name + ".npy"), Links::replace,
                                              Flush::later);
    items.file->write(std::string(header_room(mod), '\0'));
  }
  items.file->write(std::as_bytes(values));
  items.sum.add(std::as_bytes(values));
  items.count += count / size;
  MLD_CHECK_AS(ErrorKind::data, items.count <= INT32_MAX, place(to, m), ": more than ", INT32_MAX, " items");
}

void StoreWriter::add_items(std::string_view split, int modality, std::span<const std::uint8_t> values) {
  append(split, modality, values);
}
void StoreWriter::add_items(std::string_view split, int modality, std::span<const float> values) {
  append(split, modality, values);
}
void StoreWriter::add_items(std::string_view split, int modality, std::span<const std::int32_t> values) {
  append(split, modality, values);
}

void StoreWriter::check_labels(std::span<const std::int32_t> labels, const std::string& place) const {
  const std::int64_t bad = first_outside(labels, -1, description_.classes - 1);
  MLD_CHECK_AS(ErrorKind::data, bad < 0, place, ": label ", bad, " is ",
               labels[static_cast<std::size_t>(bad)], ", expected -1 to ", description_.classes - 1);
}

void StoreWriter::set_item_labels(std::string_view split_name, int m, std::span<const std::int32_t> labels) {
  SplitData& to = split(split_name);
  check_labels(labels, place(to, m));
  to.items[static_cast<std::size_t>(m)].labels.assign(labels.begin(), labels.end());
}

void StoreWriter::set_samples(std::string_view split_name, std::span<const std::int32_t> index,
                              std::span<const std::int32_t> labels, std::int64_t repetitions) {
  SplitData& to = split(split_name);
  const std::string here = cat("data set ", description_.name, ": ", to.name, "/samples");
  const std::size_t modalities = description_.modalities.size();
  const std::size_t samples = index.size() / modalities;
  MLD_CHECK(index.size() % modalities == 0 && (labels.empty() || labels.size() == samples), here,
            ": index of ", index.size(), " values and ", labels.size(), " labels for ", modalities,
            " modalities");
  check_labels(labels, here);
  to.index.assign(index.begin(), index.end());
  to.labels.assign(labels.begin(), labels.end());
  to.labels.resize(samples, -1);
  to.repetitions = repetitions;
}

void StoreWriter::set_aligned_samples(std::string_view split_name, std::int64_t samples,
                                      std::span<const std::int32_t> labels) {
  const std::size_t modalities = description_.modalities.size();
  std::vector<std::int32_t> index(static_cast<std::size_t>(samples) * modalities);
  for (std::size_t i = 0; i < index.size(); ++i) index[i] = static_cast<std::int32_t>(i / modalities);
  set_samples(split_name, index, labels);
  for (std::size_t m = 0; m < modalities; ++m) set_item_labels(split_name, static_cast<int>(m), labels);
}

void StoreWriter::set_vocabulary(int m, std::span<const std::string> tokens) {
  const Modality& mod = modality(m);
  MLD_CHECK(!mod.vocabulary.empty() && static_cast<std::int64_t>(tokens.size()) == mod.categories,
            "data set ", description_.name, ": ", tokens.size(), " tokens for modality ", mod.name, " with ",
            mod.categories, " categories");
  for (const std::string& token : tokens)
    MLD_CHECK_AS(ErrorKind::data, token.find('\n') == std::string::npos, "data set ", description_.name,
                 ": a token of ", mod.name, " holds a line break");
  const std::string text = join_lines(tokens);
  write_file_atomically(folder_.path() / mod.vocabulary, text);
  ChecksumStream sum;
  sum.add(std::as_bytes(std::span(text)));
  checksums_[mod.vocabulary] = sum.finish(mod.vocabulary, "");
}

void StoreWriter::write_i32(const std::string& name, std::span<const std::int32_t> values,
                            const Shape& shape) {
  const std::string header = npy_header(npy_type(DType::i32), shape);
  AtomicFile file(folder_.path() / name, Links::replace, Flush::later);
  file.write(header);
  file.write(std::as_bytes(values));
  file.commit();
  ChecksumStream sum;
  sum.add(std::as_bytes(values));
  checksums_[name] = sum.finish(name, header);
}

void StoreWriter::write_split(SplitData& from) {
  const std::string at = from.name + "/";
  SplitSize size{from.name, static_cast<std::int64_t>(from.labels.size()), from.repetitions, {}};
  for (std::size_t i = 0; i < from.items.size(); ++i) {
    Items& items = from.items[i];
    const int m = static_cast<int>(i);
    MLD_CHECK(items.file, place(from, m), ": no items were added");
    items.labels.resize(items.labels.empty() ? static_cast<std::size_t>(items.count) : items.labels.size(),
                        -1);
    MLD_CHECK_AS(ErrorKind::data, static_cast<std::int64_t>(items.labels.size()) == items.count,
                 place(from, m), ": ", items.labels.size(), " labels for ", items.count, " items");
    const Modality& mod = modality(m);
    const std::string header =
        npy_header(npy_type(mod.dtype), batch_shape(items.count, mod.shape), header_room(mod));
    items.file->write_at(0, std::as_bytes(std::span(header)));
    items.file->commit();
    const std::string file = at + mod.name + ".npy";
    checksums_[file] = items.sum.finish(file, header);
    write_i32(at + mod.name + ".labels.npy", items.labels, {items.count});
    size.items.push_back(items.count);
  }
  write_i32(at + "samples.npy", from.index, {size.samples, std::ssize(from.items)});
  write_i32(at + "labels.npy", from.labels, {size.samples});
  description_.splits.push_back(std::move(size));
}

void StoreWriter::commit() {
  MLD_CHECK(!committed_, folder_.destination().string(), ": committed twice");
  for (const auto& split : splits_) write_split(*split);
  check(description_, "data set " + description_.name);
  std::vector<FileChecksums> checksums;
  for (const std::string& file : checked_files(description_)) {
    const auto found = checksums_.find(file);
    MLD_CHECK(found != checksums_.end(), folder_.destination().string(), ": ", file, " was not written");
    checksums.push_back(found->second);
  }
  description_.fingerprint = fingerprint(description_, checksums);
  write_file_atomically(folder_.path() / kChecksumsFile, to_json(checksums));
  write_file_atomically(folder_.path() / "dataset.json", to_json(description_));
  Store::open(folder_.path());  // indices against item counts, and whatever else a reader would refuse
  folder_.commit();
  committed_ = true;
}

}  // namespace mld::data
