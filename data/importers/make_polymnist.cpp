#include <algorithm>
#include <cmath>
#include <numbers>

#include "data/digits/digits.h"
#include "data/draws.h"
#include "data/formats/image_io.h"
#include "data/importers/import.h"
#include "data/sources/input_folder.h"
#include "data/sources/mnist_files.h"
#include "data/sources/picture_items.h"
#include "data/sources/polymnist.h"
#include "data/store/pairing.h"
#include "data/store/store_writer.h"
#include "engine/base/error.h"
#include "engine/io/files.h"
#include "engine/threads/threads.h"

namespace mld::data {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxModalities = 64;
constexpr std::uint8_t kInk = 128;  // a pixel that is brighter belongs to the digit
constexpr std::int64_t kTextureSide = 256;

// Smooth waves of three colours that repeat nowhere in it.
Picture texture(std::uint64_t seed, int modality) {
  ItemRandom random(seed, kTextureSite, 0, static_cast<std::uint32_t>(modality));
  struct Wave {
    double across, down, phase, weight[3];
  };
  std::vector<Wave> waves(24);
  for (Wave& wave : waves) {
    const double turn = random.uniform(0, 2 * std::numbers::pi), length = random.uniform(5, 40);  // pixels
    wave.across = 2 * std::numbers::pi * std::cos(turn) / length;
    wave.down = 2 * std::numbers::pi * std::sin(turn) / length;
    wave.phase = random.uniform(0, 2 * std::numbers::pi);
    for (double& weight : wave.weight) weight = random.normal(0, 0.06);
  }
  Picture picture{{kTextureSide, kTextureSide, 3}, {}};
  for (std::int64_t row = 0; row < kTextureSide; ++row)
    for (std::int64_t column = 0; column < kTextureSide; ++column)
      for (int c = 0; c < 3; ++c) {
        double value = 0.5;
        for (const Wave& wave : waves)
          value += wave.weight[c] * std::sin(wave.across * static_cast<double>(column) +
                                             wave.down * static_cast<double>(row) + wave.phase);
        picture.bytes.push_back(static_cast<std::uint8_t>(std::lround(255 * std::clamp(value, 0.0, 1.0))));
      }
  return picture;
}

std::vector<Picture> read_backgrounds(const fs::path& folder, const PolyMnistMake& options,
                                      Provenance& provenance, std::vector<std::string>& notes) {
  std::vector<Picture> pictures;
  std::vector<std::string> unread;
  for (const fs::path& path : list_folder(folder)) {
    const std::string name = path.filename().string();
    if (name.starts_with('.')) continue;
    if (!is_picture_name(path) || std::ssize(pictures) == options.modalities) {
      unread.push_back(name);
      continue;
    }
    pictures.push_back(as_rgb(read_picture(path)));
    const PictureSize size = pictures.back().size;
    MLD_CHECK_AS(ErrorKind::data, size.height > kDigitSide && size.width > kDigitSide, path.string(), ": ",
                 size.height, " x ", size.width, " pixels, expected more than ", kDigitSide, " x ",
                 kDigitSide, " to cut pieces from");
    provenance.sources.push_back(describe_source(path));
  }
  note_names(folder, unread, notes);
  const auto given = pictures.size();
  for (int m = static_cast<int>(given); m < options.modalities; ++m) {
    notes.push_back(cat("m", m, ": a procedural texture is the background, as there are ", given,
                        " pictures in ", folder.string()));
    pictures.push_back(texture(options.seed, m));
  }
  return pictures;
}

// The digits of one split: which of MNIST's shows sample s in each modality.
struct Plan {
  std::vector<std::int32_t> labels;               // [S]
  std::vector<std::vector<std::int32_t>> source;  // [modalities][S]
};

Plan plan_split(const LabelledImages& digits, int modalities, std::uint64_t seed, std::uint32_t stream) {
  const auto of_class = items_by_class(digits.labels, kDigitClasses);
  std::size_t most = 0;
  for (const auto& items : of_class) most = std::max(most, items.size());
  Plan plan;
  plan.source.resize(static_cast<std::size_t>(modalities));
  for (std::size_t i = 0; i < most; ++i)
    for (std::size_t c = 0; c < of_class.size(); ++c)
      if (i < of_class[c].size()) plan.labels.push_back(static_cast<std::int32_t>(c));
  for (std::size_t m = 0; m < plan.source.size(); ++m) {
    std::vector<Permutation> orders;
    for (std::size_t c = 0; c < of_class.size(); ++c)
      orders.emplace_back(std::max<std::size_t>(1, of_class[c].size()), seed,
                          (std::uint64_t{stream} * kMaxModalities + m) * kDigitClasses + c);
    for (std::size_t i = 0; i < most; ++i)
      for (std::size_t c = 0; c < of_class.size(); ++c)
        if (i < of_class[c].size()) plan.source[m].push_back(of_class[c][orders[c](i)]);
  }
  return plan;
}

// A piece of the background with the digit inverted in it.
void paint(const std::uint8_t* digit, const Picture& background, ItemRandom random, std::uint8_t* out) {
  const auto draw = [&](std::int64_t free) {
    return static_cast<std::int64_t>(random.below(static_cast<std::uint32_t>(free)));
  };
  const std::int64_t left = draw(background.size.width - kDigitSide),
                     top = draw(background.size.height - kDigitSide);
  for (std::int64_t row = 0; row < kDigitSide; ++row) {
    const std::uint8_t* from = background.bytes.data() + ((top + row) * background.size.width + left) * 3;
    for (std::int64_t column = 0; column < kDigitSide; ++column) {
      const bool ink = *digit++ > kInk;
      for (int c = 0; c < 3; ++c, ++from) *out++ = ink ? static_cast<std::uint8_t>(255 - *from) : *from;
    }
  }
}

}  // namespace

std::vector<std::string> make_polymnist(const fs::path& mnist, const fs::path& backgrounds,
                                        const fs::path& out, const PolyMnistMake& options) {
  MLD_CHECK_AS(ErrorKind::usage, options.modalities >= 1 && options.modalities <= kMaxModalities,
               "polymnist: ", options.modalities, " modalities, expected 1 to ", kMaxModalities);
  StoreWriter writer(out);
  Provenance provenance{"make polymnist", options.seed, {}};
  std::vector<std::string> notes, read;
  const LabelledImages train = read_mnist(mnist, "train", provenance),
                       test = read_mnist(mnist, "t10k", provenance);
  for (const SourceFile& source : provenance.sources) read.push_back(source.file);
  note_unread(mnist, read, notes);
  const std::vector<Picture> pictures = read_backgrounds(backgrounds, options, provenance, notes);
  writer.describe(describe_polymnist(options.modalities, std::move(provenance)));
  const std::int64_t total = (std::ssize(train.labels) + std::ssize(test.labels)) * options.modalities;
  std::int64_t done = 0;
  std::uint32_t stream = 0;
  for (const auto& [split, digits] : {std::pair{"train", &train}, std::pair{"test", &test}}) {
    const Plan plan = plan_split(*digits, options.modalities, options.seed, stream);
    const std::int64_t samples = std::ssize(plan.labels);
    for (int m = 0; m < options.modalities; ++m) {
      const auto k = static_cast<std::size_t>(m);
      std::vector<std::uint8_t> items(static_cast<std::size_t>(samples * kPolyMnistSize));
      parallel_for(samples, [&](std::int64_t s) {
        const std::int64_t source = plan.source[k][static_cast<std::size_t>(s)];
        paint(digits->images.data() + source * kDigitImage, pictures[k],
              ItemRandom(options.seed, kCropSite + static_cast<std::uint32_t>(m), stream,
                         static_cast<std::uint32_t>(s)),
              items.data() + s * kPolyMnistSize);
      });
      writer.add_items(split, m, items);
      writer.set_item_labels(split, m, plan.labels);
      done += samples;
      if (options.progress) options.progress("making pictures", done, total);
    }
    writer.set_aligned_samples(split, samples, plan.labels);
    ++stream;
  }
  writer.commit();
  return notes;
}

}  // namespace mld::data
