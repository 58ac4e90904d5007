#include <algorithm>
#include <string>

#include "data/audio/audio.h"
#include "data/digits/digits.h"
#include "data/draws.h"
#include "data/importers/import.h"
#include "data/sources/input_folder.h"
#include "data/sources/mnist_files.h"
#include "data/sources/mnist_strokes.h"
#include "data/sources/spoken_digits.h"
#include "data/store/pairing.h"
#include "data/store/store_writer.h"
#include "engine/base/error.h"
#include "engine/base/names.h"
#include "engine/io/file_error.h"

namespace mld::data {
namespace {

namespace fs = std::filesystem;

enum : int { kImage, kSound, kTrajectoryColumn, kColumns };
constexpr std::int64_t kTestIndices = 5, kValidIndices = 10;  // recordings below are of these splits
constexpr ValueRange kPaper{0, kDigitSide};                   // of a pen, pixels

struct Part {
  const char* split;
  LabelledImages digits;
  std::vector<float> paths;         // [N,200], pixels
  std::vector<float> sounds;        // [R,32,128], decibels
  std::vector<std::int32_t> words;  // [R] what is spoken
};

Part read_part(const char* split, const char* mnist_prefix, const fs::path& mnist, const NpzFile& strokes,
               Provenance& provenance) {
  Part part{split, read_mnist(mnist, mnist_prefix, provenance), {}, {}, {}};
  LabelledPaths written = read_mnist_strokes(strokes, split);
  const auto& labels = part.digits.labels;
  const auto name = [&] { return cat("strokes of '", split, "'"); };
  MLD_CHECK_AS(ErrorKind::data, written.labels.size() == labels.size(), name(), ": ", written.labels.size(),
               " digits, MNIST has ", labels.size(), " there");
  const auto [stroke, digit] = std::ranges::mismatch(written.labels, labels);
  MLD_CHECK_AS(ErrorKind::data, digit == labels.end(), name(), ": digit ", digit - labels.begin(), " is a ",
               *stroke, ", in MNIST a ", *digit, "; they must be of the same digits in the same order");
  part.paths = std::move(written.paths);
  return part;
}

// The last `count` digits.
Part take_last(Part& train, std::int64_t count) {
  const std::int64_t all = std::ssize(train.digits.labels);
  MLD_CHECK_AS(ErrorKind::usage, count < all, "import: to hold out ", count, " of ", all,
               " training digits leaves none to train on");
  std::vector<bool> leaves(static_cast<std::size_t>(all));
  std::fill(leaves.end() - count, leaves.end(), true);
  const auto cut = train.paths.end() - count * kTrajectory;
  Part valid{"valid", take_out(train.digits, leaves), {cut, train.paths.end()}, {}, {}};
  train.paths.erase(cut, train.paths.end());
  return valid;
}

std::string split_of(const Recording& r, const MhdFreeImport& options) {
  const bool held_out = options.test_speakers.empty()
                            ? r.index < kTestIndices
                            : std::ranges::count(options.test_speakers, r.speaker) > 0;
  if (held_out) return "test";
  return options.valid > 0 && r.index >= kTestIndices && r.index < kValidIndices ? "valid" : "train";
}

void check_speakers(const std::vector<Recording>& recordings, const MhdFreeImport& options) {
  std::vector<std::string> known;
  for (const Recording& r : recordings)
    if (std::ranges::count(known, r.speaker) == 0) known.push_back(r.speaker);
  for (const std::string& speaker : options.test_speakers)
    MLD_CHECK_AS(ErrorKind::usage, std::ranges::count(known, speaker) > 0,
                 "import: no recording of a speaker ", quote(speaker), "; there are ", join(known));
}

void share_out(const std::vector<Recording>& recordings, const MhdFreeImport& options,
               std::vector<Part>& parts) {
  check_speakers(recordings, options);
  std::int64_t heard = 0;
  for (Part& part : parts) {
    std::vector<Recording> of_part;
    for (const Recording& r : recordings)
      if (split_of(r, options) == part.split) {
        of_part.push_back(r);
        part.words.push_back(r.digit);
      }
    part.sounds = recorded_decibels(of_part, [&](std::int64_t done) {
      if (options.progress) options.progress("reading recordings", heard + done, std::ssize(recordings));
    });
    heard += std::ssize(of_part);
  }
}

struct Samples {
  std::vector<std::int32_t> index, labels;  // [S,3], [S]
};

Samples pair(const Part& part, std::int64_t repetitions, std::uint64_t seed, std::uint32_t stream) {
  const auto of_class = items_by_class(part.words, kDigitClasses);
  for (const std::int32_t label : part.digits.labels)
    MLD_CHECK_AS(ErrorKind::usage, !of_class.at(static_cast<std::size_t>(label)).empty(), "import: split '",
                 part.split, "' has no recording of a spoken ", label,
                 "; add some, or hold out other speakers");
  const auto digits = std::ssize(part.digits.labels);
  Samples samples;
  for (std::int64_t r = 0; r < repetitions; ++r)
    for (std::int64_t i = 0; i < digits; ++i) {
      const std::int32_t label = part.digits.labels[static_cast<std::size_t>(i)];
      const auto& sounds = of_class.at(static_cast<std::size_t>(label));
      ItemRandom random(seed, kSpokenSite, stream, static_cast<std::uint32_t>(r * digits + i));
      const auto item = static_cast<std::int32_t>(i);
      samples.index.insert(samples.index.end(),
                           {item, sounds[random.below(static_cast<std::uint32_t>(sounds.size()))], item});
      samples.labels.push_back(label);
    }
  return samples;
}

Description describe(ValueRange decibels) {
  Description d;
  d.name = "mhd-free";
  d.classes = kDigitClasses;
  d.modalities.resize(kColumns);
  Modality &image = d.modalities[kImage], &sound = d.modalities[kSound],
           &trajectory = d.modalities[kTrajectoryColumn];
  image.name = "image";
  image.kind = ModalityKind::image;
  image.shape = {kDigitSide, kDigitSide, 1};
  image.dtype = DType::u8;
  sound.name = "sound";
  sound.kind = ModalityKind::spectrogram;
  sound.shape = {kSecondFrames, kMelBands};
  sound.original_range = decibels;
  sound.audio = AudioFrontEnd{kSampleRate, kFrameLength, kHop};
  trajectory.name = "trajectory";
  trajectory.kind = ModalityKind::vector;
  trajectory.shape = {kTrajectory};
  trajectory.original_range = kPaper;
  trajectory.pen_path = true;
  return d;
}

void scale(std::vector<float>& values, ValueRange range) {
  for (float& value : values) value = range.to_unit(value);
}

}  // namespace

std::vector<std::string> import_mhd_free(const fs::path& mnist, const fs::path& strokes,
                                         const fs::path& speech, const fs::path& out,
                                         const MhdFreeImport& options) {
  MLD_CHECK_AS(ErrorKind::usage, options.repetitions >= 1 && options.repetitions <= 1000,
               "import: ", options.repetitions, " repetitions, expected 1 to 1000");
  MLD_CHECK_AS(ErrorKind::usage, options.valid >= 0, "import: ", options.valid,
               " held-out digits, expected 0 or more");
  StoreWriter writer(out);
  Provenance provenance{"mhd-free", options.seed, {}};
  std::vector<std::string> notes, read, other;
  const NpzFile stroke_file(strokes);
  std::vector<Part> parts{read_part("train", "train", mnist, stroke_file, provenance)};
  parts.push_back(read_part("test", "t10k", mnist, stroke_file, provenance));
  for (const SourceFile& source : provenance.sources) read.push_back(source.file);
  note_unread(mnist, read, notes);
  provenance.sources.push_back(describe_source(strokes));
  if (options.valid > 0) parts.push_back(take_last(parts[0], options.valid));
  share_out(list_recordings(speech, other, provenance), options, parts);
  note_names(speech, other, notes);
  const std::vector<float>& heard = parts[0].sounds;
  MLD_CHECK_AS(ErrorKind::usage, !heard.empty(),
               "import: no recording is left to train on; hold out fewer speakers");
  const ValueRange decibels = decibel_range(heard);
  Description description = describe(decibels);
  description.provenance = std::move(provenance);
  writer.describe(std::move(description));
  std::uint32_t stream = 0;
  for (Part& part : parts) {
    const std::int64_t repetitions = part.split == std::string_view("train") ? options.repetitions : 1;
    const Samples samples = pair(part, repetitions, options.seed, stream++);
    scale(part.sounds, decibels);
    scale(part.paths, kPaper);
    writer.add_items(part.split, kImage, part.digits.images);
    writer.set_item_labels(part.split, kImage, part.digits.labels);
    writer.add_items(part.split, kSound, part.sounds);
    writer.set_item_labels(part.split, kSound, part.words);
    writer.add_items(part.split, kTrajectoryColumn, part.paths);
    writer.set_item_labels(part.split, kTrajectoryColumn, part.digits.labels);
    writer.set_samples(part.split, samples.index, samples.labels, repetitions);
  }
  writer.commit();
  return notes;
}

}  // namespace mld::data
