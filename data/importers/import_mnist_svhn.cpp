#include <string>

#include "data/formats/idx.h"
#include "data/formats/matlab.h"
#include "data/formats/mmap_file.h"
#include "data/importers/import.h"
#include "data/importers/import_folder.h"
#include "data/store/pairing.h"
#include "data/store/store.h"
#include "data/store/store_writer.h"
#include "engine/base/error.h"
#include "engine/io/files.h"

namespace mld::data {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kClasses = 10;
constexpr std::size_t kSide = 32, kPixels = kSide * kSide, kChannels = 3, kCrop = kPixels * kChannels;
enum : int { kMnist, kSvhn };

struct Items {
  std::vector<std::uint8_t> images;
  std::vector<std::int32_t> labels;
};

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

Items read_mnist(const fs::path& folder, const std::string& prefix, Provenance& provenance) {
  const fs::path image_path = find_idx(folder, prefix + "-images", "idx3-ubyte", provenance);
  const fs::path label_path = find_idx(folder, prefix + "-labels", "idx1-ubyte", provenance);
  IdxArray images = read_idx(image_path);
  const IdxArray labels = read_idx(label_path);
  MLD_CHECK_AS(ErrorKind::data, images.shape.rank() == 3 && images.shape[1] == 28 && images.shape[2] == 28,
               image_path.string(), ": shape ", images.shape, ", expected [N,28,28]");
  MLD_CHECK_AS(ErrorKind::data, labels.shape == Shape{images.shape[0]}, label_path.string(), ": shape ",
               labels.shape, ", expected [", images.shape[0], "] as the images");
  Items items{std::move(images.values), {labels.values.begin(), labels.values.end()}};
  const std::int64_t bad = first_outside(items.labels, 0, kClasses - 1);
  MLD_CHECK_AS(ErrorKind::data, bad < 0, label_path.string(), ": label ", bad, " is ",
               items.labels[static_cast<std::size_t>(bad)], ", expected 0 to 9");
  return items;
}

SvhnCrops read_svhn(const fs::path& path, Provenance& provenance) {
  const MmapFile file(path);
  provenance.sources.push_back(describe_source(path));
  return parse_svhn(file.bytes(), path.string());
}

Description describe() {
  Description d;
  d.name = "mnist-svhn";
  d.classes = kClasses;
  d.modalities.resize(2);
  d.modalities[kMnist].name = "mnist";
  d.modalities[kMnist].shape = {28, 28, 1};
  d.modalities[kSvhn].name = "svhn";
  d.modalities[kSvhn].shape = {kSide, kSide, kChannels};
  for (Modality& m : d.modalities) {
    m.kind = ModalityKind::image;
    m.dtype = DType::u8;
  }
  return d;
}

}  // namespace

SvhnCrops parse_svhn(std::span<const std::uint8_t> file, const std::string& name) {
  const std::vector<std::string> keys{"X", "y"};
  const std::vector<MatArray> arrays = parse_mat(file, name, keys);
  const MatArray &x = arrays[0], &y = arrays[1];
  const bool crops =
      x.shape.rank() == 4 && x.shape[0] == kSide && x.shape[1] == kSide && x.shape[2] == kChannels;
  MLD_CHECK_AS(ErrorKind::data, crops && x.shape[3] > 0 && x.type == npy_type(DType::u8), name, ": X is ",
               x.type.str(), " ", x.shape,
               ", expected |u1 [32,32,3,N]: the cropped digits (format 2) are needed");
  const std::int64_t count = x.shape[3];
  MLD_CHECK_AS(ErrorKind::data, y.shape.numel() == count, name, ": y has shape ", y.shape, " for ", count,
               " crops");
  SvhnCrops crop{std::vector<std::uint8_t>(x.bytes.size()), {}};
  for (std::int64_t n = 0; n < count; ++n) {
    const double label = y.value(n);
    MLD_CHECK_AS(ErrorKind::data, label >= 0 && label <= 10 && label == static_cast<int>(label), name, ": y[",
                 n, "] = ", label, ", expected 1 to 10");
    crop.labels.push_back(static_cast<std::int32_t>(label) % 10);
    // MATLAB: row fastest, then column, then channel. Ours: channel fastest, then column, then row.
    const std::uint8_t* from = x.bytes.data() + static_cast<std::size_t>(n) * kCrop;
    std::uint8_t* to = crop.images.data() + static_cast<std::size_t>(n) * kCrop;
    for (std::size_t row = 0; row < kSide; ++row)
      for (std::size_t column = 0; column < kSide; ++column)
        for (std::size_t channel = 0; channel < kChannels; ++channel)
          *to++ = from[channel * kPixels + column * kSide + row];
  }
  return crop;
}

std::vector<std::string> import_mnist_svhn(const fs::path& mnist, const fs::path& svhn, const fs::path& out,
                                           std::uint64_t seed, std::int64_t repetitions) {
  StoreWriter writer(out);
  Provenance provenance{"mnist-svhn", seed, {}};
  struct Part {
    const char *split, *mnist_prefix, *svhn_file;
    Items digits{};
    SvhnCrops crops{};
  };
  Part parts[] = {{"train", "train", "train_32x32.mat"}, {"test", "t10k", "test_32x32.mat"}};
  for (Part& part : parts) {
    part.digits = read_mnist(mnist, part.mnist_prefix, provenance);
    part.crops = read_svhn(svhn / part.svhn_file, provenance);
  }
  std::vector<std::string> notes, read;
  for (const SourceFile& source : provenance.sources) read.push_back(source.file);
  for (const fs::path& folder : {mnist, svhn}) note_unread(folder, read, notes);
  if (notes.size() == 2 && notes[0] == notes[1]) notes.pop_back();  // one folder with everything
  Description description = describe();
  description.provenance = std::move(provenance);
  writer.describe(std::move(description));
  std::uint32_t stream = 0;
  for (const Part& part : parts) {
    writer.add_items(part.split, kMnist, part.digits.images);
    writer.set_item_labels(part.split, kMnist, part.digits.labels);
    writer.add_items(part.split, kSvhn, part.crops.images);
    writer.set_item_labels(part.split, kSvhn, part.crops.labels);
    PairingOptions options;
    options.repetitions = repetitions;
    options.seed = seed;
    options.stream = stream++;
    const Pairing pairs = pair_by_class(part.digits.labels, part.crops.labels, kClasses, options);
    writer.set_samples(part.split, pairs.index, pairs.labels, pairs.repetitions);
  }
  writer.commit();
  return notes;
}

}  // namespace mld::data
