#include "mld/report/pictures.h"

#include <algorithm>

#include "data/audio/audio.h"
#include "data/formats/encode.h"
#include "data/pictures/sample_grid.h"
#include "data/text/vocabulary.h"
#include "engine/base/error.h"
#include "mld/modality/sample_io.h"
#include "mld/report/html.h"

namespace mld::report {
namespace {

std::size_t size_of(const data::Modality& info) { return static_cast<std::size_t>(info.shape.numel()); }

std::span<const float> sample(const Strip& s, std::int64_t k) {
  return s.values.subspan(static_cast<std::size_t>(k) * size_of(*s.info), size_of(*s.info));
}

// What is no picture of anything: a column of colour per value.
data::Tile colours(const data::Modality& info, std::span<const float> values) {
  return {data::TileKind::spectrogram, values, {info.shape.numel(), 1, 1}};
}

std::string counted(std::int64_t n, const std::string& name) {
  return cat(n, n == 1 ? " sample of " : " samples of ", name);
}

}  // namespace

Gallery::Gallery(std::vector<data::Modality> infos, std::vector<std::vector<std::string>> vocabularies)
    : infos_(std::move(infos)), vocabularies_(std::move(vocabularies)) {
  constexpr std::int64_t kSmallest = 112, kLargest = 256;
  for (std::int64_t side = kLargest; side >= kSmallest; --side) {
    const bool fits = std::ranges::all_of(infos_, [&](const data::Modality& m) {
      return m.kind != data::ModalityKind::image || (side % m.shape[0] == 0 && side % m.shape[1] == 0);
    });
    if (fits) side_ = side;
  }
}

std::string Gallery::words(const Strip& s, std::int64_t first, std::int64_t shown) const {
  std::size_t m = 0;
  while (infos_[m].name != s.info->name) ++m;
  const std::vector<std::string>& vocabulary = vocabularies_[m];
  std::string items;
  for (std::int64_t k = first; k < first + shown; ++k) {
    std::vector<std::int32_t> ids;
    std::string numbers;
    for (const float value : sample(s, k)) {
      ids.push_back(static_cast<std::int32_t>(std::max(0.0F, value)));
      numbers += cat(numbers.empty() ? "" : " ", ids.back());
    }
    const bool has_words = std::ranges::max(ids) < std::ssize(vocabulary);
    items += cat("<li>", escape(has_words ? data::text_of(ids, vocabulary) : numbers), "</li>");
  }
  return cat("<ol start=\"", first + 1, "\">", items, "</ol>");
}

std::string Gallery::strip(const Strip& s, std::int64_t first, std::int64_t shown) const {
  const data::Modality& info = *s.info;
  if (data::is_discrete(info.kind)) return words(s, first, shown);
  const std::vector<float> unit = unit_values(info, s.values);
  const Strip scaled{.info = s.info, .values = unit};
  // A last strip that is not full is as wide as those above it.
  std::vector<data::Tile> tiles(static_cast<std::size_t>(first == 0 ? shown : kColumns));
  for (std::int64_t k = 0; k < shown; ++k) {
    data::Tile& tile = tiles[static_cast<std::size_t>(k)];
    tile = sample_tile(info, sample(scaled, first + k));
    if (tile.kind == data::TileKind::empty) tile = colours(info, sample(scaled, first + k));
  }
  const data::Picture picture =
      data::compose_grid(tiles, 1, static_cast<std::int64_t>(tiles.size()),
                         {.cell_height = side_, .cell_width = side_, .padding = side_ / 28});
  return cat("<img alt=\"", escape(cat(counted(shown, info.name), ", ", s.what)), "\" width=\"",
             picture.size.width, "\" height=\"", picture.size.height, "\" src=\"",
             data_uri("image/png", data::encode_png(picture)), "\"/>");
}

std::string Gallery::strips(std::span<const Strip> list, std::int64_t n) const {
  std::string out;
  for (std::int64_t first = 0; first < n; first += kColumns) {
    const std::int64_t shown = std::min(kColumns, n - first);
    for (const Strip& s : list)
      out += cat("<div class=\"strip", s.given ? " given" : "", "\"><div class=\"who\">",
                 escape(s.label.empty() ? s.info->name : s.label),
                 s.given ? " <span class=\"badge\">given</span>" : "", "</div>\n", strip(s, first, shown),
                 "</div>\n");
  }
  return out;
}

std::string Gallery::players(const Strip& s, std::int64_t n, std::int64_t count, std::uint64_t seed) const {
  if (!audible(*s.info)) return "";
  const std::string name = s.label.empty() ? s.info->name : s.label;
  const std::vector<float> unit = unit_values(*s.info, s.values);
  const Strip scaled{.info = s.info, .values = unit};
  std::string out;
  for (std::int64_t k = 0; k < std::min(n, count); ++k) {
    const std::vector<float> wave = data::synthesize_wave(sample(scaled, k), *s.info->original_range,
                                                          seed + static_cast<std::uint64_t>(k));
    const std::string label = cat(name, ", sample ", k + 1);
    out += cat("<div>", escape(label), "<audio controls=\"controls\" preload=\"metadata\" aria-label=\"",
               escape(label), "\" src=\"", data_uri("audio/wav", data::encode_wave(wave, data::kSampleRate)),
               "\"></audio></div>\n");
  }
  return cat("<div class=\"strip\"><div class=\"who\">", escape(name),
             " to hear</div><div class=\"players\">\n", out, "</div></div>\n");
}

}  // namespace mld::report
