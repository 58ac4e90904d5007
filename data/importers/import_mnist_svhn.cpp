#include <algorithm>
#include <array>
#include <map>
#include <string>

#include "data/digits/digits.h"
#include "data/formats/matlab.h"
#include "data/formats/mmap_file.h"
#include "data/formats/npy.h"
#include "data/importers/import.h"
#include "data/sources/input_folder.h"
#include "data/sources/mnist_files.h"
#include "data/store/pairing.h"
#include "data/store/store.h"
#include "data/store/store_writer.h"
#include "engine/base/error.h"

namespace mld::data {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSide = 32, kPixels = kSide * kSide, kChannels = 3, kCrop = kPixels * kChannels;
enum : int { kMnist, kSvhn };

constexpr const char* kTrainCrops = "train_32x32.mat";

struct Part {
  const char* split;
  LabelledImages digits, crops;
};

LabelledImages read_svhn(const fs::path& path, Provenance& provenance) {
  const MmapFile file(path);
  provenance.sources.push_back(describe_source(path));
  return parse_svhn(file.bytes(), path.string());
}

Description describe() {
  Description d;
  d.name = "mnist-svhn";
  d.classes = kDigitClasses;
  d.modalities.resize(2);
  d.modalities[kMnist].name = "mnist";
  d.modalities[kMnist].shape = {kDigitSide, kDigitSide, 1};
  d.modalities[kSvhn].name = "svhn";
  d.modalities[kSvhn].shape = {kSide, kSide, kChannels};
  for (Modality& m : d.modalities) {
    m.kind = ModalityKind::image;
    m.dtype = DType::u8;
  }
  return d;
}

// Of each of the `crops` training crops its photograph.
std::vector<std::int32_t> read_photos(const fs::path& path, std::int64_t crops, std::int64_t test_crops,
                                      Provenance& provenance) {
  const NpyArray array(path);
  provenance.sources.push_back(describe_source(path));
  const char kind = array.type().kind;
  MLD_CHECK_AS(ErrorKind::data, kind == 'u' || kind == 'i', array.name(), ": holds ", array.type().str(),
               ", expected integers: the number of the photograph of each crop");
  const Shape of_train{crops}, of_both{crops + test_crops};
  MLD_CHECK_AS(ErrorKind::data, array.shape() == of_train || array.shape() == of_both, array.name(),
               ": shape ", array.shape(), ", expected ", of_train, ", a number for each crop of ",
               kTrainCrops, ", or ", of_both, " with those of the test file after them");
  std::vector<std::int32_t> photos(static_cast<std::size_t>(crops));
  array.copy<std::int32_t>(0, photos);
  return photos;
}

// The first of the items that leave: `cut`, or the nearest one before it with no photograph on both sides.
std::size_t between_photos(const std::vector<std::int32_t>& photos, std::size_t cut) {
  std::map<std::int32_t, std::size_t> first;
  for (std::size_t i = 0; i < photos.size(); ++i) first.try_emplace(photos[i], i);
  for (std::size_t i = photos.size(); i-- > cut;) cut = std::min(cut, first.at(photos[i]));
  return cut;
}

using Counts = std::array<std::int64_t, kDigitClasses>;

Counts count_classes(std::span<const std::int32_t> labels) {
  Counts counts{};
  for (const std::int32_t label : labels) ++counts.at(static_cast<std::size_t>(label));
  return counts;
}

// The crops from `cut` on, and of each class as many digits, the last ones.
Part take_valid(Part& train, std::size_t cut) {
  const Counts digits = count_classes(train.digits.labels), crops = count_classes(train.crops.labels);
  const auto labels = std::span(train.crops.labels);
  Counts leaving = count_classes(labels.subspan(cut));
  for (std::size_t c = 0; c < leaving.size(); ++c) {
    if (digits[c] == 0 || crops[c] == 0) continue;  // in no pair
    MLD_CHECK_AS(ErrorKind::usage, leaving[c] < std::min(digits[c], crops[c]),
                 "import: to hold out the last ", labels.size() - cut, " of ", labels.size(), " crops, ",
                 leaving[c], " of class ", c, ", leaves nothing of it to train on: there are ", crops[c],
                 " crops and ", digits[c], " MNIST digits; hold out fewer");
  }
  std::vector<bool> crop_leaves(train.crops.labels.size()), digit_leaves(train.digits.labels.size());
  for (std::size_t i = cut; i < crop_leaves.size(); ++i) crop_leaves[i] = true;
  for (std::size_t i = digit_leaves.size(); i-- > 0;) {
    std::int64_t& left = leaving[static_cast<std::size_t>(train.digits.labels[i])];
    digit_leaves[i] = left > 0;
    left -= left > 0 ? 1 : 0;
  }
  return {"valid", take_out(train.digits, digit_leaves), take_out(train.crops, crop_leaves)};
}

// Makes the split "valid" of the end of "train".
Part hold_out(Part& train, std::int64_t test_crops, const MnistSvhnImport& options, Provenance& provenance,
              std::vector<std::string>& notes) {
  const std::int64_t count = std::ssize(train.crops.labels);
  MLD_CHECK_AS(ErrorKind::usage, options.valid > 0 && options.valid < count, "import: ", options.valid,
               " held-out crops, expected 1 to ", count - 1, ": ", kTrainCrops, " has ", count);
  const auto wanted = static_cast<std::size_t>(count - options.valid);
  if (options.photos.empty()) {
    notes.push_back(
        "the splits train and valid may share photographs, of which neighbouring crops are cut: "
        "not known without --photos");
    return take_valid(train, wanted);
  }
  const std::size_t cut = between_photos(read_photos(options.photos, count, test_crops, provenance), wanted);
  MLD_CHECK_AS(ErrorKind::usage, cut > 0, "import: with ", options.valid, " of ", count,
               " crops held out, their photographs (", options.photos.string(),
               ") leave no crop to train on; hold out fewer");
  if (cut < wanted)
    notes.push_back(cat("valid has ", count - static_cast<std::int64_t>(cut), " crops, ", wanted - cut,
                        " more than asked for: the others of their photographs"));
  return take_valid(train, cut);
}

}  // namespace

LabelledImages parse_svhn(std::span<const std::uint8_t> file, const std::string& name) {
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
  LabelledImages crop{std::vector<std::uint8_t>(x.bytes.size()), {}};
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
                                           const MnistSvhnImport& options) {
  MLD_CHECK_AS(ErrorKind::usage, options.photos.empty() || options.valid > 0,
               "import: photographs are only asked for where crops are held out");
  StoreWriter writer(out);
  Provenance provenance{"mnist-svhn", options.seed, {}};
  const auto read_part = [&](const char* split, const char* prefix, const char* crops) {
    LabelledImages digits = read_mnist(mnist, prefix, provenance);
    return Part{split, std::move(digits), read_svhn(svhn / crops, provenance)};
  };
  std::vector<Part> parts{read_part("train", "train", kTrainCrops)};
  parts.push_back(read_part("test", "t10k", "test_32x32.mat"));
  std::vector<std::string> notes, read;
  if (options.valid != 0)
    parts.push_back(hold_out(parts[0], std::ssize(parts[1].crops.labels), options, provenance, notes));
  for (const SourceFile& source : provenance.sources) read.push_back(source.file);
  const std::size_t before = notes.size();
  for (const fs::path& folder : {mnist, svhn}) note_unread(folder, read, notes);
  if (notes.size() == before + 2 && notes[before] == notes.back())
    notes.pop_back();  // one folder with everything
  Description description = describe();
  description.provenance = std::move(provenance);
  writer.describe(std::move(description));
  std::uint32_t stream = 0;
  for (const Part& part : parts) {
    writer.add_items(part.split, kMnist, part.digits.images);
    writer.set_item_labels(part.split, kMnist, part.digits.labels);
    writer.add_items(part.split, kSvhn, part.crops.images);
    writer.set_item_labels(part.split, kSvhn, part.crops.labels);
    PairingOptions pairing;
    pairing.repetitions = options.repetitions;
    pairing.seed = options.seed;
    pairing.stream = stream++;
    const Pairing pairs = pair_by_class(part.digits.labels, part.crops.labels, kDigitClasses, pairing);
    writer.set_samples(part.split, pairs.index, pairs.labels, pairs.repetitions);
  }
  writer.commit();
  return notes;
}

}  // namespace mld::data
