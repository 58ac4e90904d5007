// The words of a training set as numbers, and texts as rows of them of one length: how captions are stored
// (docs/file-formats.md).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mld::data {

// Marks, which are no words: what is not in the vocabulary, what fills up behind the end, the end of a text.
inline constexpr std::int32_t kUnknownWord = 0, kPadding = 1, kEndOfText = 2;

class Vocabulary {
 public:
  // Of texts as lists of words: the marks "<exc>", "<pad>" and "<eos>", then every word with more than `rare`
  // occurrences, in the order of first occurrence. Words that are spelled as a mark are not counted.
  static Vocabulary of(std::span<const std::vector<std::string>> texts, std::int64_t rare = 3);
  // As stored, one string per id. ErrorKind::data where it does not begin with the three marks; a word that occurs
  // twice has its first id.
  static Vocabulary from(std::vector<std::string> strings);

  bool knows(std::string_view word) const { return ids_.contains(word); }
  // [length] ids: the first length - 1 words, the mark of the end, padding. Words that are not known are
  // kUnknownWord; they are appended to `unknown` if it is given.
  std::vector<std::int32_t> encode(std::span<const std::string> words, std::int64_t length,
                                   std::vector<std::string>* unknown = nullptr) const;

  // By id.
  const std::vector<std::string>& strings() const { return strings_; }

 private:
  explicit Vocabulary(std::vector<std::string> strings);

  std::vector<std::string> strings_;
  std::map<std::string, std::int32_t, std::less<>> ids_;
};

// The id of the mark of the end, if these strings have one.
std::optional<std::int32_t> end_of_text(std::span<const std::string> strings);

// A text of its ids, as strings by id say: what stands in front of the first "<eos>", words joined with blanks, without the
// marks "<pad>", "<exc>" and "<unk>". An id that is none is an ErrorKind::data error.
std::string text_of(std::span<const std::int32_t> ids, std::span<const std::string> strings);

}  // namespace mld::data
