// What `dataset.json` says: the modalities of a data set, its splits and where it came from. The file's
// format is documented in data/store/store.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/value_range.h"
#include "engine/base/dtype.h"
#include "engine/base/shape.h"

namespace mld::data {

enum class ModalityKind : std::uint8_t { image, vector, spectrogram, tokens, categorical, series };
const char* kind_name(ModalityKind kind);
// Whether items are integers 0 .. categories-1 (tokens, categorical) and not real numbers.
constexpr bool is_discrete(ModalityKind kind) {
  return kind == ModalityKind::tokens || kind == ModalityKind::categorical;
}
// Whether the range of real values is that of the training items where none is declared.
constexpr bool has_measured_range(ModalityKind kind) {
  return kind == ModalityKind::vector || kind == ModalityKind::series;
}

// The front end that made a spectrogram, all in samples, so that it can be made audible again.
struct AudioFrontEnd {
  std::int64_t sample_rate = 0, n_fft = 0, hop = 0;
  bool operator==(const AudioFrontEnd&) const = default;
};

struct Modality {
  std::string name;
  ModalityKind kind = ModalityKind::vector;
  Shape shape;  // of one item: image [H,W,C], spectrogram [frames,mels], series [length,C], otherwise [n]
  DType dtype = DType::f32;  // as stored: u8 or f32, i32 for discrete kinds
  ValueRange range;          // of the values gather() yields; bytes 0..255 map to it. Not for discrete kinds
  std::optional<ValueRange> original_range;  // what the ends of range stand for: decibels, pixels, ...
  std::optional<AudioFrontEnd> audio;        // spectrogram only
  bool pen_path = false;                     // vector only: a drawn path, first all x, then all y
  std::int64_t categories = 0;               // discrete kinds only
  std::string vocabulary;                    // tokens only: file with one token per line, or empty
  bool operator==(const Modality&) const = default;
};

// What a class says about a sample, where classes are combinations: class = ((v0 n1 + v1) n2 + v2) ... of the numbers v
// of the attributes' values and n of how many there are. Phrases are lower-case words with blanks between, by which a
// text says that the value holds (data/text/attributes.h).
struct Attribute {
  struct Value {
    std::string name;
    std::vector<std::string> phrases;
    bool operator==(const Value&) const = default;
  };
  std::string name;
  std::vector<Value> values;
  bool operator==(const Attribute&) const = default;
};

struct SplitSize {
  std::string name;
  std::int64_t samples = 0;
  std::int64_t repetitions = 1;  // pairings of the same items, one after the other (see Split::num_distinct)
  std::vector<std::int64_t> items;  // per modality
  bool operator==(const SplitSize&) const = default;
};

struct SourceFile {
  std::string file;  // name without folder
  std::int64_t bytes = 0;
  std::string crc32;  // of the file as it is, eight hexadecimal digits
  bool operator==(const SourceFile&) const = default;
};

struct Provenance {
  std::string importer;
  std::uint64_t seed = 0;  // of whatever the importer drew: pairings, splits, the data themselves
  std::vector<SourceFile> sources;
  bool operator==(const Provenance&) const = default;
};

struct Description {
  static constexpr std::int64_t kMaxClasses = std::int64_t{1} << 20;
  std::string name;
  std::int64_t classes = 0;           // labels are -1 (unknown) or 0 .. classes-1
  std::vector<Attribute> attributes;  // that classes are combinations of; empty: they are not
  std::vector<Modality> modalities;
  std::vector<SplitSize> splits;
  Provenance provenance;
  // Of classes, attributes, modalities, splits and all arrays, 16 hexadecimal digits: equal for equal data, whatever they
  // are called and wherever they come from. Empty for a store of version 1, whose content is not known.
  std::string fingerprint;
  bool operator==(const Description&) const = default;

  // Index of a modality; an unknown name is an ErrorKind::usage error that lists the known ones.
  int modality(std::string_view name) const;
};

// `file` starts every message. Anything wrong is an ErrorKind::data error that names the key.
Description parse_description(std::string_view text, const std::string& file);
// The text of dataset.json, of version 2 if there is a fingerprint, else of version 1; parse_description
// gives an equal Description back.
std::string to_json(const Description& description);

// Checks what parse_description checks, for a description made in memory; `place` starts every message.
void check(const Description& description, const std::string& place);
void check(const Modality& modality, const std::string& place);

// Names of modalities and splits become file names: 1 to 64 letters, digits, '_' or '-'. The names of the
// other files of a split, "samples" and "labels", are taken.
void check_name(std::string_view name, const std::string& place);

// Measures a file for the provenance record.
SourceFile describe_source(const std::filesystem::path& path);

}  // namespace mld::data
