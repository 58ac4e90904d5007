// Reads classes off captions without a network: the phrases of a data set's attributes (data/text/attributes.h) among the
// words of tokens.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/store/description.h"
#include "data/text/attributes.h"
#include "engine/core/tensor.h"
#include "mld/config/config.h"

namespace mld {

class PhraseClassifier {
 public:
  // ErrorKind::usage where it cannot read this modality: no tokens, or no attributes.
  static void check(const ModalityConfig& config, const data::Modality& info,
                    const data::Description& labels);

  // `words`: of the tokens by number.
  PhraseClassifier(const data::Description& labels, std::vector<std::string> words);

  // Of tokens i32 [N,n] the values of the attributes, [N, attributes]; -1 where a text says none or several.
  std::vector<std::int32_t> values(const Tensor& tokens) const;
  std::string hash() const;  // of all that it knows, 8 hexadecimal digits

 private:
  std::vector<data::Attribute> attributes_;
  data::AttributeReader reader_;
  std::vector<std::string> words_;
};

}  // namespace mld
