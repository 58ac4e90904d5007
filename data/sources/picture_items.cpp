#include "data/sources/picture_items.h"

#include <algorithm>
#include <utility>

#include "engine/base/error.h"
#include "engine/threads/threads.h"

namespace mld::data {
namespace {

constexpr std::size_t kBatch = 2048;  // pictures in memory at once

}  // namespace

Picture as_rgb(Picture picture) {
  if (picture.size.channels == 3) return picture;
  Picture rgb{{picture.size.height, picture.size.width, 3}, {}, std::move(picture.done)};
  for (const std::uint8_t v : picture.bytes) rgb.bytes.insert(rgb.bytes.end(), 3, v);
  rgb.done.emplace_back("grey repeated as red, green and blue");
  return rgb;
}

PictureItems::PictureItems(StoreWriter& writer, const FolderImport& options, Read read, std::int64_t total)
    : writer_(writer), options_(options), read_(std::move(read)), total_(total) {}

std::vector<std::int32_t> PictureItems::add(const std::string& split, int modality,
                                            std::span<const std::filesystem::path> paths,
                                            std::span<const std::int32_t> labels) {
  std::vector<std::int32_t> items, kept;
  writer_.add_items(split, modality, std::span<const std::uint8_t>());
  for (std::size_t first = 0; first < paths.size(); first += kBatch) {
    const auto batch = paths.subspan(first, std::min(kBatch, paths.size() - first));
    for (const auto& picture : decode(batch)) {
      const auto next = static_cast<std::int32_t>(kept.size());
      if (picture) {
        writer_.add_items(split, modality, picture->bytes);
        kept.push_back(labels[items.size()]);
      }
      items.push_back(picture ? next : -1);
    }
    done_ += std::ssize(batch);
    if (options_.progress) options_.progress("reading pictures", done_, total_);
  }
  writer_.set_item_labels(split, modality, kept);
  return items;
}

std::vector<std::optional<Picture>> PictureItems::decode(std::span<const std::filesystem::path> paths) {
  std::vector<std::optional<Picture>> pictures(paths.size());
  std::vector<std::string> bad(paths.size());
  parallel_for(std::ssize(paths), [&](std::int64_t i) {
    const auto k = static_cast<std::size_t>(i);
    try {
      pictures[k] = read_(paths[k]);
    } catch (const Error& error) {
      if (options_.on_bad == OnBad::fail || error.kind() != ErrorKind::data) throw;
      bad[k] = error.what();
    }
  });
  for (std::size_t k = 0; k < paths.size(); ++k) {
    if (pictures[k])
      for (const std::string& what : pictures[k]->done) remark(what, paths[k].string());
    else
      remark(options_.on_bad == OnBad::skip ? "not usable, whose samples are left out"
                                            : "not usable, which their samples lack",
             bad[k]);
  }
  return pictures;
}

void PictureItems::remark(const std::string& what, const std::string& first) {
  auto [found, added] = remarks_.try_emplace(what, Count{0, first});
  ++found->second.times;
}

void PictureItems::note_remarks(std::vector<std::string>& notes) const {
  for (const auto& [what, count] : remarks_)
    notes.push_back(cat(count.times, " pictures ", what, "; the first: ", count.first));
}

}  // namespace mld::data
