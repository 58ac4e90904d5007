// What a text says about a sample, where classes are combinations of attributes (data/store/description.h): the phrases
// of the values are looked for in its words.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "data/store/description.h"

namespace mld::data {

class AttributeReader {
 public:
  explicit AttributeReader(std::span<const Attribute> attributes);

  // The number of the value that the words name, for each attribute; -1 where they name none or several. Longer phrases
  // are found first, and a word belongs to one phrase: "no wing bars" is not also "wing bars". Among phrases of as many
  // words the one that begins first is taken. Words as treebank_words() gives them; capitals of ASCII are
  // read as small letters.
  std::vector<std::int32_t> values(std::span<const std::string> words) const;

 private:
  std::size_t attributes_, longest_ = 0;
  std::map<std::string, std::pair<std::size_t, std::int32_t>> phrases_;  // attribute and value of each
};

// Of the combination of values, one for each attribute; -1 if one of them is, or if there are no attributes.
std::int32_t class_of(std::span<const std::int32_t> values, std::span<const Attribute> attributes);
// The other way round; all -1 of the unknown class -1.
std::vector<std::int32_t> values_of_class(std::int32_t label, std::span<const Attribute> attributes);
// The same of many, values [N, attributes] and labels [N].
std::vector<std::int32_t> classes_of(std::span<const std::int32_t> values,
                                     std::span<const Attribute> attributes);
std::vector<std::int32_t> values_of_classes(std::span<const std::int32_t> labels,
                                            std::span<const Attribute> attributes);

}  // namespace mld::data
