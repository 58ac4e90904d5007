#include "data/sources/mnist_files.h"

#include <utility>

#include "data/digits/digits.h"
#include "data/formats/idx.h"
#include "data/store/store.h"
#include "engine/base/error.h"
#include "engine/io/files.h"

namespace mld::data {
namespace {

namespace fs = std::filesystem;

// The file under the names it goes by: packed or not, and with a dot where some unpackers leave one.
fs::path find_idx(const fs::path& folder, const std::string& stem, const std::string& type,
                  Provenance& provenance) {
  for (const char* dot : {"-", "."}) {
    for (const char* packed : {".gz", ""}) {
      const fs::path path = folder / cat(stem, dot, type, packed);
      if (!path_exists(path)) continue;
      provenance.sources.push_back(describe_source(path));
      return path;
    }
  }
  fail(ErrorKind::data, folder.string(), ": no ", stem, "-", type, " or ", stem, "-", type,
       ".gz; put MNIST's four IDX files there");
}

}  // namespace

LabelledImages read_mnist(const fs::path& folder, const std::string& prefix, Provenance& provenance) {
  const fs::path image_path = find_idx(folder, prefix + "-images", "idx3-ubyte", provenance);
  const fs::path label_path = find_idx(folder, prefix + "-labels", "idx1-ubyte", provenance);
  IdxArray images = read_idx(image_path);
  const IdxArray labels = read_idx(label_path);
  MLD_CHECK_AS(ErrorKind::data,
               images.shape.rank() == 3 && images.shape[1] == kDigitSide && images.shape[2] == kDigitSide,
               image_path.string(), ": shape ", images.shape, ", expected [N,28,28]");
  MLD_CHECK_AS(ErrorKind::data, labels.shape == Shape{images.shape[0]}, label_path.string(), ": shape ",
               labels.shape, ", expected [", images.shape[0], "] as the images");
  LabelledImages items{std::move(images.values), {labels.values.begin(), labels.values.end()}};
  const std::int64_t bad = first_outside(items.labels, 0, kDigitClasses - 1);
  MLD_CHECK_AS(ErrorKind::data, bad < 0, label_path.string(), ": label ", bad, " is ",
               items.labels[static_cast<std::size_t>(bad)], ", expected 0 to 9");
  return items;
}

LabelledImages take_out(LabelledImages& items, const std::vector<bool>& leaves) {
  const auto size = std::ssize(items.images) / std::ssize(items.labels);
  LabelledImages taken, kept;
  auto image = items.images.begin();
  for (std::size_t i = 0; i < leaves.size(); ++i, image += size) {
    LabelledImages& to = leaves[i] ? taken : kept;
    to.images.insert(to.images.end(), image, image + size);
    to.labels.push_back(items.labels[i]);
  }
  items = std::move(kept);
  return taken;
}

}  // namespace mld::data
