#include "data/text/treebank.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>

namespace mld::data {
namespace {

using Text = std::string_view;

bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool one_of(char c, Text set) { return set.find(c) != Text::npos; }

constexpr std::array<Text, 4> kOpening{"«", "“", "‘", "„"}, kDashes{"‒", "–", "—", "―"};
constexpr std::array<Text, 3> kClosing{"»", "”", "’"};

// Whether one of those that are no letters though beyond ASCII stands where `here` looks.
template <class Here>
bool is_mark(Here here) {
  return std::ranges::any_of(kOpening, here) || std::ranges::any_of(kClosing, here) ||
         std::ranges::any_of(kDashes, here);
}

bool is_word(char c) {
  return is_letter(c) || is_digit(c) || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
// Whether a character of a word stands at `i`, or ends there.
bool word_at(Text text, std::size_t i) {
  return i < text.size() && is_word(text[i]) &&
         !is_mark([&](Text mark) { return text.substr(i).starts_with(mark); });
}
bool word_before(Text text, std::size_t i) {
  return i > 0 && is_word(text[i - 1]) &&
         !is_mark([&](Text mark) { return text.substr(0, i).ends_with(mark); });
}
// Whether `what` (lower case) stands at `i`, in whatever case.
bool stands_at(Text text, std::size_t i, Text what) {
  if (i > text.size() || text.size() - i < what.size()) return false;
  return std::ranges::equal(text.substr(i, what.size()), what, {}, lower);
}
// The first of `these` that stands at `i` as it is spelled, or "".
Text first_at(Text text, std::size_t i, std::span<const Text> these) {
  const auto found = std::ranges::find_if(these, [&](Text what) { return text.substr(i).starts_with(what); });
  return found == these.end() ? Text() : *found;
}

// A piece of the text and what takes its place; a rule gives one where it applies.
struct Change {
  std::size_t length;
  std::string by;
};

// `rule(text, i)` from left to right, as a regular expression is substituted: what was changed is not looked at again.
template <class Rule>
std::string substitute(Text text, Rule rule) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    if (const std::optional<Change> change = rule(text, i)) {
      out += change->by;
      i += change->length;
    } else {
      out += text[i++];
    }
  }
  return out;
}

std::string padded(Text text) { return " " + std::string(text) + " "; }

std::string set_apart(Text text, std::span<const Text> these) {
  return substitute(text, [these](Text t, std::size_t i) -> std::optional<Change> {
    const Text found = first_at(t, i, these);
    if (found.empty()) return std::nullopt;
    return Change{found.size(), padded(found)};
  });
}
std::string set_apart(Text text, Text characters) {
  return substitute(text, [characters](Text t, std::size_t i) -> std::optional<Change> {
    if (!one_of(t[i], characters)) return std::nullopt;
    return Change{1, padded(t.substr(i, 1))};
  });
}
// Every longest run of `c` of `least` or more.
std::string runs_apart(Text text, char c, std::size_t least) {
  return substitute(text, [c, least](Text t, std::size_t i) -> std::optional<Change> {
    const std::size_t run = std::min(t.find_first_not_of(c, i), t.size()) - i;
    if (run < least) return std::nullopt;
    return Change{run, padded(t.substr(i, run))};
  });
}

// A double quote after a blank or an opening bracket opens.
std::optional<Change> opening_quote(Text t, std::size_t i) {
  constexpr std::array<Text, 2> kQuotes{"\"", "''"};
  if (!one_of(t[i], " ([{<")) return std::nullopt;
  const Text quote = first_at(t, i + 1, kQuotes);
  if (quote.empty()) return std::nullopt;
  return Change{1 + quote.size(), t[i] + std::string(" `` ")};
}

// A single quote before a word that is no clitic opens.
std::optional<Change> opening_single_quote(Text t, std::size_t i) {
  if (t[i] != '\'' || word_before(t, i) || !word_at(t, i + 1)) return std::nullopt;
  for (const Text clitic : {"re", "ve", "ll", "m", "t", "s", "d", "n"})
    if (stands_at(t, i + 1, clitic) && !word_at(t, i + 1 + clitic.size())) return std::nullopt;
  return Change{1, "' "};
}

// The full stop: the last dot, if nothing but closing marks follows it and no dot precedes it.
std::string full_stop_apart(Text text) {
  const std::size_t dot = text.rfind('.');
  if (dot == Text::npos || dot == 0 || text[dot - 1] == '.') return std::string(text);
  Text after = text.substr(dot + 1);
  while (!after.empty() && is_blank(after.back())) after.remove_suffix(1);
  for (std::size_t i = 0; i < after.size();) {
    const Text closing = first_at(after, i, kClosing);
    if (closing.empty() && !one_of(after[i], "])}>\"' ")) return std::string(text);
    i += std::max<std::size_t>(1, closing.size());
  }
  return std::string(text.substr(0, dot)) + " . " + std::string(after) + " ";
}

// Colons and commas but before a digit. The character after one is taken along, so that of two the second stays.
std::optional<Change> comma(Text t, std::size_t i) {
  if (!one_of(t[i], ":,")) return std::nullopt;
  if (i + 1 == t.size()) return Change{1, padded(t.substr(i))};
  if (is_digit(t[i + 1])) return std::nullopt;
  if (i + 2 == t.size() && one_of(t[i + 1], ":,"))
    return Change{2, padded(t.substr(i, 1)) + padded(t.substr(i + 1))};
  return Change{2, padded(t.substr(i, 1)) + t[i + 1]};
}

// A single quote at the end of a word.
std::optional<Change> closing_single_quote(Text t, std::size_t i) {
  if (t[i] == '\'' || !t.substr(i + 1).starts_with("' ")) return std::nullopt;
  return Change{3, t[i] + std::string(" ' ")};
}

// The clitics at the end of a word, cut off. Behind them stands a blank.
template <std::size_t N>
std::string clitics_apart(Text text, const std::array<Text, N>& clitics) {
  return substitute(text, [&clitics](Text t, std::size_t i) -> std::optional<Change> {
    if (one_of(t[i], "' ")) return std::nullopt;
    for (const Text clitic : clitics)
      if (t.substr(i + 1).starts_with(clitic) && t.substr(i + 1 + clitic.size()).starts_with(' '))
        return Change{2 + clitic.size(), t[i] + (" " + std::string(clitic)) + " "};
    return std::nullopt;
  });
}

// Two words written as one.
struct Contraction {
  Text first, second;
};
constexpr std::array kContractions{
    Contraction{"can", "not"}, Contraction{"d", "'ye"},  Contraction{"gim", "me"},  Contraction{"gon", "na"},
    Contraction{"got", "ta"},  Contraction{"lem", "me"}, Contraction{"more", "'n"}, Contraction{"wan", "na"},
    Contraction{"'t", "is"},   Contraction{"'t", "was"}};

std::string cut(Text text, const Contraction& both) {
  return substitute(text, [&both](Text t, std::size_t i) -> std::optional<Change> {
    const auto [first, second] = both;
    const std::size_t middle = i + first.size(), end = middle + second.size();
    if (!stands_at(t, i, first) || !stands_at(t, middle, second) || word_at(t, end)) return std::nullopt;
    if (first == "wan" && !is_blank(t[end])) return std::nullopt;
    if (first == "'t" ? i == 0 || t[i - 1] != ' ' : word_before(t, i)) return std::nullopt;
    return Change{end - i, padded(t.substr(i, first.size())) + padded(t.substr(middle, second.size()))};
  });
}

std::vector<std::string> split(Text text) {
  std::vector<std::string> words;
  for (std::size_t i = 0; i < text.size();) {
    if (is_blank(text[i])) {
      ++i;
      continue;
    }
    std::size_t end = i;
    while (end < text.size() && !is_blank(text[end])) ++end;
    words.emplace_back(text.substr(i, end - i));
    i = end;
  }
  return words;
}

}  // namespace

// In NLTK's order, which matters: what one rule sets apart is seen apart by the next.
std::vector<std::string> treebank_words(std::string_view sentence) {
  constexpr std::array<Text, 1> kTwoBackticks{"``"}, kDoubleDash{"--"}, kTwoSingle{"''"};
  std::string text = runs_apart(set_apart(sentence, kOpening), '`', 1);
  if (text.starts_with('"')) text.replace(0, 1, "``");
  text = set_apart(text, kTwoBackticks);
  text = substitute(text, opening_quote);
  text = substitute(text, opening_single_quote);
  text = full_stop_apart(text);
  text = substitute(text, comma);
  text = runs_apart(text, '.', 2);
  text = set_apart(text, ";@#$%&");
  text = set_apart(text, kDashes);
  text = set_apart(text, "?!");
  text = substitute(text, closing_single_quote);
  text = set_apart(text, "*");
  text = set_apart(text, "[](){}<>");
  text = padded(set_apart(text, kDoubleDash));
  text = set_apart(text, kClosing);
  text = set_apart(text, kTwoSingle);
  text = substitute(text, [](Text t, std::size_t i) -> std::optional<Change> {
    if (t[i] != '"') return std::nullopt;
    return Change{1, " '' "};
  });
  std::ranges::replace_if(text, is_blank, ' ');
  text = clitics_apart(text, std::array<Text, 7>{"'s", "'S", "'m", "'M", "'d", "'D", "'"});
  text = clitics_apart(text, std::array<Text, 8>{"'ll", "'LL", "'re", "'RE", "'ve", "'VE", "n't", "N'T"});
  for (const Contraction& both : kContractions) text = cut(text, both);
  return split(text);
}

}  // namespace mld::data
