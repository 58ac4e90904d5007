// Samples as files: what a user gives (PNG, JPEG, npy, WAV) turned into a modality's values, and generated
// values turned into pictures, sounds and arrays that a person can look at and listen to.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/description.h"
#include "data/sample_grid.h"

namespace mld {

struct ReadSampleOptions {
  bool resize = false;          // pictures of another size are resized
  bool resample_audio = false;  // sounds of another rate or channel count are converted
};

// Values of one or more samples of a modality, as the store would yield them: [n, size]. A picture or a sound
// is one sample; an .npy holds one ([shape...]) or several ([n, shape...]). Errors are ErrorKind::data,
// naming the file, the shape found and the shape expected.
std::vector<float> read_samples(const data::Modality& info, const std::filesystem::path& file,
                                const ReadSampleOptions& options);

// Values as pictures and sounds are made of: scaled from the modality's range to [0, 1] and held there.
// Tokens stay.
std::vector<float> unit_values(const data::Modality& info, std::span<const float> values);
// How one sample [size] of unit values is drawn: TileKind::empty for modalities that are no picture of
// anything.
data::Tile sample_tile(const data::Modality& info, std::span<const float> values);
// Whether data::synthesize_wave makes samples audible.
bool audible(const data::Modality& info);

// Samples of one modality: values [n, size], the same n for all of one set.
struct SampleSet {
  data::Modality info;
  std::vector<float> values;
  bool given = false;  // a condition, not generated
};

struct WriteSampleOptions {
  std::int64_t singles = 64;  // samples that also get files of their own: PNG, and WAV for sounds
  std::uint64_t seed = 0;     // of the phases of sounds
};

// Writes NAME.npy for every set, grid.png (a column per sample, a row per modality) and NAME/0000.png, .wav.
// Returns the names of the files written, relative to `folder`.
std::vector<std::string> write_samples(const std::filesystem::path& folder, std::span<const SampleSet> sets,
                                       std::int64_t n, const WriteSampleOptions& options);

}  // namespace mld
