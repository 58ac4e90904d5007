#include "mld/modality/phrase_classifier.h"

#include <algorithm>
#include <span>
#include <utility>

#include "data/formats/mmap_file.h"
#include "data/text/vocabulary.h"
#include "engine/base/error.h"
#include "engine/io/crc32.h"
#include "engine/io/file_error.h"

namespace mld {

void PhraseClassifier::check(const ModalityConfig& config, const data::Modality& info,
                             const data::Description& labels) {
  for (const data::Attribute& attribute : labels.attributes)
    MLD_CHECK_AS(ErrorKind::usage,
                 std::ranges::any_of(attribute.values,
                                     [](const data::Attribute::Value& v) { return !v.phrases.empty(); }),
                 "modality '", config.name, "': the classifier 'phrases' has no phrases of the attribute '",
                 attribute.name, "'; give them in the description of the data, or set modalities.",
                 config.name, ".classifier=none");
  MLD_CHECK_AS(
      ErrorKind::usage,
      info.kind == data::ModalityKind::tokens && !info.vocabulary.empty() && !labels.attributes.empty(),
      "modality '", config.name, "': the classifier 'phrases' reads attributes off words, and ",
      labels.attributes.empty() ? "the data set has no attributes" : "its data are no words",
      "; set modalities.", config.name, ".classifier=none, or mlp");
}

PhraseClassifier::PhraseClassifier(const data::Description& labels, std::vector<std::string> words)
    : attributes_(labels.attributes), reader_(attributes_), words_(std::move(words)) {}

std::vector<std::int32_t> PhraseClassifier::values(const Tensor& tokens) const {
  std::vector<std::int32_t> all;
  const std::int32_t end = data::end_of_text(words_).value_or(-1);  // -1: a missing text
  for (std::int64_t row = 0; row < tokens.shape()[0]; ++row) {
    std::vector<std::string> text;
    for (const std::int32_t id : tokens.rows(row, 1).span<std::int32_t>()) {
      if (id == end) break;
      if (id >= 0) text.push_back(words_.at(static_cast<std::size_t>(id)));
    }
    const std::vector<std::int32_t> found = reader_.values(text);
    all.insert(all.end(), found.begin(), found.end());
  }
  return all;
}

std::string PhraseClassifier::hash() const {
  std::string text = data::join_lines(words_);
  for (const data::Attribute& attribute : attributes_)
    for (const data::Attribute::Value& value : attribute.values)
      text += attribute.name + "=" + value.name + "\n" + data::join_lines(value.phrases);
  return crc_text(crc32(std::as_bytes(std::span(text)), 0));
}

}  // namespace mld
