#include "mld/modality/sample_io.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "data/audio/audio.h"
#include "data/audio/wav.h"
#include "data/formats/image_io.h"
#include "data/formats/npy.h"
#include "data/store/modality_check.h"
#include "data/text/treebank.h"
#include "data/text/vocabulary.h"
#include "engine/base/names.h"

namespace mld {
namespace {

namespace fs = std::filesystem;

std::string extension(const fs::path& file) {
  std::string text = file.extension().string();
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// One sample or a stack of them; like the importer, without the last axis where that is 1.
bool holds_samples(const Shape& shape, const Shape& sample) {
  const auto fits = [&](const Shape& s) {
    return shape == s || (shape.rank() == s.rank() + 1 && shape == batch_shape(shape[0], s));
  };
  const auto extents = sample.extents();
  const bool flat = !extents.empty() && extents.back() == 1;
  return shape.numel() > 0 && (fits(sample) || (flat && fits(Shape(extents.first(extents.size() - 1)))));
}

SampleRows from_npy(const data::Modality& info, const fs::path& file) {
  const auto array = std::make_shared<const data::NpyArray>(file);
  MLD_CHECK_AS(ErrorKind::data, holds_samples(array->shape(), info.shape), file.string(), ": shape ",
               array->shape(), ", but modality '", info.name, "' has samples of shape ", info.shape);
  data::check_element_type(array->type(), info, file.string());
  const bool bytes = array->type() == data::npy_type(DType::u8) && !data::is_discrete(info.kind);
  const std::int64_t size = info.shape.numel();
  return {.count = array->shape().numel() / size,
          .read =
              [array, size, bytes, range = info.range](std::int64_t first, std::int64_t n) {
                std::vector<float> values(static_cast<std::size_t>(n * size));
                array->copy(first * size, std::span(values));
                if (bytes)
                  for (float& v : values) v = range.from_unit(v / 255.0f);
                return values;
              },
          .done = {}};
}

SampleRows one_sample(std::vector<float> values, std::vector<std::string> done) {
  return {.count = 1,
          .read = [values = std::move(values)](std::int64_t, std::int64_t) { return values; },
          .done = std::move(done)};
}

SampleRows from_picture(const data::Modality& info, const fs::path& file, bool resize) {
  MLD_CHECK_AS(ErrorKind::data, info.kind == data::ModalityKind::image, file.string(),
               ": a picture, but modality '", info.name, "' is a ", data::kind_name(info.kind));
  const data::PictureSize size{info.shape[0], info.shape[1], info.shape[2]};
  std::vector<std::string> done;
  std::vector<float> values =
      data::read_image(file, size, resize ? data::Fit::resize : data::Fit::strict, &done);
  for (float& v : values) v = info.range.from_unit(v);
  return one_sample(std::move(values), std::move(done));
}

SampleRows from_wave(const data::Modality& info, const fs::path& file, bool convert) {
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
  std::vector<std::string> done;
  if (data::frame_count(length) != info.shape[0]) {
    wave = data::fit_length(wave, samples);
    done.push_back(cat("cut or padded from ", length, " to ", samples, " samples of 16 kHz"));
  }
  std::vector<float> values(static_cast<std::size_t>(info.shape.numel()));
  data::MelFrontEnd().decibels(wave, values);
  const float loudest = *std::max_element(values.begin(), values.end());
  for (float& v : values)
    v = info.range.from_unit(info.original_range->to_unit(std::max(v, loudest - data::kDynamicRange)));
  return one_sample(std::move(values), std::move(done));
}

std::vector<float> values_of(const data::Split& split, int column, const data::Modality& info,
                             std::span<const std::int32_t> items) {
  std::vector<float> values(items.size() * static_cast<std::size_t>(info.shape.numel()));
  if (!data::is_discrete(info.kind)) {
    split.gather(column, items, values);
    return values;
  }
  std::vector<std::int32_t> tokens(values.size());
  split.gather_tokens(column, items, tokens);
  std::copy(tokens.begin(), tokens.end(), values.begin());
  return values;
}

void check_values(const data::Modality& info, const SampleRows& rows, const std::string& place) {
  constexpr std::int64_t kAtOnce = std::int64_t{1} << 20;  // values
  const std::int64_t size = info.shape.numel(), chunk = std::max<std::int64_t>(kAtOnce / size, 1);
  for (std::int64_t first = 0; first < rows.count; first += chunk) {
    const std::int64_t n = std::min(chunk, rows.count - first);
    const std::vector<float> values = rows.read(first, n);
    if (data::value_problem(info, values).empty()) continue;
    for (std::int64_t k = 0; k < n; ++k) {
      const auto one =
          std::span(values).subspan(static_cast<std::size_t>(k * size), static_cast<std::size_t>(size));
      const std::string problem = data::value_problem(info, one);
      MLD_CHECK_AS(ErrorKind::data, problem.empty(), place, rows.count > 1 ? cat(": sample ", first + k) : "",
                   ": ", problem);
    }
  }
}

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
  if (info.kind == data::ModalityKind::series) return {data::TileKind::series, values, {s[0], s[1], 1}};
  if (info.pen_path) return {data::TileKind::trajectory, values, {1, s.numel() / 2, 1}};
  return {};
}

bool audible(const data::Modality& info) {
  return info.kind == data::ModalityKind::spectrogram && info.original_range &&
         info.shape == Shape({data::kSecondFrames, data::kMelBands});
}

SampleRows open_samples(const data::Modality& info, const fs::path& file, const ReadSampleOptions& options) {
  const std::string kind = extension(file);
  SampleRows rows;
  if (kind == ".npy" || kind == ".gz")
    rows = from_npy(info, file);
  else if (data::is_picture_name(file))
    rows = from_picture(info, file, options.resize);
  else if (kind == ".wav")
    rows = from_wave(info, file, options.resample_audio);
  else
    fail(ErrorKind::usage, file.string(),
         ": unknown kind of file; give .npy, .png, .jpg, .webp, .tif or .wav");
  check_values(info, rows, file.string());
  return rows;
}

SampleRows open_samples(const data::Modality& info, const data::Store& store, const data::Split& split,
                        std::int64_t first, std::int64_t last) {
  const std::string place = store.path().string();
  MLD_CHECK_AS(ErrorKind::usage, first >= 0 && first < last && last <= split.num_samples(), place, ": rows ",
               first, ":", last, " of split '", split.name(), "', which has ", split.num_samples());
  const int column = store.description().modality(info.name);
  data::check_same_modality(store.modality(column), info, place);
  std::vector<std::int32_t> items;
  for (std::int64_t row = first; row < last; ++row) {
    items.push_back(split.item(row, column));
    MLD_CHECK_AS(ErrorKind::data, items.back() >= 0, place, ": row ", row, " of split '", split.name(),
                 "' has no '", info.name, "'; choose other rows with --index");
  }
  SampleRows rows{.count = last - first,
                  .read =
                      [&info, &split, column, items = std::move(items)](std::int64_t from, std::int64_t n) {
                        return values_of(split, column, info,
                                         std::span(items).subspan(static_cast<std::size_t>(from),
                                                                  static_cast<std::size_t>(n)));
                      },
                  .done = {}};
  check_values(info, rows, cat(place, ": split '", split.name(), "', modality '", info.name, "'"));
  return rows;
}

SampleRows texts_as_samples(const data::Modality& info, std::span<const std::string> texts,
                            std::vector<std::string> words) {
  const data::Vocabulary vocabulary = data::Vocabulary::from(std::move(words));
  const std::int64_t length = info.shape.numel();
  std::vector<float> values;
  std::vector<std::string> unknown;
  std::int64_t cut = 0;
  for (const std::string& text : texts) {
    std::vector<std::string> of_text = data::treebank_words(text);
    cut += std::ssize(of_text) >= length;
    for (std::string& word : of_text)
      if (!vocabulary.knows(word) && vocabulary.knows(lower(word))) word = lower(word);
    const std::vector<std::int32_t> ids = vocabulary.encode(of_text, length, &unknown);
    values.insert(values.end(), ids.begin(), ids.end());
  }
  std::ranges::sort(unknown);
  unknown.erase(std::ranges::unique(unknown).begin(), unknown.end());
  SampleRows rows{.count = std::ssize(texts),
                  .read =
                      [values = std::move(values), length](std::int64_t first, std::int64_t n) {
                        return std::vector<float>(values.begin() + first * length,
                                                  values.begin() + (first + n) * length);
                      },
                  .done = {}};
  if (!unknown.empty()) rows.done.push_back("words that are not known: " + join(unknown));
  if (cut > 0) rows.done.push_back(cat(cut, " texts cut to ", length - 1, " words"));
  return rows;
}

std::vector<float> read_samples(const data::Modality& info, const fs::path& file,
                                const ReadSampleOptions& options) {
  const SampleRows rows = open_samples(info, file, options);
  return rows.read(0, rows.count);
}

}  // namespace mld
