// Writes a store (data/store/store.h), all or nothing (engine/io/atomic_folder.h): an exception on the way, a
// full disk among them, leaves no trace.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/store/checksums.h"
#include "data/store/description.h"
#include "engine/io/atomic_file.h"
#include "engine/io/atomic_folder.h"

namespace mld::data {

class StoreWriter {
 public:
  // `description` without splits: those are counted from what is added. A destination that exists and is not
  // an empty folder is an ErrorKind::busy error, as is one that another StoreWriter writes; nothing is ever
  // overwritten. Disk errors are ErrorKind::io, here and below.
  StoreWriter(const std::filesystem::path& destination, Description description);
  // The same in two steps, so that a destination that cannot be written is noticed before the data are read.
  explicit StoreWriter(const std::filesystem::path& destination);
  void describe(Description description);  // once, before everything below
  StoreWriter(const StoreWriter&) = delete;
  StoreWriter& operator=(const StoreWriter&) = delete;

  // Appends whole items of a modality to a split; T is the modality's dtype. Non-finite values and tokens out
  // of range are ErrorKind::data errors. Every modality of every split needs a call, if only with no items.
  void add_items(std::string_view split, int modality, std::span<const std::uint8_t> values);
  void add_items(std::string_view split, int modality, std::span<const float> values);
  void add_items(std::string_view split, int modality, std::span<const std::int32_t> values);
  // One class per item of the modality, in order; unknown (-1) if never called.
  void set_item_labels(std::string_view split, int modality, std::span<const std::int32_t> labels);

  // The sample index [S, M] and one class per sample, or none (unknown); `repetitions`: data/store/store.h.
  void set_samples(std::string_view split, std::span<const std::int32_t> index,
                   std::span<const std::int32_t> labels, std::int64_t repetitions = 1);
  // Sample s is item s of every modality; its class is the label, and that of its items.
  void set_aligned_samples(std::string_view split, std::int64_t samples,
                           std::span<const std::int32_t> labels);

  // One token per category of a token modality that names a vocabulary file.
  void set_vocabulary(int modality, std::span<const std::string> tokens);

  // Checks that everything fits together, writes checksums.json and dataset.json, and gives the store its
  // name. Once, last.
  void commit();

 private:
  struct Items {
    std::unique_ptr<AtomicFile> file;
    ChecksumStream sum;
    std::int64_t count = 0;
    std::vector<std::int32_t> labels;
  };
  struct SplitData {
    std::string name;
    std::vector<Items> items;  // per modality
    std::vector<std::int32_t> index, labels;
    std::int64_t repetitions = 1;
  };

  SplitData& split(std::string_view name);
  const Modality& modality(int m) const;
  template <class T>
  void append(std::string_view split_name, int m, std::span<const T> values);
  void write_split(SplitData& split);
  void write_i32(const std::string& file, std::span<const std::int32_t> values, const Shape& shape);
  void check_labels(std::span<const std::int32_t> labels, const std::string& place) const;
  std::string place(const SplitData& split, int m) const;  // "data set NAME: train/svhn", for messages

  AtomicFolder folder_;  // before the files in it, which are closed first
  Description description_;
  std::vector<std::unique_ptr<SplitData>> splits_;
  std::map<std::string, FileChecksums> checksums_;  // of the finished files, by name in the store
  bool committed_ = false;
};

}  // namespace mld::data
