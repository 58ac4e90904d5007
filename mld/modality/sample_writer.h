// Samples as files, written while they are drawn: the memory that it needs does not grow with their number.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/store/description.h"
#include "engine/io/atomic_file.h"

namespace mld {

// Samples of one modality.
struct SampleSet {
  data::Modality info;
  bool given = false;  // a condition, not generated
  // The words of its tokens by number, if any.
  std::vector<std::string> words = {};
};

struct WriteSampleOptions {
  std::int64_t singles = 64;  // samples that also get files of their own: PNG, and WAV for sounds
  std::uint64_t seed = 0;     // of the phases of sounds
};

// Writes NAME.npy for every set (float32, int32 for tokens and categories; [n, shape...]), NAME.txt where tokens have
// words (a line per sample), grid.png (a column per sample, a row per modality) and NAME/0000.png, .wav. Errors are
// ErrorKind::io.
class SampleWriter {
 public:
  // Into `folder`, which is there.
  SampleWriter(std::filesystem::path folder, std::vector<SampleSet> sets, std::int64_t n,
               const WriteSampleOptions& options);

  // Samples first .. first + count - 1 by modality, [count, size] each; in order. Modalities that are in no
  // set are not looked at.
  void add(std::int64_t first, std::int64_t count, const std::map<std::string, std::vector<float>>& samples);
  // After the last: the names of the files, relative to the folder.
  std::vector<std::string> finish();

  // Bytes of the arrays: of all, of the largest.
  static std::int64_t bytes(const std::vector<SampleSet>& sets, std::int64_t n);
  static std::int64_t largest(const std::vector<SampleSet>& sets, std::int64_t n);

 private:
  struct Output {
    SampleSet set;
    bool drawable = false;  // samples are pictures of something
    std::unique_ptr<AtomicFile> array, text;
    std::vector<float> shown;          // unit values of the samples in the grid
    std::vector<std::string> texts;    // of tokens with words, in their place
    std::vector<std::string> singles;  // names of files
  };
  void write_values(Output& output, const std::vector<float>& values);
  void write_single(Output& output, std::int64_t number, std::span<const float> units);
  void write_grid();

  std::filesystem::path folder_;
  std::int64_t n_, added_ = 0;
  WriteSampleOptions options_;
  std::vector<Output> outputs_;
  bool grid_ = false;
};

}  // namespace mld
