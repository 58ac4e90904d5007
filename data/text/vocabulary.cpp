#include "data/text/vocabulary.h"

#include <algorithm>
#include <array>

#include "engine/base/error.h"
#include "engine/io/file_error.h"

namespace mld::data {
namespace {

constexpr std::array kMarks{"<exc>", "<pad>", "<eos>"};  // by id

}  // namespace

Vocabulary::Vocabulary(std::vector<std::string> strings) : strings_(std::move(strings)) {
  for (std::size_t id = 0; id < strings_.size(); ++id)
    ids_.emplace(strings_[id], static_cast<std::int32_t>(id));
}

Vocabulary Vocabulary::of(std::span<const std::vector<std::string>> texts, std::int64_t rare) {
  std::map<std::string_view, std::int64_t> counts;
  std::vector<std::string_view> in_order;
  for (const auto& words : texts)
    for (const std::string& word : words)
      if (++counts[word] == 1) in_order.push_back(word);
  std::vector<std::string> strings(kMarks.begin(), kMarks.end());
  for (const std::string_view word : in_order)
    if (counts[word] > rare && std::ranges::find(kMarks, word) == kMarks.end()) strings.emplace_back(word);
  return Vocabulary(std::move(strings));
}

Vocabulary Vocabulary::from(std::vector<std::string> strings) {
  for (std::size_t id = 0; id < kMarks.size(); ++id)
    MLD_CHECK_AS(ErrorKind::data, id < strings.size() && strings[id] == kMarks[id],
                 "a vocabulary of texts: token ", id, " is ",
                 id < strings.size() ? quote(strings[id]) : "missing", ", expected ", quote(kMarks[id]));
  return Vocabulary(std::move(strings));
}

std::vector<std::int32_t> Vocabulary::encode(std::span<const std::string> words, std::int64_t length,
                                             std::vector<std::string>* unknown) const {
  MLD_CHECK(length >= 1, "a text of ", length, " tokens");
  std::vector<std::int32_t> ids;
  const std::size_t kept = std::min(words.size(), static_cast<std::size_t>(length - 1));
  for (const std::string& word : words.first(kept)) {
    const auto found = ids_.find(word);
    if (found == ids_.end() && unknown) unknown->push_back(word);
    ids.push_back(found == ids_.end() ? kUnknownWord : found->second);
  }
  ids.push_back(kEndOfText);
  ids.resize(static_cast<std::size_t>(length), kPadding);
  return ids;
}

std::optional<std::int32_t> end_of_text(std::span<const std::string> strings) {
  const auto found = std::ranges::find(strings, "<eos>");
  if (found == strings.end()) return {};
  return static_cast<std::int32_t>(found - strings.begin());
}

std::string text_of(std::span<const std::int32_t> ids, std::span<const std::string> strings) {
  std::string text;
  for (const std::int32_t id : ids) {
    MLD_CHECK_AS(ErrorKind::data, id >= 0 && static_cast<std::size_t>(id) < strings.size(), "a text: token ",
                 id, " of a vocabulary of ", strings.size());
    const std::string& word = strings[static_cast<std::size_t>(id)];
    if (word == "<eos>") break;
    if (word == "<pad>" || word == "<exc>" || word == "<unk>") continue;
    text += (text.empty() ? "" : " ") + word;
  }
  return text;
}

}  // namespace mld::data
