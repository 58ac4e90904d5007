#include "mld/evaluate/networks/bpe.h"

#include <algorithm>
#include <limits>
#include <span>

#include "data/formats/gzip.h"
#include "data/formats/mmap_file.h"
#include "engine/base/error.h"
#include "engine/io/crc32.h"
#include "mld/evaluate/networks/unicode.h"

namespace mld {
namespace {

constexpr std::int64_t kMaxFileBytes = std::int64_t{1} << 26;
constexpr std::int32_t kBytes = 256;
constexpr const char* kEndOfWord = "</w>";
constexpr std::u32string_view kMarks[] = {U"<|startoftext|>", U"<|endoftext|>"};
constexpr std::u32string_view kContractions[] = {U"'s", U"'t", U"'re", U"'ve", U"'m", U"'ll", U"'d"};

// The printable character that stands for each byte in the file, and the number of each byte: those that are
// printable in Latin-1 stand for themselves and come first, the others follow as U+0100, U+0101, ...
struct ByteSymbols {
  std::array<char32_t, kBytes> symbol{};
  std::array<std::int32_t, kBytes> id{};

  ByteSymbols() {
    const auto printable = [](int b) { return (b >= 33 && b <= 126) || (b >= 161 && b != 173); };
    std::int32_t next = 0;
    char32_t spare = kBytes;
    for (const bool first : {true, false})
      for (int b = 0; b < kBytes; ++b) {
        if (printable(b) != first) continue;
        symbol[static_cast<std::size_t>(b)] = first ? static_cast<char32_t>(b) : spare++;
        id[static_cast<std::size_t>(b)] = next++;
      }
  }
};

std::uint64_t pair_of(std::int32_t left, std::int32_t right) {
  return static_cast<std::uint64_t>(left) << 32U | static_cast<std::uint32_t>(right);
}

// Symbols known so far by their text in the file.
using Symbols = std::unordered_map<std::string, std::int32_t>;

Symbols byte_symbols(const ByteSymbols& bytes) {
  Symbols known;
  for (std::size_t b = 0; b < kBytes; ++b) {
    const std::string text = unicode::encode(std::u32string_view(&bytes.symbol[b], 1));
    known[text] = bytes.id[b];
    known[text + kEndOfWord] = bytes.id[b] + kBytes;
  }
  return known;
}

// Takes the next line off the front of `rest`.
std::string_view take_line(std::string_view& rest) {
  const std::size_t size = std::min(rest.find('\n'), rest.size());
  const std::string_view line = rest.substr(0, size);
  rest.remove_prefix(std::min(size + 1, rest.size()));
  return line;
}

std::string shown(std::string_view line) {
  constexpr std::size_t kMaxShown = 60;
  return cat("'", line.substr(0, kMaxShown), line.size() > kMaxShown ? "...'" : "'");
}

// A piece of the pattern in bpe.h: where it ends, and whether it is one of kMarks.
std::size_t piece_length(std::u32string_view text) {
  for (const auto& fixed : kMarks)
    if (text.starts_with(fixed)) return fixed.size();
  for (const auto& fixed : kContractions)
    if (text.starts_with(fixed)) return fixed.size();
  if (unicode::is_number(text[0])) return 1;
  const bool letters = unicode::is_letter(text[0]);
  const auto belongs = [letters](char32_t c) {
    if (unicode::is_letter(c)) return letters;
    return !letters && !unicode::is_number(c) && !unicode::is_space(c);
  };
  return static_cast<std::size_t>(std::ranges::find_if_not(text, belongs) - text.begin());
}

}  // namespace

BpeTokenizer::BpeTokenizer(const std::filesystem::path& merges) {
  const data::MmapFile file(merges);
  std::vector<std::uint8_t> unpacked;
  std::string_view rest = file.text();
  if (data::is_gzip(file.bytes())) {
    unpacked = data::gunzip(file.bytes(), kMaxFileBytes, merges.string());
    rest = {reinterpret_cast<const char*>(unpacked.data()), unpacked.size()};
  }
  std::size_t number = 1;
  const auto check = [&](bool sound, std::string_view line, auto&&... what) {
    MLD_CHECK_AS(ErrorKind::model, sound, merges.string(), ", line ", number, ": ", shown(line), " ", what...,
                 "; needed is CLIP's bpe_simple_vocab_16e6.txt.gz or a merges.txt made of it, unchanged");
  };
  const std::string_view header = take_line(rest);
  check(header.find("#version") != header.npos, header, "is not the line with '#version'");

  const ByteSymbols bytes;
  byte_ids_ = bytes.id;
  Symbols known = byte_symbols(bytes);
  std::uint32_t crc = 0;
  while (!rest.empty() && merges_.size() < kMaxMerges) {
    ++number;
    const std::string_view line = take_line(rest);
    const std::size_t blank = line.find(' ');
    check(
        blank != line.npos && blank > 0 && blank + 1 < line.size() && line.find(' ', blank + 1) == line.npos,
        line, "is not two symbols with a blank between");
    std::int32_t ids[2];
    const std::string parts[2] = {std::string(line.substr(0, blank)), std::string(line.substr(blank + 1))};
    for (int i = 0; i < 2; ++i) {
      const auto it = known.find(parts[i]);
      check(it != known.end(), line, "has the symbol '", parts[i],
            "', which is neither a byte's nor the result of a line before");
      ids[i] = it->second;
    }
    const auto id = static_cast<std::int32_t>(known.size());
    check(known.emplace(parts[0] + parts[1], id).second, line, "makes a symbol that exists already");
    merges_.emplace(pair_of(ids[0], ids[1]), id);
    crc = crc32(std::as_bytes(std::span(line)), crc);
    crc = crc32(std::as_bytes(std::span("\n", 1)), crc);
  }
  ++number;
  check(!merges_.empty(), "", "is missing: the file holds no merges");
  vocabulary_ = static_cast<std::int32_t>(known.size()) + 2;
  hash_ = crc_text(crc);
}

// Joins the neighbours that make the symbol of the lowest rank, wherever they stand, until none make any.
void BpeTokenizer::append(std::string_view word, std::vector<std::int32_t>& out) const {
  std::vector<std::int32_t> symbols;
  for (const char c : word) symbols.push_back(byte_ids_[static_cast<unsigned char>(c)]);
  symbols.back() += kBytes;
  constexpr std::int32_t kNone = std::numeric_limits<std::int32_t>::max();
  const auto joined = [&](std::size_t i) {
    const auto it = merges_.find(pair_of(symbols[i], symbols[i + 1]));
    return it == merges_.end() ? kNone : it->second;
  };
  for (;;) {
    std::int32_t best = kNone;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) best = std::min(best, joined(i));
    if (best == kNone) break;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < symbols.size(); ++kept) {
      const bool join = i + 1 < symbols.size() && joined(i) == best;
      symbols[kept] = join ? best : symbols[i];
      i += join ? 2 : 1;
    }
    symbols.resize(kept);
  }
  out.insert(out.end(), symbols.begin(), symbols.end());
}

// Stops once `out` holds `enough` numbers.
void BpeTokenizer::append_text(std::string_view text, std::size_t enough,
                               std::vector<std::int32_t>& out) const {
  const std::u32string lower = unicode::lower(unicode::decode(text));
  std::u32string_view rest = lower;
  while (!rest.empty() && out.size() < enough) {
    if (unicode::is_space(rest[0])) {
      rest.remove_prefix(1);
      continue;
    }
    const std::u32string_view piece = rest.substr(0, piece_length(rest));
    rest.remove_prefix(piece.size());
    if (piece == kMarks[0]) {
      out.push_back(start());
    } else if (piece == kMarks[1]) {
      out.push_back(end());
    } else {
      append(unicode::encode(piece), out);
    }
  }
}

std::vector<std::int32_t> BpeTokenizer::ids(std::string_view text) const {
  std::vector<std::int32_t> out;
  append_text(text, std::numeric_limits<std::size_t>::max(), out);
  return out;
}

std::vector<std::int32_t> BpeTokenizer::encode(std::string_view text, std::int64_t context) const {
  MLD_CHECK(context >= 2, "tokenizer: a context of ", context, " tokens has no room for the two marks");
  const auto size = static_cast<std::size_t>(context);
  std::vector<std::int32_t> out{start()};
  append_text(text, size - 1, out);
  out.resize(std::min(out.size(), size - 1));
  out.push_back(end());
  out.resize(size);
  return out;
}

}  // namespace mld
