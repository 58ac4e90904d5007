// The store: the one on-disk format that training, sampling and evaluation read. Importers
// (data/importers/import.h) turn outside files into it with StoreWriter (data/store/store_writer.h). It is a
// folder, never changed once it is there:
//
//   dataset.json                      what the data are, below
//   checksums.json                    CRC-32 of every other file, below
//   <split>/<modality>.npy            items [N, shape of one item...], dtype as declared, C order
//   <split>/<modality>.labels.npy     int32 [N]: class of each item, -1 unknown
//   <split>/samples.npy               int32 [S, M]: the sample index, one row of item numbers per sample
//   <split>/labels.npy                int32 [S]: class of each sample, -1 unknown
//   <vocabulary>.txt                  one token per line, line number = token id; where a modality names one
//
// An *item* is one observation of one modality (a picture, a sound); a *sample* names one item per modality,
// so the same item can stand in many samples (MNIST-SVHN pairs each 20 times) at 4 bytes each. -1 is a hole:
// the modality is missing in that sample; a sample has at least one item. Data without pairs have the
// identity as index. Items belong to one split. Arrays are NumPy files, little-endian, read memory-mapped.
//
// dataset.json (every key is required unless marked optional; an unknown key is an error):
//   format       "mld-store"
//   version      2; or 1, which lacks fingerprint, crc32 and checksums.json, so that damage is not noticed
//   name         of the data set, free text
//   classes      K: labels are 0 .. K-1 or -1; 0 if the data have no labels
//   attributes   optional, list: what a class says where classes are combinations, class = ((v0 n1 + v1) n2 + v2) ... of the
//                numbers v of the values and n of how many there are; each:
//     name         1 to 64 letters, digits, '_', '-'
//     values       list of {name, phrases}: phrases are words in lower case with single blanks between them, by which a text
//                  says that the value holds; none occurs twice in the file. The product of all n is K
//   modalities   list, in the order that defines columns of the index and the concatenation of latents; each:
//     name         1 to 64 letters, digits, '_', '-'; not "samples" or "labels"
//     kind         "image" | "vector" | "series" | "spectrogram" | "tokens" | "categorical"
//     shape        of one item: image [height, width, channels], spectrogram [frames, mels], series [length,
//                  channels], others [n]
//     dtype        "u8" | "f32"; "i32" for tokens and categorical
//     range        [lo, hi] of the values a reader yields: u8 data map 0..255 linearly onto it, f32 data are
//                  yielded as they are. Not for tokens and categorical
//     original_range  optional, [min, max]: what the ends of range stand for in the data's own units
//                  (decibels of a spectrogram, pixels of a pen path):
//                  original = min + (value - lo) / (hi - lo) * (max - min)
//     audio        optional, spectrogram only: {sample_rate (Hz), n_fft (samples), hop (samples)} of its
//                  front end
//     pen_path     optional, vector only: true if the values are a drawn path, first all x, then all y
//     categories   tokens and categorical only: values are 0 .. categories-1
//     vocabulary   optional, tokens only: file name in the store, one line per category
//   splits       object; "train" is required, others ("test", "valid") are free; each:
//     samples      S
//     repetitions  R >= 1: rows [r*S/R, (r+1)*S/R) of the index are pairing r of the same items, so rows
//                  [0, S/R) are the first pairing: each item of a paired set at most once. 1 if nothing is
//                  paired repeatedly
//     items        object: number of items N of each modality, by name. 0 is possible outside "train"
//   provenance   {importer, seed, sources: [{file, bytes, crc32}]}: who made the store from what. No dates,
//                so that the same import gives the same bytes
//   fingerprint  16 hexadecimal digits: FNV-1a of classes, attributes, modalities, splits and the checksums of all data.
//                Stores of equal data have the same one, whatever they are called and wherever they lie
//   crc32        last: the CRC-32 of this file's text, with zeros in place of its eight digits
//
// checksums.json, every CRC-32 as eight hexadecimal digits:
//   format       "mld-checksums"
//   block_bytes  1048576
//   files        object by name ("train/image.npy", vocabularies too), in the order of dataset.json; each:
//     header_bytes, header  size and CRC-32 of what stands before an array's data
//     data_bytes, data      those of the data
//     blocks                CRC-32 of each block_bytes of the data; the last block may be shorter
//   crc32        as in dataset.json
//
// Headers, indices, labels and vocabularies are compared when the store is opened; items block by block, when
// they are first read.
//
// A killed import leaves a hidden folder ".NAME.partial" beside the destination, which the next one removes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/formats/npy.h"
#include "data/store/checksums.h"
#include "data/store/description.h"

namespace mld::data {

// One split of an open store. Modalities are numbered as in Description::modalities.
class Split {
 public:
  const std::string& name() const { return name_; }
  std::int64_t num_samples() const { return num_samples_; }
  // Samples of the first pairing: rows [0, num_distinct) use every paired item once.
  std::int64_t num_distinct() const { return num_samples_ / repetitions_; }
  std::int64_t repetitions() const { return repetitions_; }
  std::int64_t num_items(int modality) const { return array(modality).items; }

  std::span<const std::int32_t> samples() const { return samples_.view<std::int32_t>(); }  // [S, M]
  std::span<const std::int32_t> sample(std::int64_t row) const;  // [M] the items of one; -1 is a hole
  std::int32_t item(std::int64_t row, int modality) const;
  std::span<const std::int32_t> labels() const { return labels_.view<std::int32_t>(); }  // [S]
  std::span<const std::int32_t> item_labels(int modality) const;                         // [N]

  // out [B, shape of one item...] = the items as floats, channels last, bytes mapped to the modality's range;
  // a hole (-1) yields zeros. Needs a real-valued kind. Safe to call from several threads, and parallel
  // inside for large B. An index out of range, or `out` of another size, is a misuse (ErrorKind::internal).
  void gather(int modality, std::span<const std::int32_t> items, std::span<float> out) const;
  // The same for tokens and categorical: out [B, n], values 0 .. categories-1, checked on the way
  // (ErrorKind::data); a hole yields -1. Both compare checksums of what is read for the first time
  // (ErrorKind::data).
  void gather_tokens(int modality, std::span<const std::int32_t> items, std::span<std::int32_t> out) const;

  // For data larger than memory: items will be asked for one by one in any order, so that nothing around them is worth
  // reading; and these ones soon, so that reading them begins. Neither waits, and results do not depend on it.
  void expect_any_order(int modality) const;
  void read_ahead(int modality, std::span<const std::int32_t> items) const;

 private:
  friend class Store;
  struct Array {
    NpyArray values, labels;
    Modality modality;
    std::int64_t items = 0, size = 0;  // number of items, values of one item
    CheckedBytes checked{};            // the values
  };
  std::size_t number(int modality) const;
  const Array& array(int modality) const { return arrays_[number(modality)]; }
  void check_request(const Array& array, std::span<const std::int32_t> items, std::size_t out_size) const;
  void validate() const;

  std::string name_;
  std::int64_t num_samples_ = 0, repetitions_ = 1;
  std::vector<Array> arrays_;
  NpyArray samples_, labels_;
};

class Store {
 public:
  // Maps every array and checks its type, shape and size against dataset.json, all indices and labels
  // against their ranges, and the checksums of everything but items, which are not read (validate() does).
  // Missing, truncated, corrupt or contradictory files are ErrorKind::data errors that name the file, what
  // was found and what was expected.
  static Store open(const std::filesystem::path& folder);

  const std::filesystem::path& path() const { return path_; }
  const Description& description() const { return description_; }
  // Whether there are checksums; if not (version 1), what to tell the user once.
  bool checked() const { return !description_.fingerprint.empty(); }
  std::string unchecked_note() const;  // "" if checked()
  int num_modalities() const { return static_cast<int>(description_.modalities.size()); }
  const Modality& modality(int m) const;

  bool has_split(std::string_view name) const;
  const Split& split(std::string_view name) const;  // an unknown name is an ErrorKind::usage error
  std::span<const Split> splits() const { return splits_; }

  // The tokens of a token modality, by id; empty if it has no vocabulary.
  std::vector<std::string> vocabulary(int modality) const;

  // Reads every item once: data that differ from their checksums, a value that is not finite, or a token out
  // of range, is an ErrorKind::data error naming file and item.
  void validate() const;

 private:
  NpyArray open_array(const std::string& file, DType dtype, const Shape& shape) const;
  NpyArray open_checked(const std::string& file, const Shape& shape) const;
  CheckedBytes checked_bytes(const std::string& file, std::span<const std::uint8_t> bytes) const;
  Split open_split(const SplitSize& size) const;

  std::filesystem::path path_;
  Description description_;
  std::vector<Split> splits_;
  std::vector<FileChecksums> checksums_;  // none in a store of version 1
};

// Index of the first value that is infinite or not a number, or -1.
std::int64_t first_non_finite(std::span<const float> values);
// Index of the first value outside [lowest, highest], or -1.
std::int64_t first_outside(std::span<const std::int32_t> values, std::int64_t lowest, std::int64_t highest);

}  // namespace mld::data
