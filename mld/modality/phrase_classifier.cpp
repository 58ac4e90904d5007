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
  for (std::int64_t row = 0; row < tokens.shape()[0]; ++row) {
    std::vector<std::string> text;
    for (const std::int32_t id : tokens.rows(row, 1).span<std::int32_t>()) {
      if (id == data::kEndOfText) break;
      text.push_back(id >= 0 ? words_.at(static_cast<std::size_t>(id)) : std::string());
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
