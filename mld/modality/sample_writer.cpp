#include "mld/modality/sample_writer.h"

#include <algorithm>
#include <cstdio>
#include <span>

#include "data/audio/audio.h"
#include "data/audio/wav.h"
#include "data/formats/image_io.h"
#include "data/formats/npy.h"
#include "data/text/vocabulary.h"
#include "engine/io/files.h"
#include "mld/modality/sample_io.h"

namespace mld {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kColumns = 16;  // samples side by side in a grid
constexpr std::int64_t kGridSamples = 64;

std::string array_header(const data::Modality& info, std::int64_t n) {
  return data::npy_header(data::npy_type(data::is_discrete(info.kind) ? DType::i32 : DType::f32),
                          batch_shape(n, info.shape));
}

std::int64_t array_bytes(const data::Modality& info, std::int64_t n) {
  return static_cast<std::int64_t>(array_header(info, n).size()) + n * info.shape.numel() * 4;
}

std::span<const float> one(const data::Modality& info, std::span<const float> values, std::int64_t k) {
  const auto size = static_cast<std::size_t>(info.shape.numel());
  return values.subspan(static_cast<std::size_t>(k) * size, size);
}

bool is_drawable(const data::Modality& info) {
  const std::vector<float> blank(static_cast<std::size_t>(info.shape.numel()));
  return sample_tile(info, blank).kind != data::TileKind::empty;
}

}  // namespace

SampleWriter::SampleWriter(fs::path folder, std::vector<SampleSet> sets, std::int64_t n,
                           const WriteSampleOptions& options)
    : folder_(std::move(folder)), n_(n), options_(options) {
  for (SampleSet& set : sets) {
    Output& output = outputs_.emplace_back();
    output.set = std::move(set);
    const data::Modality& info = output.set.info;
    output.array = std::make_unique<AtomicFile>(folder_ / (info.name + ".npy"));
    output.array->write(array_header(info, n));
    if (!output.set.words.empty()) output.text = std::make_unique<AtomicFile>(folder_ / (info.name + ".txt"));
    output.drawable = is_drawable(info);
    grid_ = grid_ || output.drawable;  // texts alone need no picture
    if (output.drawable && !output.set.given && options.singles > 0) make_folder(folder_ / info.name);
  }
}

std::int64_t SampleWriter::bytes(const std::vector<SampleSet>& sets, std::int64_t n) {
  std::int64_t sum = 0;
  for (const SampleSet& set : sets) sum += array_bytes(set.info, n);
  return sum;
}

std::int64_t SampleWriter::largest(const std::vector<SampleSet>& sets, std::int64_t n) {
  std::int64_t most = 0;
  for (const SampleSet& set : sets) most = std::max(most, array_bytes(set.info, n));
  return most;
}

void SampleWriter::add(std::int64_t first, std::int64_t count,
                       const std::map<std::string, std::vector<float>>& samples) {
  MLD_CHECK(first == added_ && count >= 1 && count <= n_ - first, "samples ", first, " to ", first + count,
            " after ", added_, " of ", n_);
  added_ += count;
  for (Output& output : outputs_) {
    const data::Modality& info = output.set.info;
    const std::vector<float>& values = samples.at(info.name);
    MLD_CHECK(static_cast<std::int64_t>(values.size()) == count * info.shape.numel(), "samples of '",
              info.name, "': ", values.size(), " values for ", count, " samples");
    write_values(output, values);
    if (!output.drawable) continue;
    const std::int64_t own = output.set.given ? 0 : options_.singles;
    for (std::int64_t k = 0; k < count && first + k < std::max(own, kGridSamples); ++k) {
      const std::vector<float> units = unit_values(info, one(info, values, k));
      if (first + k < own) write_single(output, first + k, units);
      if (first + k < kGridSamples) output.shown.insert(output.shown.end(), units.begin(), units.end());
    }
  }
}

void SampleWriter::write_values(Output& output, const std::vector<float>& values) {
  if (!data::is_discrete(output.set.info.kind)) return output.array->write(std::as_bytes(std::span(values)));
  const std::vector<std::int32_t> tokens(values.begin(), values.end());
  output.array->write(std::as_bytes(std::span(tokens)));
  if (!output.text) return;
  const auto size = static_cast<std::size_t>(output.set.info.shape.numel());
  for (std::size_t first = 0; first < tokens.size(); first += size) {
    const std::string text = data::text_of(std::span(tokens).subspan(first, size), output.set.words);
    output.text->write(text + "\n");
    if (std::ssize(output.texts) < kGridSamples) output.texts.push_back(text);
  }
}

void SampleWriter::write_single(Output& output, std::int64_t number, std::span<const float> units) {
  const data::Modality& info = output.set.info;
  char name[32];
  std::snprintf(name, sizeof name, "/%04lld", static_cast<long long>(number));
  const auto add = [&](const char* type) {
    output.singles.push_back(info.name + name + type);
    return folder_ / output.singles.back();
  };
  const data::Tile tile = sample_tile(info, units);
  if (tile.kind == data::TileKind::image)
    data::write_png(add(".png"), tile.values, tile.size);
  else
    data::write_png(add(".png"), data::compose_grid(std::span(&tile, 1), 1, 1));
  if (audible(info))
    data::write_wave(add(".wav"),
                     data::synthesize_wave(units, *info.original_range,
                                           options_.seed + static_cast<std::uint64_t>(number)),
                     data::kSampleRate);
}

void SampleWriter::write_grid() {
  std::vector<const Output*> rows;  // conditions on top
  for (const bool given : {true, false})
    for (const Output& output : outputs_)
      if (output.set.given == given && (output.drawable || output.text)) rows.push_back(&output);
  const std::int64_t shown = std::min(n_, kGridSamples), columns = std::min(shown, kColumns);
  std::vector<data::Tile> tiles;
  std::int64_t lines = 0;
  for (std::int64_t first = 0; first < shown; first += columns)
    for (const Output* output : rows) {
      ++lines;
      for (std::int64_t k = first; k < first + columns; ++k) {
        if (k >= shown)
          tiles.emplace_back();
        else if (output->text)
          tiles.push_back({data::TileKind::text, {}, {}, output->texts[static_cast<std::size_t>(k)]});
        else
          tiles.push_back(sample_tile(output->set.info, one(output->set.info, output->shown, k)));
      }
    }
  data::write_png(folder_ / "grid.png", data::compose_grid(tiles, lines, columns));
}

std::vector<std::string> SampleWriter::finish() {
  MLD_CHECK(added_ == n_, "samples: ", added_, " of ", n_);
  std::vector<std::string> files;
  for (Output& output : outputs_) {
    output.array->commit();
    files.push_back(output.set.info.name + ".npy");
    if (output.text) {
      output.text->commit();
      files.push_back(output.set.info.name + ".txt");
    }
    files.insert(files.end(), output.singles.begin(), output.singles.end());
  }
  if (grid_) {
    write_grid();
    files.push_back("grid.png");
  }
  return files;
}

}  // namespace mld
