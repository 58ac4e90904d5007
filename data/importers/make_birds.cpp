#include <algorithm>

#include "data/birds/birds.h"
#include "data/importers/import.h"
#include "data/sources/captions.h"
#include "data/text/treebank.h"
#include "engine/threads/threads.h"

namespace mld::data {
namespace {

constexpr std::int64_t kChunk = 256;  // pictures between two reports

Description describe(const Vocabulary& vocabulary, std::uint64_t seed) {
  Description d;
  d.name = "birds";
  d.attributes = bird_attributes();
  d.classes = 1;
  for (const Attribute& attribute : d.attributes) d.classes *= std::ssize(attribute.values);
  Modality image;
  image.name = "image";
  image.kind = ModalityKind::image;
  image.shape = {kBirdSide, kBirdSide, 3};
  image.dtype = DType::u8;
  d.modalities = {std::move(image), describe_captions(vocabulary, kCaptionLength)};
  d.provenance = {"birds", seed, {}};
  return d;
}

BirdsSplit make_split(std::uint64_t seed, bool test_split, std::int64_t size,
                      const std::function<void(std::int64_t)>& drawn) {
  BirdsSplit all;
  for (std::int64_t first = 0; first < size; first += kChunk) {
    const BirdsSplit part = make_birds(seed, test_split, first, std::min(kChunk, size - first));
    all.pictures.insert(all.pictures.end(), part.pictures.begin(), part.pictures.end());
    all.captions.insert(all.captions.end(), part.captions.begin(), part.captions.end());
    all.labels.insert(all.labels.end(), part.labels.begin(), part.labels.end());
    drawn(part.size());
  }
  return all;
}

std::vector<Words> words_of(const BirdsSplit& split) {
  std::vector<Words> words(split.captions.size());
  parallel_for(std::ssize(words), [&](std::int64_t c) {
    const auto k = static_cast<std::size_t>(c);
    words[k] = treebank_words(split.captions[k]);
  });
  return words;
}

void write_split(const char* name, const BirdsSplit& split, std::span<const Words> captions,
                 const Vocabulary& vocabulary, StoreWriter& writer, std::vector<std::string>& notes) {
  std::vector<std::int32_t> index, labels;
  for (std::int32_t picture = 0; picture < split.size(); ++picture)
    for (std::int32_t k = 0; k < kBirdCaptions; ++k) {
      index.insert(index.end(), {picture, picture * static_cast<std::int32_t>(kBirdCaptions) + k});
      labels.push_back(split.labels[static_cast<std::size_t>(picture)]);
    }
  writer.add_items(name, 0, split.pictures);
  writer.set_item_labels(name, 0, split.labels);
  add_captions(writer, name, 1, vocabulary, captions, labels, kCaptionLength, notes);
  writer.set_samples(name, index, labels);
}

}  // namespace

std::vector<std::string> write_birds(const BirdsConfig& config, const std::filesystem::path& out,
                                     const ImportProgress& progress) {
  check(config);
  StoreWriter writer(out);
  std::int64_t done = 0;
  const auto drawn = [&](std::int64_t pictures) {
    done += pictures;
    if (progress) progress("drawing birds", done, config.train + config.test);
  };
  const BirdsSplit train = make_split(config.seed, false, config.train, drawn),
                   test = make_split(config.seed, true, config.test, drawn);
  const std::vector<Words> train_words = words_of(train);
  const Vocabulary vocabulary = Vocabulary::of(train_words);
  writer.describe(describe(vocabulary, config.seed));
  writer.set_vocabulary(1, vocabulary.strings());
  std::vector<std::string> notes;
  write_split("train", train, train_words, vocabulary, writer, notes);
  if (test.size() > 0) write_split("test", test, words_of(test), vocabulary, writer, notes);
  writer.commit();
  return notes;
}

}  // namespace mld::data
