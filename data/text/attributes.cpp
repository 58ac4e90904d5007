#include "data/text/attributes.h"

#include <algorithm>

#include "engine/base/error.h"
#include "engine/base/names.h"

namespace mld::data {
namespace {

constexpr std::int32_t kNone = -1, kSeveral = -2;

std::string joined(std::span<const std::string> words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

}  // namespace

AttributeReader::AttributeReader(std::span<const Attribute> attributes) : attributes_(attributes.size()) {
  for (std::size_t a = 0; a < attributes.size(); ++a)
    for (std::size_t v = 0; v < attributes[a].values.size(); ++v)
      for (const std::string& phrase : attributes[a].values[v].phrases) {
        phrases_.emplace(phrase, std::pair{a, static_cast<std::int32_t>(v)});
        longest_ = std::max(longest_, 1 + static_cast<std::size_t>(std::ranges::count(phrase, ' ')));
      }
}

std::vector<std::int32_t> AttributeReader::values(std::span<const std::string> given) const {
  std::vector<std::string> words(given.size());
  std::ranges::transform(given, words.begin(), [](const std::string& word) { return lower(word); });
  std::vector<bool> taken(words.size());
  std::vector<std::int32_t> found(attributes_, kNone);
  for (std::size_t length = std::min(longest_, words.size()); length > 0; --length)
    for (std::size_t first = 0; first + length <= words.size(); ++first) {
      const auto begin = taken.begin() + static_cast<std::ptrdiff_t>(first);
      const auto end = begin + static_cast<std::ptrdiff_t>(length);
      if (std::find(begin, end, true) != end) continue;
      const auto phrase = phrases_.find(joined(std::span(words).subspan(first, length)));
      if (phrase == phrases_.end()) continue;
      std::fill(begin, end, true);
      const auto [attribute, value] = phrase->second;
      std::int32_t& known = found[attribute];
      known = known == kNone || known == value ? value : kSeveral;
    }
  std::ranges::replace(found, kSeveral, kNone);
  return found;
}

std::int32_t class_of(std::span<const std::int32_t> values, std::span<const Attribute> attributes) {
  MLD_CHECK(values.size() == attributes.size(), "class_of: ", values.size(), " values of ", attributes.size(),
            " attributes");
  if (values.empty() || std::ranges::find(values, kNone) != values.end()) return kNone;
  std::int32_t label = 0;
  for (std::size_t a = 0; a < attributes.size(); ++a)
    label = label * static_cast<std::int32_t>(attributes[a].values.size()) + values[a];
  return label;
}

std::vector<std::int32_t> values_of_class(std::int32_t label, std::span<const Attribute> attributes) {
  std::vector<std::int32_t> values(attributes.size(), kNone);
  if (label < 0) return values;
  std::int32_t left = label;
  for (std::size_t a = attributes.size(); a-- > 0;) {
    const auto n = static_cast<std::int32_t>(attributes[a].values.size());
    values[a] = left % n;
    left /= n;
  }
  MLD_CHECK(left == 0, "values_of_class: no class ", label, " of these attributes");
  return values;
}

std::vector<std::int32_t> classes_of(std::span<const std::int32_t> values,
                                     std::span<const Attribute> attributes) {
  std::vector<std::int32_t> classes;
  for (std::size_t first = 0; first < values.size(); first += attributes.size())
    classes.push_back(class_of(values.subspan(first, attributes.size()), attributes));
  return classes;
}

std::vector<std::int32_t> values_of_classes(std::span<const std::int32_t> labels,
                                            std::span<const Attribute> attributes) {
  std::vector<std::int32_t> all;
  for (const std::int32_t label : labels) {
    const std::vector<std::int32_t> values = values_of_class(label, attributes);
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

}  // namespace mld::data
