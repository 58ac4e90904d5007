#include "mld/sample_io.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "data/audio.h"
#include "data/image_io.h"
#include "data/npy.h"
#include "data/sample_grid.h"
#include "data/wav.h"
#include "engine/io/atomic_file.h"

namespace mld {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kColumns = 16;  // samples side by side in a grid
constexpr std::int64_t kGridSamples = 64;

std::string extension(const fs::path& file) {
  std::string text = file.extension().string();
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

Shape stacked(std::int64_t n, const Shape& sample) {
  Shape shape{n};
  for (std::int64_t extent : sample.extents()) shape.push_back(extent);
  return shape;
}

// One sample or a stack of them; like the importer, without the last axis where that is 1.
bool holds_samples(const Shape& shape, const Shape& sample) {
  const auto fits = [&](const Shape& s) {
    return shape == s || (shape.rank() == s.rank() + 1 && shape == stacked(shape[0], s));
  };
  const auto extents = sample.extents();
  const bool flat = !extents.empty() && extents.back() == 1;
  return shape.numel() > 0 && (fits(sample) || (flat && fits(Shape(extents.first(extents.size() - 1)))));
}

std::vector<float> from_npy(const data::Modality& info, const fs::path& file) {
  const data::NpyArray array(file);
  MLD_CHECK_AS(ErrorKind::data, holds_samples(array.shape(), info.shape), file.string(), ": shape ",
               array.shape(), ", but modality '", info.name, "' has samples of shape ", info.shape);
  std::vector<float> values(static_cast<std::size_t>(array.shape().numel()));
  array.copy(0, std::span(values));
  const bool bytes = array.type().kind == 'u' && array.type().size == 1 && !data::is_discrete(info.kind);
  if (bytes)
    for (float& v : values) v = info.range.from_unit(v / 255.0f);
  for (float v : values)
    MLD_CHECK_AS(ErrorKind::data, std::isfinite(v), file.string(), ": holds a value that is not finite");
  return values;
}

std::vector<float> from_picture(const data::Modality& info, const fs::path& file, bool resize) {
  MLD_CHECK_AS(ErrorKind::data, info.kind == data::ModalityKind::image, file.string(),
               ": a picture, but modality '", info.name, "' is a ", data::kind_name(info.kind));
  const data::PictureSize size{info.shape[0], info.shape[1], info.shape[2]};
  std::vector<float> values = data::read_image(file, size, resize ? data::Fit::resize : data::Fit::strict);
  for (float& v : values) v = info.range.from_unit(v);
  return values;
}

std::vector<float> from_wave(const data::Modality& info, const fs::path& file, bool convert) {
  const bool ours = info.kind == data::ModalityKind::spectrogram && info.audio && info.original_range &&
                    info.audio->sample_rate == data::kSampleRate && info.audio->n_fft == data::kFrameLength &&
                    info.audio->hop == data::kHop && info.shape[1] == data::kMelBands;
  MLD_CHECK_AS(ErrorKind::data, ours, file.string(), ": a sound, but modality '", info.name,
               "' was not made by this program's spectrogram front end; give an .npy");
  const std::int64_t samples = (info.shape[0] - 1) * data::kHop;
  std::vector<float> wave = data::read_wave(file, convert ? data::Conform::convert : data::Conform::strict);
  const auto length = static_cast<std::int64_t>(wave.size());
  MLD_CHECK_AS(ErrorKind::data, convert || data::frame_count(length) == info.shape[0], file.string(), ": ",
               length, " samples give ", data::frame_count(length), " frames, modality '", info.name,
               "' has ", info.shape[0], "; --resample-audio cuts or pads");
  if (data::frame_count(length) != info.shape[0]) wave = data::fit_length(wave, samples);
  std::vector<float> values(static_cast<std::size_t>(info.shape.numel()));
  data::MelFrontEnd().decibels(wave, values);
  const float loudest = *std::max_element(values.begin(), values.end());
  for (float& v : values)
    v = info.range.from_unit(info.original_range->to_unit(std::max(v, loudest - data::kDynamicRange)));
  return values;
}

void write_npy(const fs::path& path, const SampleSet& set, std::int64_t n) {
  const std::string header = data::npy_header(data::npy_type(DType::f32), stacked(n, set.info.shape));
  AtomicFile file(path);
  file.write(header);
  file.write(std::as_bytes(std::span(set.values)));
  file.commit();
}

bool drawable(const SampleSet& set) {
  return sample_tile(set.info, set.values).kind != data::TileKind::empty;
}

class Writer {
 public:
  Writer(const fs::path& folder, std::span<const SampleSet> sets, std::int64_t n,
         const WriteSampleOptions& options)
      : folder_(folder), sets_(sets), n_(n), options_(options) {}

  std::vector<std::string> run() {
    make_folder(folder_);
    for (const SampleSet& set : sets_) {
      MLD_CHECK(static_cast<std::int64_t>(set.values.size()) == n_ * set.info.shape.numel(), "samples of '",
                set.info.name, "': ", set.values.size(), " values for ", n_, " samples");
      write_npy(add(set.info.name + ".npy"), set, n_);
      units_.push_back(unit_values(set.info, set.values));
      if (!set.given) singles(set, units_.back());
    }
    grid();
    return files_;
  }

 private:
  fs::path add(const std::string& name) {
    files_.push_back(name);
    return folder_ / name;
  }

  static void make_folder(const fs::path& folder) {
    std::error_code error;
    fs::create_directories(folder, error);
    MLD_CHECK_AS(ErrorKind::io, !error, folder.string(), ": cannot be made: ", error.message());
  }

  static std::span<const float> one(const SampleSet& set, std::span<const float> units, std::int64_t k) {
    const auto size = static_cast<std::size_t>(set.info.shape.numel());
    return units.subspan(static_cast<std::size_t>(k) * size, size);
  }

  void singles(const SampleSet& set, std::span<const float> units) {
    if (!drawable(set)) return;
    make_folder(folder_ / set.info.name);
    for (std::int64_t k = 0; k < std::min(n_, options_.singles); ++k) {
      char number[32];
      std::snprintf(number, sizeof number, "/%04lld", static_cast<long long>(k));
      const data::Tile tile = sample_tile(set.info, one(set, units, k));
      const fs::path path = add(set.info.name + number + ".png");
      if (tile.kind == data::TileKind::image)
        data::write_png(path, tile.values, tile.size);
      else
        data::write_png(path, data::compose_grid(std::span(&tile, 1), 1, 1));
      if (audible(set.info)) {
        const auto wave = data::synthesize_wave(one(set, units, k), *set.info.original_range,
                                                options_.seed + static_cast<std::uint64_t>(k));
        data::write_wave(add(set.info.name + number + ".wav"), wave, data::kSampleRate);
      }
    }
  }

  void grid() {
    std::vector<std::size_t> rows;  // conditions on top
    for (bool given : {true, false})
      for (std::size_t m = 0; m < sets_.size(); ++m)
        if (sets_[m].given == given && drawable(sets_[m])) rows.push_back(m);
    if (rows.empty()) return;
    const std::int64_t shown = std::min(n_, kGridSamples), columns = std::min(shown, kColumns);
    std::vector<data::Tile> tiles;
    std::int64_t lines = 0;
    for (std::int64_t first = 0; first < shown; first += columns)
      for (const std::size_t m : rows) {
        ++lines;
        for (std::int64_t k = first; k < first + columns; ++k)
          tiles.push_back(k < shown ? sample_tile(sets_[m].info, one(sets_[m], units_[m], k)) : data::Tile{});
      }
    data::write_png(add("grid.png"), data::compose_grid(tiles, lines, columns));
  }

  const fs::path& folder_;
  std::span<const SampleSet> sets_;
  std::int64_t n_;
  const WriteSampleOptions& options_;
  std::vector<std::vector<float>> units_;  // of each set
  std::vector<std::string> files_;
};

}  // namespace

std::vector<float> unit_values(const data::Modality& info, std::span<const float> values) {
  std::vector<float> units(values.begin(), values.end());
  if (!data::is_discrete(info.kind))
    for (float& v : units) v = info.range.to_unit(v);
  return units;
}

data::Tile sample_tile(const data::Modality& info, std::span<const float> values) {
  const Shape& s = info.shape;
  if (info.kind == data::ModalityKind::image && (s[2] == 1 || s[2] == 3))
    return {data::TileKind::image, values, {s[0], s[1], s[2]}};
  if (info.kind == data::ModalityKind::spectrogram)
    return {data::TileKind::spectrogram, values, {s[0], s[1], 1}};
  if (info.pen_path) return {data::TileKind::trajectory, values, {1, s.numel() / 2, 1}};
  return {};
}

bool audible(const data::Modality& info) {
  return info.kind == data::ModalityKind::spectrogram && info.original_range &&
         info.shape == Shape({32, data::kMelBands});
}

std::vector<float> read_samples(const data::Modality& info, const fs::path& file,
                                const ReadSampleOptions& options) {
  const std::string kind = extension(file);
  if (kind == ".npy" || kind == ".gz") return from_npy(info, file);
  if (kind == ".png" || kind == ".jpg" || kind == ".jpeg") return from_picture(info, file, options.resize);
  if (kind == ".wav") return from_wave(info, file, options.resample_audio);
  fail(ErrorKind::usage, file.string(), ": unknown kind of file; give .npy, .png, .jpg or .wav");
}

std::vector<std::string> write_samples(const fs::path& folder, std::span<const SampleSet> sets,
                                       std::int64_t n, const WriteSampleOptions& options) {
  return Writer(folder, sets, n, options).run();
}

}  // namespace mld
