#include "data/digits/digits.h"
#include "data/importers/import.h"
#include "data/store/store_writer.h"

namespace mld::data {
namespace {

void write(const Digits& digits, std::uint64_t seed, StoreWriter& writer) {
  Modality image, sound, trajectory;
  image.name = "image";
  image.kind = ModalityKind::image;
  image.shape = {kDigitSide, kDigitSide, 1};
  sound.name = "sound";
  sound.kind = ModalityKind::spectrogram;
  sound.shape = {kDigitSoundFrames, kMelBands};
  sound.original_range = digits.sound_range;
  sound.audio = AudioFrontEnd{kSampleRate, kFrameLength, kHop};
  trajectory.name = "trajectory";
  trajectory.kind = ModalityKind::vector;
  trajectory.shape = {kTrajectory};
  trajectory.original_range = digits.trajectory_range;
  trajectory.pen_path = true;
  Description description;
  description.name = "digits";
  description.classes = 10;
  description.modalities = {image, sound, trajectory};
  description.provenance = {"digits", seed, {}};
  writer.describe(std::move(description));
  const auto write_split = [&](const char* name, const DigitsSplit& split) {
    if (split.size() == 0) return;
    writer.add_items(name, 0, split.image);
    writer.add_items(name, 1, split.sound);
    writer.add_items(name, 2, split.trajectory);
    writer.set_aligned_samples(name, split.size(), split.label);
  };
  write_split("train", digits.train);
  write_split("test", digits.test);
  writer.commit();
}

}  // namespace

void write_digits(const Digits& digits, const std::filesystem::path& out, std::uint64_t seed) {
  StoreWriter writer(out);
  write(digits, seed, writer);
}

void write_digits(const DigitsConfig& config, const std::filesystem::path& out) {
  check(config);
  StoreWriter writer(out);
  write(make_digits(config), config.seed, writer);
}

}  // namespace mld::data
