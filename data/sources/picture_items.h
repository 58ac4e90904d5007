// Folders of pictures into the items of an image modality: decoding on all threads, what becomes of files that cannot be
// used, and what was done to the values, counted for notes. Private to the data room.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/formats/image_io.h"
#include "data/import_options.h"
#include "data/store/store_writer.h"

namespace mld::data {

// Grey as three equal channels, which Picture::done then says.
Picture as_rgb(Picture picture);

class PictureItems {
 public:
  // A picture as an item; ErrorKind::data, where it cannot be used, is what options.on_bad decides about.
  using Read = std::function<Picture(const std::filesystem::path&)>;

  // `total`: pictures that will be read in all, for progress.
  PictureItems(StoreWriter& writer, const FolderImport& options, Read read, std::int64_t total);

  // Adds the pictures and their labels (as many) to a split; of each the item, or -1 where it could not be used.
  std::vector<std::int32_t> add(const std::string& split, int modality,
                                std::span<const std::filesystem::path> paths,
                                std::span<const std::int32_t> labels);
  // How often what happened, and to which picture first: a sentence each.
  void note_remarks(std::vector<std::string>& notes) const;

 private:
  struct Count {
    std::int64_t times;
    std::string first;
  };
  std::vector<std::optional<Picture>> decode(std::span<const std::filesystem::path> paths);
  void remark(const std::string& what, const std::string& first);

  StoreWriter& writer_;
  const FolderImport& options_;
  Read read_;
  std::map<std::string, Count> remarks_;
  std::int64_t done_ = 0, total_;
};

}  // namespace mld::data
