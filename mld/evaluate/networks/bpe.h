// CLIP's tokenizer (Radford et al. 2021, clip/simple_tokenizer.py of the public code): lower case, words by a
// fixed pattern, and byte-pair encoding of each word's UTF-8 bytes by a ranked list of merges.
//
// The pattern is
//   <|startoftext|> | <|endoftext|> | 's | 't | 're | 've | 'm | 'll | 'd | letters+ | number | others+
// where letters and numbers are the general categories L and N of Unicode 14, others are neither these nor
// white space, and the first alternative that fits is taken. Three things the public code does first are left
// to the caller, as captions made of a vocabulary's words need none of them: repair of wrongly decoded text
// (ftfy), HTML entities, and composition to NFC. Lower case is one letter to one letter (but for U+0130,
// two), so a final sigma stays an ordinary one.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace mld {

class BpeTokenizer {
 public:
  static constexpr std::int64_t kContext = 77;      // tokens of a text, its marks included
  static constexpr std::size_t kMaxMerges = 48894;  // further lines of the public file are not CLIP's

  // Reads bpe_simple_vocab_16e6.txt.gz, packed or not, or the merges.txt that other libraries make of it: a
  // line with "#version", then one merge a line, two symbols with a blank between. ErrorKind::data if the
  // file is missing, ErrorKind::model naming the line if it is malformed.
  explicit BpeTokenizer(const std::filesystem::path& merges);

  // Ids of a UTF-8 text, without marks. A byte that is not UTF-8 reads as U+FFFD.
  std::vector<std::int32_t> ids(std::string_view text) const;
  // Start mark, ids, end mark, zeros: `context` numbers. A longer text is cut and keeps the end mark.
  std::vector<std::int32_t> encode(std::string_view text, std::int64_t context = kContext) const;

  std::int32_t start() const { return vocabulary() - 2; }
  std::int32_t end() const { return vocabulary() - 1; }
  std::int32_t vocabulary() const { return vocabulary_; }  // 49408 with the public file
  const std::string& hash() const { return hash_; }        // CRC-32 of the merges in use, 8 hex digits

 private:
  using Pair = std::uint64_t;  // two ids; the merges' results are numbered in the order of their ranks
  void append(std::string_view word, std::vector<std::int32_t>& out) const;
  void append_text(std::string_view text, std::size_t enough, std::vector<std::int32_t>& out) const;

  std::array<std::int32_t, 256> byte_ids_{};
  std::unordered_map<Pair, std::int32_t> merges_;
  std::int32_t vocabulary_ = 0;
  std::string hash_;
};

}  // namespace mld
