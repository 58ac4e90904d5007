// Samples as a user has them (pictures, npy, WAV, rows of a store) turned into a modality's values, and
// values into what a person can look at and listen to.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "data/pictures/sample_grid.h"
#include "data/store/description.h"
#include "data/store/store.h"

namespace mld {

struct ReadSampleOptions {
  bool resize = false;          // pictures of another size are resized
  bool resample_audio = false;  // sounds of another rate or channel count are converted
};

// Samples of a modality that lie in a file or a store, read by rows.
struct SampleRows {
  std::int64_t count = 0;
  std::function<std::vector<float>(std::int64_t first, std::int64_t n)> read;  // [n, size], as a store yields
  std::vector<std::string> done;  // to make samples of what the file holds, in words for records
};

// A picture or a sound is one sample; an .npy holds one ([shape...]) or several ([n, shape...]). All values
// are looked at. Errors are ErrorKind::data, naming the file, what was found and what was expected: another
// kind, shape or element type, values outside the modality's range or no categories.
SampleRows open_samples(const data::Modality& info, const std::filesystem::path& file,
                        const ReadSampleOptions& options);
// The same for rows [first, last) of a split, which is in `store`; ErrorKind::data also for a row that lacks
// the modality, or another modality of that name (data::check_same_modality).
SampleRows open_samples(const data::Modality& info, const data::Store& store, const data::Split& split,
                        std::int64_t first, std::int64_t last);
// Texts, a sample each, as tokens of the words by number (data/text/vocabulary.h). A word that is none of them may be one
// in lower case; those that are none either are named in `done`. ErrorKind::data for a vocabulary that does not begin with
// the marks.
SampleRows texts_as_samples(const data::Modality& info, std::span<const std::string> texts,
                            std::vector<std::string> words);
// All of a file, [n, size].
std::vector<float> read_samples(const data::Modality& info, const std::filesystem::path& file,
                                const ReadSampleOptions& options);

// Values as pictures and sounds are made of: scaled from the modality's range to [0, 1] and held there.
// Tokens stay.
std::vector<float> unit_values(const data::Modality& info, std::span<const float> values);
// How one sample [size] of unit values is drawn: TileKind::empty for modalities that are no
// picture of anything.
data::Tile sample_tile(const data::Modality& info, std::span<const float> values);
// Whether samples are spectrograms of a second that data::synthesize_wave makes audible.
bool audible(const data::Modality& info);

}  // namespace mld
