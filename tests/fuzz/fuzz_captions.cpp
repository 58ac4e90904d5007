// Any bytes as a file of captions: an error, or words without blanks, none of them lost in the vocabulary, and rows of
// known ids.
#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "data/text/text_lines.h"
#include "data/text/treebank.h"
#include "data/text/vocabulary.h"
#include "engine/base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mld::data;
  constexpr std::int64_t kLength = 8;
  if (size > 512) return 0;  // what longer lines would show, short ones do
  try {
    std::vector<std::vector<std::string>> captions;
    for (const std::string& line : text_lines({reinterpret_cast<const char*>(data), size}, "fuzz"))
      captions.push_back(treebank_words(line));
    const Vocabulary vocabulary = Vocabulary::of(captions, 0);
    const auto names = std::ssize(vocabulary.strings());
    if (Vocabulary::from(vocabulary.strings()).strings() != vocabulary.strings()) std::abort();
    for (const auto& words : captions) {
      for (const std::string& word : words)
        if (word.empty() || word.find_first_of(" \t") != std::string::npos) std::abort();
      std::vector<std::string> unknown;
      const auto ids = vocabulary.encode(words, kLength, &unknown);
      if (std::ssize(ids) != kLength || std::ranges::find(ids, kEndOfText) == ids.end()) std::abort();
      if (std::ranges::any_of(ids, [&](std::int32_t id) { return id < 0 || id >= names; })) std::abort();
      for (const std::string& word : unknown)
        if (word != "<exc>" && word != "<pad>" && word != "<eos>") std::abort();
    }
  } catch (const mld::Error& error) {
    if (error.kind() != mld::ErrorKind::data) std::abort();
  }
  return 0;
}
