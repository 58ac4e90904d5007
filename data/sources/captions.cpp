#include "data/sources/captions.h"

#include <algorithm>

#include "data/formats/gzip.h"
#include "data/formats/mmap_file.h"
#include "data/text/text_lines.h"
#include "data/text/treebank.h"
#include "engine/base/error.h"
#include "engine/threads/threads.h"

namespace mld::data {
namespace {

constexpr std::int64_t kMaxText = std::int64_t{1} << 30;  // bytes, unpacked

std::vector<std::string> lines_of(const std::filesystem::path& path) {
  const MmapFile file(path);
  if (!is_gzip(file.bytes())) return text_lines(file.text(), path.string());
  const std::vector<std::uint8_t> text = gunzip(file.bytes(), kMaxText, path.string());
  return text_lines({reinterpret_cast<const char*>(text.data()), text.size()}, path.string());
}

}  // namespace

std::vector<Words> read_captions(const std::filesystem::path& path, Provenance& provenance) {
  const std::vector<std::string> lines = lines_of(path);
  provenance.sources.push_back(describe_source(path));
  std::vector<Words> captions(lines.size());
  parallel_for(std::ssize(lines), [&](std::int64_t i) {
    const auto k = static_cast<std::size_t>(i);
    captions[k] = treebank_words(lines[k]);
  });
  MLD_CHECK_AS(ErrorKind::data, !captions.empty(), path.string(), ": no captions; expected one a line");
  const auto empty = std::ranges::find_if(captions, &Words::empty);
  MLD_CHECK_AS(ErrorKind::data, empty == captions.end(), path.string(), ": line ",
               empty - captions.begin() + 1, ": holds no word; every line is a caption");
  return captions;
}

Modality describe_captions(const Vocabulary& vocabulary, std::int64_t length) {
  Modality m;
  m.name = "caption";
  m.kind = ModalityKind::tokens;
  m.shape = {length};
  m.dtype = DType::i32;
  m.categories = std::ssize(vocabulary.strings());
  m.vocabulary = "caption.txt";
  return m;
}

void add_captions(StoreWriter& writer, const std::string& split, int modality, const Vocabulary& vocabulary,
                  std::span<const Words> captions, std::span<const std::int32_t> labels, std::int64_t length,
                  std::vector<std::string>& notes) {
  std::vector<std::int32_t> ids;
  std::vector<std::string> unknown;
  std::int64_t words = 0, cut = 0;
  for (const Words& caption : captions) {
    const std::vector<std::int32_t> row = vocabulary.encode(caption, length, &unknown);
    ids.insert(ids.end(), row.begin(), row.end());
    words += std::min(std::ssize(caption), length - 1);
    cut += std::ssize(caption) > length - 1;
  }
  writer.add_items(split, modality, std::span<const std::int32_t>(ids));
  if (!labels.empty()) writer.set_item_labels(split, modality, labels);
  if (!unknown.empty())
    notes.push_back(cat(split, ": ", unknown.size(), " of ", words, " words are not among the ",
                        vocabulary.strings().size(), " of the vocabulary"));
  if (cut > 0)
    notes.push_back(
        cat(split, ": ", cut, " of ", captions.size(), " captions are cut after ", length - 1, " words"));
}

}  // namespace mld::data
